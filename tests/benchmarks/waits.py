"""What a run waits for, per second: signals, children, branches, replays, sleepers; against their bare rows."""

from __future__ import annotations

import asyncio
import resource
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from time import perf_counter
from typing import Any
from uuid import UUID

import asyncpg
from tests.benchmarks.measured import Measured, fresh

from hookline import App, Context
from hookline.codec import uuid7
from hookline.engine.replica import Replica
from hookline.ingress.intake import Intake
from hookline.settings import load
from hookline.store import claims, finishes, journal, runs, signals
from hookline.store.claims import Claim
from hookline.store.database import Database
from hookline.store.finishes import Finish
from hookline.store.journal import Record
from hookline.store.runs import NewRun
from hookline.store.signals import NewSignal, Want

RUNS = 4_000
ITEMS = 10_000
BATCH = 200
SLEEPERS = 100_000
MINUTE = 60

app = App()


async def add(x: int) -> int:
    return x + 1


@app.job()
async def listener(ctx: Context, _: None) -> Any:
    return await ctx.wait_for("word")


@app.job()
async def child(ctx: Context, x: int) -> int:
    return x


@app.job()
async def parent(ctx: Context, x: int) -> int:
    return await ctx.run_job(child, x)


@app.job()
async def mapper(ctx: Context, items: int) -> int:
    return len(await ctx.map(add, range(items), concurrency=500))


@app.job()
async def long(ctx: Context, steps: int) -> int:
    for n in range(steps):
        await ctx.step(add, n)
    await ctx.wait_for("go")
    return steps


@app.job()
async def sleeper(ctx: Context, _: None) -> None:
    await ctx.sleep(3600)


@asynccontextmanager
async def _working(own: str) -> AsyncIterator[tuple[Database, asyncpg.Connection[Any]]]:
    """A replica at work on the database at `own`."""
    watch = await asyncpg.connect(own)
    async with Database(own) as database:
        replica = Replica(app, database, load(log_level="error"))
        task = asyncio.create_task(replica.run())
        try:
            yield database, watch
        finally:
            replica.stop()
            await task
            await watch.close()


async def _none_left(watch: asyncpg.Connection[Any], what: str) -> None:
    while await watch.fetchval(f"select exists (select from hookline.runs where {what})"):
        await asyncio.sleep(0.05)


async def _create(database: Database, job: str, input_: bytes, count: int) -> list[UUID]:
    new = [NewRun(uuid7(), job, 1, input_) for _ in range(count)]
    async with database.session() as connection:
        for start in range(0, count, 1000):
            await runs.create(connection, new[start : start + 1000])
    return [run.id for run in new]


async def delivered_signals(dsn: str) -> list[Measured]:
    """Signals sent, taken by a waiting run, which then ends."""
    async with fresh(dsn, "bench_signals") as own, _working(own) as (database, watch):
        waiting = await _create(database, "listener", b"null", RUNS)
        await _none_left(watch, "state <> 'waiting'")
        intake = Intake(app, database, timeout=60)
        writing = asyncio.create_task(intake.run())
        began = perf_counter()
        await asyncio.gather(*(intake.send(NewSignal(uuid7(), run, "word", b"1")) for run in waiting))
        await _none_left(watch, "state <> 'succeeded'")
        rate = RUNS / (perf_counter() - began)
        writing.cancel()
    async with fresh(dsn, "bench_signals_floor") as own, Database(own) as database:
        floor = await _bare_signals(database)
    return [Measured("signals delivered", rate, "/s", "a ratio", floor)]


async def _bare_signals(database: Database) -> float:
    """The same rows by the same statements, batch after batch."""
    ids = await _create(database, "listener", b"null", RUNS)
    worker = uuid7()
    connection = await database.connect()
    taken = 0.0
    for start in range(0, RUNS, BATCH):
        claimed = await claims.claim(connection, worker, ["listener@1"], BATCH)
        async with connection.transaction():
            await journal.write(connection, [_record(claim, "word", "signal", "waiting") for claim in claimed])
            await finishes.finish(connection, worker, [Finish(claim, "waiting", delay=None) for claim in claimed])
        began = perf_counter()
        async with connection.transaction():
            batch = [NewSignal(uuid7(), run, "word", b"1") for run in ids[start : start + BATCH]]
            await signals.send(connection, batch)
        async with connection.transaction():
            claimed = await claims.claim(connection, worker, ["listener@1"], BATCH)
            await journal.read(connection, [claim.id for claim in claimed])
        async with connection.transaction():
            wants = [Want(_record(claim, "word", "signal", "waiting"), False, "word") for claim in claimed]
            await signals.lock(connection, [claim.id for claim in claimed])
            await signals.collect(connection, wants, False)
            await journal.write(connection, [_record(claim, "word", "signal", "succeeded") for claim in claimed])
        async with connection.transaction():
            await finishes.finish(connection, worker, [Finish(claim, "succeeded", output=b"1") for claim in claimed])
        taken += perf_counter() - began
    await connection.close()
    return RUNS / taken


