"""What an idle replica costs, and how soon it starts what comes."""

from __future__ import annotations

import asyncio
from statistics import quantiles
from time import perf_counter
from typing import Any

import asyncpg
import pytest
from tests.benchmarks.measured import Measured, fresh

from hookline import App, Context, Trigger
from hookline.engine.replica import Replica
from hookline.ingress.intake import Intake
from hookline.settings import load
from hookline.store import database as databases
from hookline.store.database import Connection, Database

WATCHED = 20.0
SAMPLES = 500


async def queries(dsn: str) -> list[Measured]:
    """Statements per second of a replica that has nothing to do."""
    app = App()

    @app.job()
    async def nothing(ctx: Context, _: None) -> None: ...

    counted = 0

    def count(_: Any) -> None:
        nonlocal counted
        counted += 1

    speak = databases._speak_bytes

    async def counting(connection: Connection, *how: Any, **more: Any) -> None:
        await speak(connection, *how, **more)
        connection.add_query_logger(count)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(databases, "_speak_bytes", counting)
        async with fresh(dsn, "bench_idle") as own, Database(own) as database:
            replica = Replica(app, database, load(log_level="error"))
            task = asyncio.create_task(replica.run())
            await asyncio.sleep(2)
            counted = 0
            await asyncio.sleep(WATCHED)
            rate = counted / WATCHED
            replica.stop()
            await task
    return [Measured("idle replica", rate, "statements/s", "under 2 /s")]


async def enqueue_to_start(dsn: str) -> list[Measured]:
    """From asking for a run to the first line of its job, on a system that has nothing else to do."""
    app = App()
    started: asyncio.Queue[float] = asyncio.Queue()

    @app.job()
    async def tell(ctx: Context, _: None) -> None:
        started.put_nowait(perf_counter())

    async with fresh(dsn, "bench_latency") as own, Database(own) as database:
        intake = Intake(app, database, timeout=10)
        replica = Replica(app, database, load(log_level="error"))
        tasks = [asyncio.create_task(intake.run()), asyncio.create_task(replica.run())]
        watch = await asyncpg.connect(own)
        while not await watch.fetchval("select count(*) from hookline.workers"):
            await asyncio.sleep(0.1)
        await watch.close()
        took = []
        for _ in range(SAMPLES + 50):
            await asyncio.sleep(0.01)
            began = perf_counter()
            await intake.start(Trigger("tell"))
            took.append((await started.get() - began) * 1000)
        replica.stop()
        await tasks[1]
        tasks[0].cancel()
    percent = quantiles(took[50:], n=100)
    return [
        Measured("enqueue to start, p50", percent[49], "ms", "under 5 ms"),
        Measured("enqueue to start, p99", percent[98], "ms", "under 15 ms"),
    ]
