"""Testing: a pytest plug-in that runs an application's jobs on a real Postgres."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

import asyncpg
import pytest

from hookline import embedded
from hookline.app import App
from hookline.ingress.intake import Intake
from hookline.payloads import Payloads
from hookline.settings import Settings
from hookline.store import migrate
from hookline.store.database import Database
from hookline.testing.service import Service

TEMPLATE = "hookline_template"

Serve = Callable[..., AbstractAsyncContextManager[Service]]


@pytest.fixture(scope="session")
def hookline_postgres() -> Iterator[str]:
    """The address of an embedded Postgres with a migrated database to copy."""
    temporary = tempfile.TemporaryDirectory(prefix="hookline-testing-", ignore_cleanup_errors=True)
    with temporary as directory, embedded.running(Path(directory) / "postgres", durable=False) as dsn:
        asyncio.run(_make_template(dsn))
        yield dsn


@pytest.fixture
def hookline(hookline_postgres: str) -> Serve:
    """Puts an App to work: `async with hookline(app) as service`.

    Args of what it returns:
        app: the application.
        always_replay: call each job again from the top after each of its calls, to prove that it can be replayed.
        settings: by their names, such as `lease=5`.

    Example:
        async def test_an_order_is_paid(hookline):
            async with hookline(app) as service:
                run = await service.start("order", {"number": 7})
                await service.waiting(run)
                await service.signal(run, "paid")
                assert (await service.ended(run)).state == "succeeded"
    """

    def serve(app: App, *, always_replay: bool = False, **settings: Any) -> AbstractAsyncContextManager[Service]:
        return _serving(app, hookline_postgres, Settings(always_replay=always_replay, drain=0, poll=0.05, **settings))

    return serve


@asynccontextmanager
async def _serving(app: App, postgres: str, settings: Settings) -> AsyncIterator[Service]:
    app.check()
    name = f"hookline_{uuid4().hex}"
    await _administer(postgres, f"create database {name} template {TEMPLATE} strategy file_copy")
    try:
        async with Database(
            _of_database(postgres, name), patience=settings.lease / 2, payloads=Payloads.of(settings)
        ) as database:
            intake = Intake(app, database, timeout=10)
            service = Service(app, database, settings, intake)
            writing = asyncio.create_task(intake.run())
            try:
                with service.stubbed():
                    service.begin()
                    yield service
            finally:
                await service.end()
                writing.cancel()
                await asyncio.gather(writing, return_exceptions=True)
    finally:
        await _administer(postgres, f"drop database {name} with (force)")


async def _make_template(dsn: str) -> None:
    await _administer(dsn, f"create database {TEMPLATE}")
    await migrate.migrate(_of_database(dsn, TEMPLATE))


async def _administer(dsn: str, *statements: str) -> None:
    connection = await asyncpg.connect(dsn)
    try:
        for statement in statements:
            await connection.execute(statement)
    finally:
        await connection.close()


def _of_database(dsn: str, name: str) -> str:
    return dsn.replace("/postgres?", f"/{name}?")
