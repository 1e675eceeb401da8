"""Runs per second by one replica, against the same rows written by a bare loop of group commits."""

from __future__ import annotations

import asyncio
from time import perf_counter, process_time
from typing import Any

import asyncpg
from tests.benchmarks.measured import Measured, fresh

from hookline import App, Context
from hookline.codec import uuid7
from hookline.engine.replica import Replica
from hookline.payloads import Payloads
from hookline.settings import load
from hookline.store import claims, finishes, journal, runs
from hookline.store.database import Database
from hookline.store.finishes import Finish
from hookline.store.journal import Record
from hookline.store.runs import NewRun

RUNS = 10_000
BATCH = 200
TURNS = 3

app = App()


async def one(x: int) -> int:
    return x + 1


async def two(x: int) -> int:
    return x + 1


async def three(x: int) -> int:
    return x + 1


@app.job()
async def steps(ctx: Context, x: int) -> int:
    return await ctx.step(three, await ctx.step(two, await ctx.step(one, x)))


@app.job()
async def nothing(ctx: Context, x: int) -> None: ...


async def three_steps(dsn: str) -> list[Measured]:
    """3-step runs per second; both take turns, as this machine is slower at one time than at another."""
    ours = bare = 0.0
    for _ in range(TURNS):
        async with fresh(dsn, "bench_steps") as own, Database(own) as database:
            await fill(database, "steps")
            rate, also = await _drain(database, own)
            ours += 1 / rate / TURNS
        async with fresh(dsn, "bench_floor") as own, Database(own) as database:
            await fill(database, "steps")
            bare += 1 / await _bare_loop(database) / TURNS
    return [Measured("3-step runs", 1 / ours, "/s", "2,000 /s, ratio 0.5", 1 / bare, also)]


async def no_ops(dsn: str) -> list[Measured]:
    """Runs without steps per second."""
    async with fresh(dsn, "bench_drain") as own, Database(own) as database:
        await fill(database, "nothing")
        rate, also = await _drain(database, own)
    return [Measured("no-op runs drained", rate, "/s", "4,000 /s", None, also)]


async def fill(database: Database, job: str) -> None:
    async with database.session() as connection:
        for _ in range(0, RUNS, 1000):
            async with connection.transaction():
                await runs.create(connection, [NewRun(uuid7(), job, 1, b"1") for _ in range(1000)])


async def drained(dsn: str, payloads: Payloads) -> tuple[float, str]:
    """3-step runs per second with payloads that rest like this, and what they take."""
    async with fresh(dsn, "bench_sealed") as own, Database(own, payloads=payloads) as database:
        await fill(database, "steps")
        return await _drain(database, own)


async def _drain(database: Database, dsn: str) -> tuple[float, str]:
    replica = Replica(app, database, load(log_level="error"))
    watch = await asyncpg.connect(dsn)
    wal, transactions, cpu = await _position(watch), await _transactions(watch), process_time()
    task = asyncio.create_task(replica.run())
    while await watch.fetchval("select exists (select from hookline.runs where finished_at is null)"):
        await asyncio.sleep(0.2)
    cpu = process_time() - cpu
    wal, transactions = await _position(watch) - wal, await _transactions(watch) - transactions
    took = await watch.fetchval(
        "select extract(epoch from max(finished_at) - min(started_at))::float8 from hookline.runs"
    )
    replica.stop()
    await task
    await watch.close()
    return RUNS / took, (
        f"{transactions / RUNS:.3f} transactions, {wal / RUNS:,.0f} WAL bytes, {cpu / RUNS * 1e6:.0f} us CPU a run"
    )


async def _position(connection: asyncpg.Connection[Any]) -> int:
    return int(await connection.fetchval("select pg_current_wal_insert_lsn() - '0/0'::pg_lsn"))


async def _transactions(connection: asyncpg.Connection[Any]) -> int:
    """The number of the next transaction that writes."""
    return int(await connection.fetchval("select pg_snapshot_xmax(pg_current_snapshot())::text"))


async def _bare_loop(database: Database) -> float:
    """Runs per second of the same statements, batch after batch, with nothing in between."""
    worker = uuid7()
    connection = await database.connect()
    began = perf_counter()
    finished: list[Finish] = []
    while True:
        async with connection.transaction():
            await finishes.finish(connection, worker, finished)
            claimed = await claims.claim(connection, worker, ["steps@1"], BATCH)
        if not claimed:
            break
        for position, name in enumerate(("one", "two", "three")):
            async with connection.transaction():
                await journal.write(connection, [_record(claim, position, name) for claim in claimed])
        finished = [Finish(claim, "succeeded", output=b"4") for claim in claimed]
    took = perf_counter() - began
    await connection.close()
    return RUNS / took


def _record(claim: claims.Claim, position: int, name: str) -> Record:
    return Record(claim.id, name, position, claim.number, 1, "step", "succeeded", b"01234567", b"2")
