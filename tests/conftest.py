"""Fixtures for all tests: one embedded Postgres, and of it a fresh database to each test that asks for one."""

from __future__ import annotations

import asyncio
import logging
import os
import shutil
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from uuid import uuid4

import asyncpg
import psutil
import pytest
import structlog
from tests.support import FEED

from hookline import embedded, metrics, telemetry
from hookline.settings import Settings
from hookline.store import migrate

ROOM = 2**32
"""Bytes that the databases of several tests at once need at the most."""


@pytest.fixture(autouse=True)
def no_settings_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    """A test sees only the settings that it makes."""
    for name in [name for name in os.environ if name.startswith("HOOKLINE_")]:
        monkeypatch.delenv(name)


@pytest.fixture(autouse=True)
def telemetry_as_it_was() -> Iterator[None]:
    """How a test logs and measures ends with it. Until it says how, lines go to what is standard error then."""
    log, root = telemetry.log, logging.getLogger()
    handlers, level = root.handlers, root.level
    structlog.configure(logger_factory=lambda *_: structlog.PrintLogger(sys.stderr))
    yield
    structlog.reset_defaults()
    if telemetry.log is not log:
        metrics.open_(Settings())
        root.handlers = handlers
        root.setLevel(level)
        telemetry.log = log


@pytest.fixture
def anyio_backend() -> tuple[str, dict[str, bool]]:
    return "asyncio", {"use_uvloop": True}


@pytest.fixture(scope="session")
def postgres() -> Iterator[str]:
    """The address of an embedded Postgres with a migrated database `template`.

    Not under pytest's own temporary directory, whose old ones the next session deletes, in use or not.
    """
    temporary = tempfile.TemporaryDirectory(prefix="hookline-tests-", dir=in_memory(), ignore_cleanup_errors=True)
    with temporary as directory, embedded.running(Path(directory) / "postgres", durable=False) as dsn:
        asyncio.run(_make_template(dsn))
        yield dsn


def in_memory() -> str | None:
    """A directory that is memory, if there is enough: a disk needs a good part of the time for new databases."""
    shared = "/dev/shm"
    has_room = os.access(shared, os.W_OK) and shutil.disk_usage(shared).free > ROOM
    return shared if has_room and psutil.virtual_memory().available > 2 * ROOM else None


async def _make_template(dsn: str) -> None:
    connection = await asyncpg.connect(dsn)
    await connection.execute("create database template")
    await connection.close()
    await migrate.migrate(of_database(dsn, "template"))
    connection = await asyncpg.connect(of_database(dsn, "template"))
    await connection.execute(FEED)
    await connection.close()


def of_database(dsn: str, name: str) -> str:
    """The address of database `name` on the server at `dsn`."""
    return dsn.replace("/postgres?", f"/{name}?")


@pytest.fixture
async def dsn(postgres: str) -> AsyncIterator[str]:
    """A migrated database of its own."""
    async with fresh(postgres) as found:
        yield found


@pytest.fixture
async def other_dsn(postgres: str) -> AsyncIterator[str]:
    """Another one."""
    async with fresh(postgres) as found:
        yield found


@asynccontextmanager
async def fresh(postgres: str) -> AsyncIterator[str]:
    """The address of a migrated database, within the block."""
    name = f"test_{uuid4().hex}"
    admin = await asyncpg.connect(postgres)
    await admin.execute(f"create database {name} template template strategy file_copy")
    try:
        yield of_database(postgres, name)
    finally:
        await admin.execute(f"drop database {name} with (force)")
        await admin.close()
