"""Situation: how all that is going on stands, read at one moment, for the first page and for the API."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

import asyncpg
from msgspec import Struct

from hookline.store import connectors, overview, schedules, workers
from hookline.store.database import Connection
from hookline.web.dashboard import attention
from hookline.web.dashboard.attention import Notice

WINDOWS = {
    "1h": (timedelta(minutes=1), 60),
    "6h": (timedelta(minutes=5), 72),
    "1d": (timedelta(minutes=30), 48),
    "7d": (timedelta(hours=3), 56),
}
"""How far back one may look: so many spans, each so long."""

DAY = timedelta(days=1)


class Situation(Struct, frozen=True):
    """How things stand.

    Args:
        edges: of the spans of time, one more than there are of them.
        run_spans: what became of a sample of the runs created in each; of `deliveries_spans` the same.
        counts: of unfinished runs, and of what came in and failed in a day.
        queues: what is due, by job and version.
    """

    now: datetime
    edges: Sequence[datetime]
    run_spans: Sequence[asyncpg.Record]
    delivery_spans: Sequence[asyncpg.Record]
    counts: dict[str, int]
    queues: Sequence[asyncpg.Record]
    sources: Sequence[asyncpg.Record]
    workers: Sequence[asyncpg.Record]
    notices: Sequence[Notice]

    @property
    def oldest(self) -> datetime | None:
        """Since when the run is due that has been for longest; `None` if none is."""
        return min((each["since"] for each in self.queues), default=None)

    @property
    def queue_age(self) -> float | None:
        """Seconds for which the first run has been due; `None` if none is."""
        return None if self.oldest is None else (self.now - self.oldest).total_seconds()

    @property
    def due(self) -> int:
        """How many runs are."""
        return sum(each["runs"] for each in self.queues)


async def look(connection: Connection, window: str, known: Sequence[str]) -> Situation:
    """How things stand, over a `window`; `known` are the sources that can be used."""
    span, number = WINDOWS[window]
    now = await overview.now(connection)
    edges = overview.edges(now, span, number)
    queues = await overview.queues(connection)
    alive = await workers.listed(connection)
    return Situation(
        now=now,
        edges=edges,
        run_spans=await overview.run_spans(connection, edges),
        delivery_spans=await overview.delivery_spans(connection, edges),
        counts=await overview.counts(connection, now - DAY),
        queues=queues,
        sources=await overview.sources(connection, sorted(known), now - DAY),
        workers=alive,
        notices=attention.notices(
            now,
            queues=queues,
            paused=await overview.paused(connection),
            failing=await overview.failing(connection, now - DAY),
            alarming=await overview.alarming(connection, now - DAY),
            schedules=await schedules.listed(connection),
            connectors=await connectors.listed(connection),
            workers=sum(1 for each in alive if each["lease_seconds"] > 0),
        ),
    )