async def child_runs(dsn: str) -> list[Measured]:
    """Runs that start another, wait for it, and end."""
    async with fresh(dsn, "bench_children") as own, _working(own) as (database, watch):
        began = perf_counter()
        await _create(database, "parent", b"1", RUNS)
        await _none_left(watch, "state <> 'succeeded'")
        rate = RUNS / (perf_counter() - began)
    async with fresh(dsn, "bench_children_floor") as own, Database(own) as database:
        floor = await _bare_children(database)
    return [Measured("child runs", rate, "/s", "a ratio", floor)]


async def _bare_children(database: Database) -> float:
    began = perf_counter()
    await _create(database, "parent", b"1", RUNS)
    worker = uuid7()
    connection = await database.connect()
    for _ in range(0, RUNS, BATCH):
        async with connection.transaction():
            parents = await claims.claim(connection, worker, ["parent@1"], BATCH)
        async with connection.transaction():
            await runs.create(connection, [NewRun(uuid7(), "child", 1, b"1", parent=each.id) for each in parents])
            await journal.write(connection, [_record(each, "child", "child", "waiting") for each in parents])
        async with connection.transaction():
            children = await claims.claim(connection, worker, ["child@1"], BATCH)
        async with connection.transaction():
            await finishes.finish(connection, worker, [Finish(each, "succeeded", output=b"1") for each in children])
        async with connection.transaction():
            await journal.write(connection, [_record(each, "child", "child", "succeeded") for each in parents])
        async with connection.transaction():
            await finishes.finish(connection, worker, [Finish(each, "succeeded", output=b"1") for each in parents])
    await connection.close()
    return RUNS / (perf_counter() - began)


async def mapped_items(dsn: str) -> list[Measured]:
    """A step for each of ten thousand items of one `map`."""
    async with fresh(dsn, "bench_map") as own, _working(own) as (database, watch):
        began = perf_counter()
        await _create(database, "mapper", str(ITEMS).encode(), 1)
        await _none_left(watch, "state <> 'succeeded'")
        rate = ITEMS / (perf_counter() - began)
    async with fresh(dsn, "bench_map_floor") as own, Database(own) as database:
        await _create(database, "mapper", b"1", 1)
        connection = await database.connect()
        (claim,) = await claims.claim(connection, uuid7(), ["mapper@1"], 1)
        began = perf_counter()
        for start in range(0, ITEMS, BATCH):
            async with connection.transaction():
                await journal.write(
                    connection, [_record(claim, f"add/{n}", "step", "succeeded") for n in range(start, start + BATCH)]
                )
        floor = ITEMS / (perf_counter() - began)
        await connection.close()
    return [Measured("items of a map", rate, "/s", "a ratio", floor)]


async def resumed_runs(dsn: str) -> list[Measured]:
    """How long a run with many recorded steps takes from being woken to its end, against reading its journal."""
    found = []
    async with fresh(dsn, "bench_resume") as own, _working(own) as (database, watch):
        for steps in (1_000, 10_000):
            (run,) = await _create(database, "long", str(steps).encode(), 1)
            while await watch.fetchval("select state from hookline.runs where id = $1", run) != "waiting":
                await asyncio.sleep(0.05)
            connection = await database.connect()
            began = perf_counter()
            await journal.read(connection, [run])
            floor = perf_counter() - began
            await connection.close()
            began = perf_counter()
            async with database.session() as session, session.transaction():
                await signals.send(session, [NewSignal(uuid7(), run, "go", b"1")])
            while await watch.fetchval("select state from hookline.runs where id = $1", run) != "succeeded":
                await asyncio.sleep(0.001)
            took = perf_counter() - began
            found.append(
                Measured(f"resume of {steps:,} steps", 1 / took, "/s", "linear", 1 / floor, f"{took * 1000:.0f} ms")
            )
    return found


FALL_ASLEEP = """
with asleep as (
    insert into hookline.runs (id, job, version, state, claims, started_at, due_at)
    select gen_random_uuid(), 'sleeper', 1, 'waiting', 1, now(),
           now() + make_interval(secs => 5 + random() * $2::float8)
      from generate_series(1, $1::int)
    returning id, due_at
),
data as (insert into hookline.run_data (run_id, input) select id, 'null' from asleep)
insert into hookline.journal (run_id, key, position, claim, attempt, kind, state, due_at)
select id, 'sleep', 0, 1, 1, 'sleep', 'waiting', due_at from asleep
"""


async def woken_sleepers(dsn: str) -> list[Measured]:
    """A hundred thousand sleeping runs that are due within a minute."""
    async with fresh(dsn, "bench_sleepers") as own, _working(own) as (_, watch):
        await watch.execute(FALL_ASLEEP, SLEEPERS, float(MINUTE), timeout=120)
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        await asyncio.sleep(MINUTE + 5)
        await _none_left(watch, "state <> 'succeeded'")
        grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
        late, p99 = await watch.fetchrow("""
            select extract(epoch from max(runs.finished_at - runs.due_at))::float8,
                   extract(epoch from
                       percentile_disc(0.99) within group (order by runs.finished_at - runs.due_at))::float8
              from hookline.runs join hookline.journal on run_id = id
        """)
    return [
        Measured(
            "sleepers woken, p99 late", p99 * 1000, "ms", "bounded", also=f"at most {late:.2f} s, {grown:.0f} MB more"
        )
    ]


def _record(claim: Claim, key: str, kind: str, state: Any) -> Record:
    return Record(claim.id, key, 0, claim.number, 1, kind, state, output=b"1")
