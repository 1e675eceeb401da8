"""`/`: how things stand, and what to look at first."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from datetime import datetime
from math import inf

import asyncpg
from starlette.requests import Request
from starlette.responses import Response

from hookline.ingress.register import Register
from hookline.store import overview
from hookline.store.database import Database
from hookline.web import situation
from hookline.web.dashboard import asked, charts
from hookline.web.dashboard.charts import Series
from hookline.web.dashboard.render import as_page, page
from hookline.web.situation import WINDOWS


class Overview:
    """The first page."""

    def __init__(self, database: Database, register: Register) -> None:
        self._database = database
        self._register = register

    @as_page
    async def show(self, request: Request) -> Response:
        """`GET /?window=`."""
        window = asked.one_of(request, "window", tuple(WINDOWS)) or "1h"
        known = await self._register.known()
        async with self._database.reading() as connection:
            found = await situation.look(connection, window, list(known))
        edges, run_spans, delivery_spans, counts = found.edges, found.run_spans, found.delivery_spans, found.counts
        return page(
            request,
            "overview.html",
            now=found.now,
            window=window,
            windows=list(WINDOWS),
            edges=edges,
            span=WINDOWS[window][0].total_seconds(),
            deliveries=scaled(
                delivery_spans, edges, {"accepted": "succeeded", "ignored": "quiet", "alarming": "failed"}
            ),
            runs=scaled(
                run_spans,
                edges,
                {"succeeded": "succeeded", "failed": "failed", "cancelled": "cancelled", "open": "running"},
            ),
            ages=[Series("the oldest", "paused", ages(run_spans, edges, found.now, found.oldest))],
            waits=[
                Series("half of them within", "running", [row["typical"] for row in run_spans]),
                Series("95 of 100 within", "paused", [row["slow"] for row in run_spans]),
            ],
            is_estimated=any(row["seen"] >= overview.SAMPLE for row in (*run_spans, *delivery_spans)),
            charts=charts,
            counts=counts,
            many=overview.MANY,
            few=overview.FEW,
            queue_age=found.queue_age,
            due=found.due,
            notices=found.notices,
            sources=found.sources,
            configured=known,
            workers=found.workers,
            total=sum(row["seen"] for row in (*run_spans, *delivery_spans)) + sum(counts.values()),
        )


def scaled(rows: Sequence[asyncpg.Record], edges: Sequence[datetime], tones: Mapping[str, str]) -> list[Series]:
    """The series of `rows`, each a span of time of which at most a sample was looked at.

    Where there were more, the id of the last of the sample tells when it came, and so how many there would be.
    """
    series: dict[str, list[float | None]] = {name: [] for name in tones}
    for row, start, end in zip(rows, edges, edges[1:], strict=False):
        factor = 1.0
        if row["seen"] >= overview.SAMPLE:
            came = (row["last"].int >> 80) / 1000 - start.timestamp()
            factor = (end - start).total_seconds() / max(came, 0.001)
        rest = row["seen"]
        for name in tones:
            value = rest if name == "open" else row[name]
            rest -= value
            series[name].append(value * factor)
    return [Series(name, tone, series[name]) for name, tone in tones.items()]


def ages(
    rows: Sequence[asyncpg.Record], edges: Sequence[datetime], now: datetime, oldest: datetime | None
) -> list[float | None]:
    """For how many seconds the run that had been due for longest had been, at the end of each span; at last, now.

    It is told from those of `rows` that were not begun within their span, and from the run that is `oldest` now.

    Args:
        oldest: since when the run is due that has been for longest; `None` if none is.
    """
    ends = [min(edge, now).timestamp() for edge in edges[1:]]
    waits = [wait for row in rows for wait in zip(row["late"] or (), row["begun"] or (), strict=True)]
    if oldest is not None:
        waits.append((oldest.timestamp(), inf))
    told: list[float | None] = [0.0] * len(ends)
    at = 0
    for due, begun in sorted(waits):
        at = max(at, bisect_left(ends, due))
        while at < len(ends) and ends[at] < begun:  # of those that wait then it is the first to have been due
            told[at] = ends[at] - due
            at += 1
    return told
