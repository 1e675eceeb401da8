"""Wherever a worker or a receiver falls, runs end the same, no recorded call is done again, no webhook is lost."""

from __future__ import annotations

import asyncio
import itertools
import json
import signal
from collections.abc import Iterator
from contextlib import AsyncExitStack
from random import Random
from typing import Any
from uuid import uuid4

import asyncpg
import httpx
import pytest
from tests.cluster.doomed import ATTEMPTS, Doomed, receiving, working
from tests.conftest import of_database
from tests.everything import EXPECTED, app, play
from tests.support import PUSH, SECRET, on_site

from hookline.engine.watchdog import Watchdog
from hookline.ingress.intake import Intake
from hookline.peek import LARGE
from hookline.settings import Settings
from hookline.store.database import Connection, Database
from hookline.testing.service import Service
from hookline_parsers import github

pytestmark = pytest.mark.cluster

LANES = 3
"""Variants that are tried at once."""

PATIENCE = 2.0
"""Seconds after which a session that waits for a frozen process is ended."""

STREAMED = json.dumps(json.loads(PUSH) | {"more": Random(7).randbytes(3 * LARGE // 2).hex()}).encode()

WHOLE = """
select runs.id, runs.state, output::text, reason, run_data.error::text,
       (select array_agg((key, journal.state, claim, attempt, journal.output::text) order by position)
          from hookline.journal where run_id = runs.id)
  from hookline.runs join hookline.run_data on run_id = id order by id
"""


STANDING = (
    "select id, job, state, worker_id, due_at - now() as due, mail, claims, losses from hookline.runs",
    "select id, name, now() - seen_at as seen, expires_at - now() as left from hookline.workers",
    "select run_id, key, state, claim from hookline.journal where finished_at is null",
    "select pid, state, wait_event, now() - state_change as since, pg_blocking_pids(pid), left(query, 100) "
    "from pg_stat_activity where datname = current_database()",
)


class Variant:
    """The jobs, run by a replica that meets its fate at statement `at`, and by another after it."""

    def __init__(self, dsn: str, database: Database, at: int, by: signal.Signals) -> None:
        self._dsn = dsn
        self._database = database
        self._at = at
        self._by = by

    async def play(self) -> bool:
        """Whether it came to that statement before the runs had ended."""
        intake = Intake(app, self._database, timeout=10)
        service = Service(app, self._database, Settings(), intake)
        async with AsyncExitStack() as stack, asyncio.TaskGroup() as together:
            writing = together.create_task(intake.run())
            watchdog = Watchdog(self._database, app.latest, 2 * PATIENCE, 1000)
            watching = together.create_task(watchdog.run())
            doomed = await stack.enter_async_context(working(self._dsn, self._at, self._by))
            succeeding = together.create_task(self._succeed(doomed, stack, watchdog))
            try:
                result, undone = await asyncio.gather(play(service), service.run("saga"))
            except TimeoutError:
                raise AssertionError(f"at {self._at} it stands: {await self._standing(succeeding)}") from None
            met = succeeding.done()
            succeeding.cancel()
            assert (result.state, result.output, result.vars) == ("succeeded", EXPECTED, {"phase": "two"}), self._at
            assert (undone.state, undone.reason) == ("failed", "hookline.errors.Fatal: no"), self._at
            assert [state for _, kind, state in undone.journal if kind == "undo"] == ["succeeded"] * 2, self._at
            async with self._database.session() as connection:
                again = await connection.fetch("select run, key from public.attempts where recorded")
                assert again == [], self._at
                if met and self._by == signal.SIGSTOP:
                    await self._awake(doomed, connection)
            writing.cancel()
            watching.cancel()
        return met

    async def _standing(self, succeeding: asyncio.Task[None]) -> str:
        """What can be seen of runs that do not go on."""
        async with self._database.session() as connection:
            return "\n".join(
                [repr(succeeding), *(str(row) for each in STANDING for row in await connection.fetch(each))]
            )

    async def _succeed(self, doomed: Doomed, stack: AsyncExitStack, watchdog: Watchdog) -> None:
        """Once it has met its fate, declare it dead, and have another take over."""
        await doomed.fate(self._by)
        async with self._database.session() as connection:
            await connection.execute("update hookline.workers set expires_at = now() - interval '1 second'")
            await watchdog.release_the_lost(connection)
        await stack.enter_async_context(working(self._dsn))

    async def _awake(self, doomed: Doomed, connection: Connection) -> None:
        """Let the one that froze go on: it commits nothing more, and works on under a new name."""
        before = await connection.fetch(WHOLE)
        doomed.go_on()
        async with asyncio.timeout(20):
            while await connection.fetchval("select count(*) from hookline.workers") != 2:
                await asyncio.sleep(0.01)
        assert await connection.fetch(WHOLE) == before, self._at


@pytest.mark.parametrize("by", [signal.SIGKILL, signal.SIGSTOP], ids=["dies", "freezes"])
async def test_wherever_a_worker_falls_its_runs_end_the_same(postgres: str, by: signal.Signals) -> None:
    numbers = itertools.count(1)
    async with asyncio.TaskGroup() as together:
        lanes = [together.create_task(_lane(postgres, numbers, by)) for _ in range(LANES)]
    assert max(lane.result() for lane in lanes) > 100


async def _lane(postgres: str, numbers: Iterator[int], by: signal.Signals) -> int:
    """Try one number after the other, each in a database of its own, until the runs end before one; returns that."""
    admin: asyncpg.Connection[Any] = await asyncpg.connect(postgres)
    try:
        for at in numbers:
            name = f"test_{uuid4().hex}"
            await admin.execute(f"create database {name} template template strategy file_copy")
            dsn = of_database(postgres, name)
            async with Database(dsn) as database:
                async with database.session() as connection:
                    await connection.execute(ATTEMPTS)
                met = await Variant(dsn, database, at, by).play()
            await admin.execute(f"drop database {name} with (force)")
            if not met:
                return at
        raise AssertionError("the numbers have no end")
    finally:
        await admin.close()


@pytest.mark.parametrize("by", [signal.SIGKILL, signal.SIGSTOP], ids=["dies", "freezes"])
@pytest.mark.parametrize("body", [PUSH, STREAMED], ids=["small", "streamed"])
async def test_a_webhook_is_taken_once_wherever_its_receiver_falls(dsn: str, body: bytes, by: signal.Signals) -> None:
    async with on_site(app, dsn) as heir:
        first, step = (1, 1) if body is PUSH else (1 if by == signal.SIGKILL else 2, 2)  # of many each with one fate
        for at in itertools.count(first, step):
            guid = f"g{at}"
            sent = github.parser.headers_for("push", guid, body) | github.parser.scheme.sign(SECRET.encode(), body, {})
            async with receiving(dsn, at, by) as doomed, httpx.AsyncClient(base_url=doomed.url, timeout=10) as client:
                sending = asyncio.create_task(client.post("/webhooks/github", content=body, headers=sent))
                falling = asyncio.create_task(doomed.fate(by))
                await asyncio.wait({sending, falling}, return_when=asyncio.FIRST_COMPLETED)
                if not falling.done():
                    falling.cancel()
                    assert (await sending).status_code == 202
                    break
                again = await heir.push(guid, body)
                assert again.status_code in (200, 202), again.text
                if by == signal.SIGSTOP:
                    doomed.go_on()
                    assert (await sending).status_code in (200, 202, 503)
                    assert (await client.post("/webhooks/github", content=body, headers=sent)).status_code == 200
                sending.cancel()
                await asyncio.gather(sending, return_exceptions=True)
            found = await heir.house.watch.connection.fetchrow(STORED, guid)
            assert tuple(found) == (1, 2), (at, found)
    assert at > (10 if body is PUSH else 25)


@pytest.mark.parametrize("by", [signal.SIGKILL, signal.SIGSTOP], ids=["dies", "freezes"])
async def test_a_webhook_of_which_a_half_is_there_when_its_receiver_falls_is_taken_once(
    dsn: str, by: signal.Signals
) -> None:
    sent = github.parser.headers_for("push", "half", PUSH) | github.parser.scheme.sign(SECRET.encode(), PUSH, {})
    head = "".join(f"{name}: {value}\r\n" for name, value in {"host": "here", **sent}.items())
    asked = f"POST /webhooks/github HTTP/1.1\r\n{head}content-length: {len(PUSH)}\r\n\r\n".encode() + PUSH
    half = len(asked) - len(PUSH) // 2
    async with on_site(app, dsn) as heir, receiving(dsn, 0, by) as doomed, asyncio.timeout(30):
        url = httpx.URL(doomed.url)
        reader, writer = await asyncio.open_connection(url.host, url.port)
        writer.write(asked[:half])
        await writer.drain()
        async with httpx.AsyncClient(base_url=doomed.url) as client:  # so what came before is taken in
            assert (await client.get("/healthz")).status_code == 200
        doomed.fall(by)
        assert (await heir.push("half")).status_code == 202
        if by == signal.SIGSTOP:
            writer.write(asked[half:])
            doomed.go_on()
            assert (await reader.readline()).startswith(b"HTTP/1.1 200 ")
        else:
            assert await reader.read() == b""
        writer.close()
        found = await heir.house.watch.connection.fetchrow(STORED, "half")
        assert tuple(found) == (1, 2)


STORED = """
select count(distinct deliveries.id), count(*)
  from hookline.deliveries join hookline.runs on delivery_id = deliveries.id
 where key = $1
"""
