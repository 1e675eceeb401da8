"""`/api/overview`: what the first page of the dashboard tells."""

from __future__ import annotations

from typing import Literal

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from hookline.ingress.register import Register
from hookline.store.database import Database
from hookline.web import answers, situation


class OverviewQuery(msgspec.Struct, forbid_unknown_fields=True):
    """Over what time."""

    window: Literal["1h", "6h", "1d", "7d"] = "1h"


class Overview:
    """The route of how things stand."""

    def __init__(self, database: Database, register: Register) -> None:
        self._database = database
        self._register = register

    async def show(self, _: Request, query: OverviewQuery) -> Response:
        """`GET /api/overview`: what needs attention, what is due, and what came and went over a window of time.

        Of a span of time in which much came, a sample was looked at: `seen` rows, from its beginning to `last`.
        """
        known = await self._register.known()
        async with self._database.reading() as connection:
            found = await situation.look(connection, query.window, list(known))
        return answers.json(
            {
                "now": found.now,
                "attention": found.notices,
                "counts": found.counts,
                "due": found.due,
                "queue_age": found.queue_age,
                "queues": [dict(each) for each in found.queues],
                "sources": [dict(each) for each in found.sources],
                "edges": found.edges,
                "runs": [dict(each) for each in found.run_spans],
                "deliveries": [dict(each) for each in found.delivery_spans],
            }
        )
