"""Health: whether the process is alive, and whether it should be sent requests."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from starlette.requests import Request
from starlette.responses import Response

from hookline.errors import Unavailable
from hookline.store.database import Database
from hookline.web import answers

SCHEMA = "select version_num from hookline.alembic_version"

GOOD = ("ok", "newer", "no engine here")
"""What is told of a part that does not keep the replica from being ready."""

Slack = Callable[[], float | None]
"""Seconds left of the worker's lease; `None` while it has none."""


class Health:
    """Answers load balancers and orchestrators.

    Args:
        schema: the revision that this version brings; at this one or a newer one the database must be. They are four
            digits each, so they are compared as text.
        slack: how the lease stands; `None` in a process without an engine.
    """

    def __init__(self, database: Database, schema: str, slack: Slack | None) -> None:
        self._database = database
        self._schema = schema
        self._slack = slack

    async def alive(self, _: Request) -> Response:
        """`GET /healthz`: the process answers."""
        return answers.json({"status": "alive"})

    async def ready(self, _: Request) -> Response:
        """`GET /readyz`: the database answers, has the right schema, and the lease is good.

        A newer schema came while this process ran, and is no reason to send it nothing: else no replica would be ready
        from the migration until those of the next version are.
        """
        checks = {"database": "ok", "schema": "ok", "lease": self._lease()}
        try:
            async with asyncio.timeout(3), self._database.session() as connection:
                found: str | None = await connection.fetchval(SCHEMA)
        except (Unavailable, TimeoutError):
            checks |= {"database": "does not answer", "schema": "unknown"}
        else:
            if found is None or found < self._schema:
                checks["schema"] = f"is {found}, not {self._schema}"
            elif found > self._schema:
                checks["schema"] = "newer"
        ready = all(state in GOOD for state in checks.values())
        return answers.json({"status": "ready" if ready else "not ready"} | checks, 200 if ready else 503)

    def _lease(self) -> str:
        if self._slack is None:
            return "no engine here"
        slack = self._slack()
        return "ok" if slack is not None and slack > 0 else "none"
