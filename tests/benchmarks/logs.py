"""What it costs a run to say something: 3-step runs that say two lines a step, against those that say nothing."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import asyncpg
from tests.benchmarks.measured import Measured, fresh

from hookline import App, Context, telemetry
from hookline.codec import uuid7
from hookline.engine.replica import Replica
from hookline.settings import load
from hookline.store import runs
from hookline.store.database import Database
from hookline.store.runs import NewRun

RUNS = 4000
ROUNDS = 3

app = App()


async def add(x: int) -> int:
    return x + 1


async def tell(x: int) -> int:
    telemetry.log.info("adding", x=x, to=1)
    telemetry.log.info("added", sum=x + 1)
    return x + 1


@app.job()
async def quiet(ctx: Context, x: int) -> int:
    return await ctx.step(add, await ctx.step(add, await ctx.step(add, x)))


@app.job()
async def talks(ctx: Context, x: int) -> int:
    return await ctx.step(tell, await ctx.step(tell, await ctx.step(tell, x)))


async def said(dsn: str) -> list[Measured]:
    """3-step runs per second that say two lines a step, kept or only written to stderr, and that say nothing."""
    found: dict[str, list[float]] = {"kept": [], "not kept": [], "quiet": [], "quiet, none kept": []}
    with _to_nowhere():
        telemetry.configure(load())
        for _ in range(ROUNDS):
            found["quiet"].append(await _drained(dsn, "quiet", 1000))
            found["quiet, none kept"].append(await _drained(dsn, "quiet", 0))
            found["kept"].append(await _drained(dsn, "talks", 1000))
            found["not kept"].append(await _drained(dsn, "talks", 0))
    telemetry.configure(load(log_level="error"))
    best = {name: max(rates) for name, rates in found.items()}
    return [
        Measured("3-step runs, 2 lines a step", best["kept"], "/s", "ratio to quiet", best["quiet"],
                 f"logged but not kept {best['not kept']:,.0f} /s"),
        Measured("3-step runs, no lines", best["quiet"], "/s", "ratio 1", best["quiet, none kept"], "keeping is off"),
    ]  # fmt: skip


@contextmanager
def _to_nowhere() -> Iterator[None]:
    """What is logged goes nowhere."""
    before = sys.stderr
    with open(os.devnull, "w") as nowhere:  # noqa: PTH123 - a device
        sys.stderr = nowhere
        try:
            yield
        finally:
            sys.stderr = before


async def _drained(dsn: str, job: str, lines: int) -> float:
    async with fresh(dsn, f"bench_logs_{job}") as own, Database(own) as database:
        async with database.session() as connection:
            for _ in range(0, RUNS, 1000):
                await runs.create(connection, [NewRun(uuid7(), job, 1, b"1") for _ in range(1000)])
        replica = Replica(app, database, load(log_lines=lines))
        watch = await asyncpg.connect(own)
        task = asyncio.create_task(replica.run())
        while await watch.fetchval("select exists (select from hookline.runs where finished_at is null)"):
            await asyncio.sleep(0.2)
        took: float = await watch.fetchval(
            "select extract(epoch from max(finished_at) - min(started_at))::float8 from hookline.runs"
        )
        kept = await watch.fetchval("select count(*) from hookline.run_logs")
        assert kept == (RUNS * 6 if job == "talks" and lines else 0), kept
        replica.stop()
        await task
        await watch.close()
    return RUNS / took
