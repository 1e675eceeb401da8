"""A lease that could not be renewed is held against nobody, and is renewed on another way if there is one."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from urllib.parse import parse_qs, urlsplit
from uuid import UUID

import pytest
from tests.support import at_home

from hookline import App
from hookline.codec import uuid7
from hookline.engine.replica import Replica
from hookline.engine.watchdog import Watchdog
from hookline.errors import Unavailable
from hookline.store import workers
from hookline.store.database import Connection, Database, transaction

LEASE = 1.5
SEEN = "select seen_at > $1 from hookline.workers"


async def test_nobody_is_declared_dead_because_postgres_stood_still(dsn: str, monkeypatch: pytest.MonkeyPatch) -> None:
    async with at_home(App(), dsn) as house:
        async with house.database.session() as connection:
            await workers.register(connection, uuid7(), "one", [], 1, -1.0)
        watchdog = Watchdog(house.database, {}, LEASE, 1000)
        count = "select count(*) from hookline.workers"

        with monkeypatch.context() as standing:
            any_expired = workers.any_expired

            async def late(connection: Connection) -> bool:
                await asyncio.sleep(LEASE / 2)  # standing still takes time
                return await any_expired(connection)

            standing.setattr(workers, "any_expired", late)
            with pytest.raises(Unavailable, match="s to answer"):
                await watchdog._look()
        assert await house.watch.connection.fetchval(count) == 1

        await watchdog._look()
        assert await house.watch.connection.fetchval(count) == 0


async def test_a_heartbeat_on_a_dead_connection_takes_another_within_the_lease(dsn: str) -> None:
    async with black_hole(dsn) as (through, swallow), at_home(App(), dsn, lease=LEASE) as house:
        house.database = Database(through, patience=LEASE)
        async with house.database, house.replica():
            worker, registered = await house.watch.until(
                lambda connection: connection.fetchrow("select id, seen_at from hookline.workers")
            )
            seen = await house.watch.value("select max(seen_at) from hookline.workers where seen_at > $1", registered)
            swallow()
            await house.watch.value(SEEN, seen, timeout=2 * LEASE)
            assert await house.watch.connection.fetchval("select id from hookline.workers") == worker


async def test_a_replica_whose_connections_went_dead_can_be_stopped(dsn: str) -> None:
    async with black_hole(dsn) as (through, swallow), at_home(App(), dsn, lease=60.0) as house:
        house.database = Database(through, patience=60)
        async with house.database, asyncio.timeout(20), house.replica():
            await house.watch.value("select id from hookline.workers")
            await house.watch.value("select count(*) >= 3 from pg_stat_activity where application_name = 'hookline'")
            swallow()


async def test_a_replica_that_cannot_register_can_be_stopped(dsn: str) -> None:
    asked = asyncio.Event()

    async def hang_up(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.set()
        writer.close()

    async with await asyncio.start_server(hang_up, "127.0.0.1", 0) as server, at_home(App(), dsn) as house:
        port = server.sockets[0].getsockname()[1]
        nothing = f"postgresql://nobody@127.0.0.1:{port}/nothing?sslmode=disable"
        async with asyncio.timeout(20), Database(nothing) as house.database, house.replica():
            await asked.wait()


async def test_a_replica_that_has_left_does_not_register_anew(dsn: str, monkeypatch: pytest.MonkeyPatch) -> None:
    register, begun = Replica._register, []

    async def noted(replica: Replica, worker: UUID) -> None:
        begun.append(worker)
        await register(replica, worker)

    monkeypatch.setattr(Replica, "_register", noted)
    async with at_home(App(), dsn) as house:
        async with house.replica() as replica:
            while replica.slack is None:
                await asyncio.sleep(0.01)  # it tells nobody
        assert await house.watch.connection.fetchval("select count(*) from hookline.workers") == 0
    assert len(begun) == 1


async def test_a_process_that_froze_within_a_statement_holds_no_lock_beyond_its_lease(dsn: str) -> None:
    async with at_home(App(), dsn) as house, house.database.session() as connection:
        held, thawed = threading.Event(), threading.Event()
        freezing = asyncio.create_task(asyncio.to_thread(asyncio.run, freeze(dsn, held, thawed)))
        await asyncio.to_thread(held.wait)
        try:
            await house.watch.value(WAITS_FOR_CLIENT)
            assert not await connection.fetchval("select pg_try_advisory_lock(1)")
            watchdog = Watchdog(house.database, {}, 60.0, 1000)
            await watchdog._look()
            assert not await connection.fetchval("select pg_try_advisory_lock(1)"), "nobody is ended at once"
            watchdog = Watchdog(house.database, {}, 0.1, 1000)
            await asyncio.sleep(0.1)  # patience is measured in time
            await watchdog._look()
            await house.watch.value("select pg_try_advisory_lock(1)")
        finally:
            thawed.set()
        with pytest.raises(Unavailable):
            await freezing


WAITS_FOR_CLIENT = """
select true from pg_stat_activity where state = 'active' and wait_event = 'ClientRead' and application_name = 'hookline'
"""


async def freeze(dsn: str, held: threading.Event, thawed: threading.Event) -> None:
    """Take a lock, ask what another statement means, and stand still."""
    async with Database(dsn, patience=0.05) as database, database.session() as connection, transaction(connection):
        await connection.execute("select pg_advisory_xact_lock(1)")
        asking = asyncio.create_task(connection.fetchval("select 'new'"))
        await asyncio.sleep(0)
        held.set()
        thawed.wait()
        await asking


@asynccontextmanager
async def black_hole(dsn: str) -> AsyncIterator[tuple[str, Callable[[], None]]]:
    """A way to Postgres, and what makes its connections of that moment swallow everything in silence."""
    address = urlsplit(dsn)
    path = f"{parse_qs(address.query)['host'][0]}/.s.PGSQL.5432"
    holes: list[asyncio.Event] = []

    async def pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, dead: asyncio.Event) -> None:
        while data := await reader.read(65_536):
            if not dead.is_set():
                writer.write(data)
        writer.close()

    async def connect(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        dead = asyncio.Event()
        holes.append(dead)
        beyond, onward = await asyncio.open_unix_connection(path)
        await asyncio.gather(pump(reader, onward, dead), pump(beyond, writer, dead), return_exceptions=True)

    def swallow() -> None:
        for each in holes:
            each.set()

    async with await asyncio.start_server(connect, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        yield f"postgresql://{address.username}@127.0.0.1:{port}{address.path}?sslmode=disable", swallow
