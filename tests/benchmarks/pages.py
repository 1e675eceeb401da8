"""What a page costs when there are a million runs: the CPU time of Postgres and of the process that answers.

`POPULATED` may name a database that `tests.populated` has filled, so that it is not filled again.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from time import perf_counter, process_time
from typing import Any

import asyncpg
import httpx
import pytest
from tests.benchmarks.measured import Measured, fresh
from tests.populated import populate, reads

from hookline import App, Context
from hookline.ingress.intake import Intake
from hookline.ingress.register import Register
from hookline.settings import load
from hookline.store import database as databases
from hookline.store import migrate
from hookline.store.database import Connection, Database
from hookline.web.routes import application

RUNS = 1_000_000
TIMES = 3

app = App()


async def nothing(ctx: Context, _: object) -> None: ...


for number in range(11):
    app.job(name=f"job{number}")(nothing)


async def with_a_million_runs(dsn: str) -> list[Measured]:
    """The dearest read of each route, by the CPU that both sides of it take; the best of a few times."""
    settings = load(log_level="error")
    found: list[tuple[float, float, float, str]] = []
    sessions: set[int] = set()
    speak = databases._speak_bytes

    async def known(connection: Connection, *how: Any, **more: Any) -> None:
        await speak(connection, *how, **more)
        sessions.add(connection.get_server_pid())

    def by_postgres() -> float:
        return sum(int(Path(f"/proc/{each}/schedstat").read_text().split()[0]) for each in sessions) / 1e6

    async def best(client: httpx.AsyncClient, path: str) -> tuple[float, float, float, str]:
        told = []
        for _ in range(TIMES):
            used, cpu, began = by_postgres(), process_time(), perf_counter()
            answer = await client.get(path)
            took, cpu, used = (perf_counter() - began) * 1000, (process_time() - cpu) * 1000, by_postgres() - used
            assert answer.status_code < 500, (path, answer.text)
            told.append((used + cpu, used, took, path))
        return min(told)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(databases, "_speak_bytes", known)
        async with _populated(dsn) as own, Database(own) as database:
            async with database.session() as connection:
                asks = await reads(connection)
            intake = Intake(app, database, timeout=10)
            register = Register(app, database, settings)
            answering = application(
                app, settings, database, intake, register, schema=migrate.known(), slack=None, local=True
            )
            there = httpx.ASGITransport(answering)
            async with httpx.AsyncClient(transport=there, base_url="http://localhost") as client:
                for route, paths in asks.items():
                    if not route.endswith("/stream"):
                        found.append(max([await best(client, path) for path in paths]))
    return [
        Measured(path, both, "ms CPU", "under 100 ms", None, f"Postgres {pg:.1f} ms, {took:.0f} ms by the clock")
        for both, pg, took, path in sorted(found, reverse=True)
    ]


@asynccontextmanager
async def _populated(dsn: str) -> AsyncIterator[str]:
    if filled := os.environ.get("POPULATED"):
        yield filled
        return
    async with fresh(dsn, "bench_pages") as own:
        connection = await asyncpg.connect(own)
        await populate(connection, RUNS)
        await connection.close()
        yield own
