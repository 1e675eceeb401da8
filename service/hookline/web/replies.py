"""Replies: for senders that wait, what the runs that a delivery started have returned, if they end in time."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Sequence
from time import monotonic
from typing import Any
from uuid import UUID

import msgspec

from hookline.errors import Unavailable
from hookline.ingress.sources import Source
from hookline.store import views
from hookline.store.database import Database

MOST = 200
"""Senders that wait at once, at most; whoever comes then is answered at once."""

FIRST_LOOK, LAST_LOOK = 0.02, 0.25
"""Seconds between two looks at the runs of somebody who waits, at first, and at last."""

PREFERENCE = re.compile(rb"(?:^|[,;\s])wait\s*=\s*\"?([0-9]{1,4})\"?", re.IGNORECASE)
"""The preference of RFC 7240, section 4.3, in seconds."""


class Replies:
    """Waits for runs in the place of those who sent what started them."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._waiting = 0

    async def to(
        self, source: Source, preferences: Sequence[bytes], runs: Sequence[UUID]
    ) -> list[dict[str, Any]] | None:
        """What each of `runs` has come to, once all have ended; `None` if they do not in time, or nobody waits.

        Args:
            preferences: the `Prefer` headers; a sender that shows people its answers waits without one.
        """
        span = _span(source, preferences)
        if span <= 0 or not runs or self._waiting >= MOST:
            return None
        deadline, pause = monotonic() + span, FIRST_LOOK
        self._waiting += 1
        try:
            while True:
                async with self._database.session() as connection:
                    if (ended := await views.outcomes(connection, runs)) is not None:
                        return [_told(each) for each in ended]
                if (left := deadline - monotonic()) <= 0:
                    return None
                await asyncio.sleep(min(pause, left))  # a hint would not tell which run has ended
                pause = min(1.5 * pause, LAST_LOOK)
        except Unavailable:
            return None
        finally:
            self._waiting -= 1


def _span(source: Source, preferences: Sequence[bytes]) -> float:
    """Seconds that a sender waits, as far as its source lets it."""
    if source.is_silent:
        return source.wait
    asked = PREFERENCE.search(b",".join(preferences)) if preferences else None
    return min(source.wait, float(asked[1])) if asked else 0.0


def _told(row: Any) -> dict[str, Any]:
    output = None if row["output"] is None else msgspec.Raw(row["output"])
    return {"run": row["id"], "job": row["job"], "state": row["state"], "reason": row["reason"], "output": output}
