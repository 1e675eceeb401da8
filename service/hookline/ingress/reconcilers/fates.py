"""Fates: what is to become of each delivery that never arrived, decided from the provider's list and the time alone."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Literal

from hookline.ingress.reconcilers.provider import Listed

GRACE = timedelta(minutes=2)
"""For which something may be on its way."""

FIRST_PAUSE = timedelta(minutes=10)
"""Between a first time that something is asked for and a second; each further pause is twice as long."""

TRIES = 8
"""Times that something is asked for, at most: the eighth is 21 hours after the first."""

Fate = Literal["due", "waiting", "gave_up", "redelivered", "fetched", "arrived", "refused"]
"""It is to be asked for; was, a while ago; was, too often; was, now; was taken in; has come; cannot be had."""


@dataclass(frozen=True, slots=True)
class Missing:
    """A delivery that never arrived.

    Args:
        latest: the provider's last attempt to deliver it.
        at: when the first was made.
        tries: how often it was asked for.
    """

    latest: Listed
    at: datetime
    tries: int
    fate: Fate

    @property
    def key(self) -> str:
        """What it would be called here."""
        return self.latest.key

    def with_fate(self, fate: Fate) -> Missing:
        """The same, of which something has become."""
        return replace(self, fate=fate)


def decide(listed: Iterable[Listed], now: datetime, *, insisting: bool) -> list[Missing]:
    """What is missing, the oldest first; `listed` is every attempt at what is not there.

    What only was asked for in the time that was looked at, and first sent before it, was settled before.

    Args:
        insisting: whether to ask also for what was asked for a while ago, or too often.
    """
    attempts: defaultdict[str, list[Listed]] = defaultdict(list)
    for each in listed:
        attempts[each.key].append(each)
    found = []
    for several in attempts.values():
        several.sort(key=lambda each: each.at)
        if not all(each.again for each in several):
            tries = sum(each.again for each in several)
            fate = _fate(tries, now - several[-1].at, insisting=insisting)
            found.append(Missing(several[-1], several[0].at, tries, fate))
    return sorted(found, key=lambda each: (each.at, each.key))


def _fate(tries: int, since: timedelta, *, insisting: bool) -> Fate:
    if since < GRACE:
        return "waiting"
    if insisting or not tries:
        return "due"
    if tries >= TRIES:
        return "gave_up"
    return "due" if since >= FIRST_PAUSE * 2 ** (tries - 1) else "waiting"
