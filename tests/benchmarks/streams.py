"""What a thousand clients that watch cost the replica that serves them, and the runs that it executes."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from statistics import fmean, quantiles
from time import perf_counter, process_time

import psutil
from tests.benchmarks.measured import Measured, fresh
from tests.benchmarks.runs import RUNS, app, fill

from hookline import Context, Trigger
from hookline.engine.replica import Replica
from hookline.ingress.intake import Intake
from hookline.ingress.register import Register
from hookline.settings import Settings, load
from hookline.store import migrate
from hookline.store.database import Database
from hookline.web.routes import application
from hookline.web.server import Server, listen

CLIENTS = 1000
SAMPLES = 700
ROUNDS = 4
PARTS = ("p50", "p90", "p99")

STARTED: asyncio.Queue[float] = asyncio.Queue()


@dataclass(frozen=True)
class Watched:
    """What was seen in a round: runs a second, milliseconds to each start, and seconds of CPU that a run took."""

    rate: float
    starts: list[float]
    cpu: float
    also: str


@app.job()
async def tell(ctx: Context, _: None) -> None:
    STARTED.put_nowait(perf_counter())


async def watched(dsn: str) -> list[Measured]:
    """3-step runs per second, and how soon a run starts, while nobody watches and while a thousand clients do.

    Of several rounds, in turns: their mean rate, and all starts together, as the hundredth part of one round's is
    chance. The clients are in a process that gives way: on few cores it would else be measured what they take.
    """
    settings = load(log_level="error")
    seen: dict[int, list[Watched]] = {0: [], CLIENTS: []}
    for number in range(ROUNDS):
        for clients in seen:
            async with fresh(dsn, f"bench_streams_{clients}_{number}") as own, Database(own) as database:
                seen[clients].append(await _watched(settings, database, clients))
    found: list[Measured] = []
    alone = _figures(seen[0])
    for clients, rounds in seen.items():
        cpu = fmean(each.cpu for each in rounds)
        also = f"{cpu * 1e6:.0f} us CPU a run, {'; '.join(each.also for each in rounds)}"
        names = (
            (f"3-step runs, {clients} watch", "/s"),
            *((f"enqueue to start, {clients} watch, {p}", "ms") for p in PARTS),
        )
        found += [
            Measured(name, figure, unit, "as alone", floor if clients else None, also)
            for (name, unit), figure, floor in zip(names, _figures(rounds), alone, strict=True)
        ]
    return found


def _figures(rounds: list[Watched]) -> list[float]:
    """Runs a second, and the milliseconds within which these parts of them start."""
    percent = quantiles([took for each in rounds for took in each.starts], n=100)
    return [fmean(each.rate for each in rounds), *(percent[int(part[1:]) - 1] for part in PARTS)]


async def _watched(settings: Settings, database: Database, clients: int) -> Watched:
    async with _serving(settings, database, clients) as watching:
        before = _memory()
        cpu = process_time()
        rate = await _drain(settings, database)
        cpu = (process_time() - cpu) / RUNS
        starts = await _latency(settings, database)
        also = f"{before:.0f} to {_memory():.0f} MB"
    return Watched(rate, starts, cpu, f"{also}, {await watching}" if clients else also)


async def _latency(settings: Settings, database: Database) -> list[float]:
    """Milliseconds from asking for a run to the first line of its job."""
    intake, replica = Intake(app, database, timeout=10), Replica(app, database, settings)
    tasks = [asyncio.create_task(intake.run()), asyncio.create_task(replica.run())]
    took = []
    for _ in range(SAMPLES + 20):
        await asyncio.sleep(0.01)
        began = perf_counter()
        await intake.start(Trigger("tell"))
        took.append((await STARTED.get() - began) * 1000)
    replica.stop()
    await tasks[1]
    tasks[0].cancel()
    return took[20:]


async def _drain(settings: Settings, database: Database) -> float:
    await fill(database, "steps")
    replica = Replica(app, database, settings)
    task = asyncio.create_task(replica.run())
    async with database.session() as connection:
        while await connection.fetchval("select exists (select from hookline.runs where finished_at is null)"):
            await asyncio.sleep(0.2)
        took = await connection.fetchval(
            "select extract(epoch from max(finished_at) - min(started_at))::float8 from hookline.runs"
        )
    replica.stop()
    await task
    return RUNS / float(took)


def _memory() -> float:
    """Megabytes that this process holds."""
    return psutil.Process().memory_info().rss / 1e6


@asynccontextmanager
async def _serving(settings: Settings, database: Database, clients: int) -> AsyncIterator[asyncio.Future[str]]:
    """This process's half of HTTP within the block, with clients of another process; then, what they saw."""
    listening = listen("127.0.0.1", 0)
    answering = application(
        app, settings, database, Intake(app, database, timeout=10), Register(app, database, settings),
        schema=migrate.known(), slack=lambda: 1.0, local=True,
    )  # fmt: skip
    server = Server(answering, listening, drain=5)
    serving = asyncio.create_task(server.run())
    seen: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    port = listening.getsockname()[1]
    watchers = await asyncio.create_subprocess_exec(
        "nice", "-n", "19", sys.executable, "-m", "tests.benchmarks.watchers", str(port), str(clients),
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    assert watchers.stdout is not None
    await watchers.stdout.readline()
    try:
        yield seen
    finally:
        out, _ = await watchers.communicate(b"\n")
        seen.set_result(out.decode().strip())
        server.stop()
        await serving
