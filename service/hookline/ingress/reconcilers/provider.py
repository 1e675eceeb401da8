"""The provider: what it lists of what it sent, and how what never arrived is had from it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal, Protocol

Does = Literal["redelivered", "fetched"]
"""Whether a provider sends again what it is asked for, or hands it over."""


@dataclass(frozen=True, slots=True)
class Listed:
    """One attempt of a provider's to deliver something, as it tells of it.

    Args:
        key: what the delivery would be called here.
        id: what the provider is asked for it by.
        of: which of the provider's lists it is on.
        type: the event's type, for people.
        at: when it was made.
        again: whether it was made because somebody asked for it.
    """

    key: str
    id: str
    of: str
    type: str
    at: datetime
    again: bool = False


@dataclass(frozen=True, slots=True)
class Page:
    """A part of a list, the newest first.

    Args:
        next: the cursor of the next part; `None` if there is none, or only what is too old.
        problem: for people, what is wrong with who should receive it.
    """

    listed: tuple[Listed, ...]
    next: str | None = None
    problem: str | None = None


class Provider(Protocol):
    """Somebody who sent a source's deliveries.

    Each method raises `Limited` when it is asked to wait, `Failed` for what may be another next time, and `Refused` for
    what stays the same until somebody acts.

    Attributes:
        name: what people call it.
        lists: its lists of what it sent, such as one a hook.
        window: how far back it can be asked for something again.
        does: what becomes of what it is asked for.
        pause: seconds that it wants between two things that it is asked for.
    """

    name: str
    lists: tuple[str, ...]
    window: timedelta
    does: Does
    pause: float

    async def page(self, of: str, cursor: str | None, since: datetime) -> Page:
        """What it tells of one of its lists at `cursor`, the newest if that is `None`, back to `since`."""

    async def recover(self, source: str, wanted: Listed) -> None:
        """Have what never arrived at `source` redelivered, or take it in; raises `Refused` with `gone` if it cannot."""
