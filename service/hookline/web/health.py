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

Slack = Callable[[], float | None]
"""Seconds left of the worker's lease; `None` while it has none."""


class Health:
    """Answers load balancers and orchestrators.

    Args:
        schema: the revision that the database must be at.
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
        """`GET /readyz`: the database answers, has the right schema, and the lease is good."""
        checks = {"database": "ok", "schema": "ok", "lease": self._lease()}
        try:
            async with asyncio.timeout(3), self._database.session() as connection:
                found = await connection.fetchval(SCHEMA)
        except (Unavailable, TimeoutError):
            checks |= {"database": "does not answer", "schema": "unknown"}
        else:
            if found != self._schema:
                checks["schema"] = f"is {found}, not {self._schema}"
        ready = all(state in ("ok", "no engine here") for state in checks.values())
        return answers.json({"status": "ready" if ready else "not ready"} | checks, 200 if ready else 503)

    def _lease(self) -> str:
        if self._slack is None:
            return "no engine here"
        slack = self._slack()
        return "ok" if slack is not None and slack > 0 else "none"
