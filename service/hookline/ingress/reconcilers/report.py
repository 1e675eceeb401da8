"""The report: what a pass found missing and what became of it, for people, metrics, and the pass behind it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from hookline import codec
from hookline.ingress.reconcilers.fates import Fate, Missing

LATE = timedelta(minutes=10)
"""How late a provider's list may tell of something: so long before now nothing counts as settled yet."""

TOLD = 100
"""Missing deliveries that a report names, the oldest."""

OPEN: tuple[Fate, ...] = ("due", "waiting", "redelivered")
"""What the next pass looks at again."""


@dataclass(frozen=True, slots=True)
class Begun:
    """How a pass begins.

    Args:
        now: when.
        since: from when on it looks.
        settled: up to when those before it have settled everything; `None` if nobody knows.
        problem: for people, what it cannot look at any more.
    """

    now: datetime
    since: datetime
    settled: datetime | None
    problem: str | None = None


@dataclass(frozen=True, slots=True)
class Found:
    """A delivery that is missing, or was."""

    key: str
    type: str
    at: datetime
    tries: int
    fate: Fate


@dataclass(frozen=True, slots=True)
class Report:
    """What a pass returns.

    Args:
        since: from when on it looked.
        until: up to when everything is settled: the next pass begins there.
        looked_at: how many attempts the provider lists.
        missing: how many deliveries were not there.
        asked: how many of these the provider was asked for.
        arrived: how many are there by now.
        waiting: how many may be on their way, or were asked for a while ago.
        left: how many are left to the next pass.
        gave_up: how many nobody asks for any more: they were asked for too often, or the provider has them no more.
        problem: for people, what somebody should look into.
        found: the oldest of the missing ones.
    """

    source: str
    dry_run: bool
    since: datetime
    until: datetime | None
    looked_at: int
    missing: int
    asked: int
    arrived: int
    waiting: int
    left: int
    gave_up: int
    problem: str | None
    found: tuple[Found, ...]


def report(
    source: str, begun: Begun, missing: Sequence[Missing], *, looked_at: int, asked: int, dry_run: bool,
    moves: bool, problems: Sequence[str],
) -> Report:  # fmt: skip
    """What a pass tells.

    Args:
        missing: with what has become of each.
        asked: how many of them the provider was asked for.
        moves: whether it began where the last one ended, and looked at everything, so that the next begins behind it.
    """
    fates = Counter(each.fate for each in missing)
    settled = min([begun.now - LATE, *(each.at for each in missing if each.fate in OPEN)])
    return Report(
        source=source,
        dry_run=dry_run,
        since=begun.since,
        until=settled if moves else begun.settled,
        looked_at=looked_at,
        missing=len(missing),
        asked=asked,
        arrived=fates["arrived"] + fates["fetched"],
        waiting=fates["waiting"] + fates["redelivered"],
        left=fates["due"],
        gave_up=fates["gave_up"] + fates["refused"],
        problem="; ".join(problems) or None,
        found=tuple(Found(each.key, each.latest.type, each.at, each.tries, each.fate) for each in missing[:TOLD]),
    )


def settled_by(output: bytes | None) -> datetime | None:
    """Up to when the pass that returned `output`, JSON, says that everything is settled."""
    told = None if output is None else codec.decode(output)
    until = told.get("until") if isinstance(told, dict) else None
    return datetime.fromisoformat(until) if isinstance(until, str) else None
