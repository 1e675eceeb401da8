"""Five tasks after one another, written in each way, against the same as a plain coroutine."""

from __future__ import annotations

import asyncio
from time import perf_counter, process_time
from typing import Any

import asyncpg
from tests.benchmarks.measured import Measured, fresh

from hookline import App, Chain, Context, Graph, Machine, step
from hookline.codec import uuid7
from hookline.engine.replica import Replica
from hookline.settings import load
from hookline.store import runs
from hookline.store.database import Database
from hookline.store.runs import NewRun

TASKS = 5
RUNS = 1_500

app = App()


async def work() -> dict[str, Any]:
    return {}


steps = [step(name=f"s{number}")(work) for number in range(TASKS)]


@app.job()
async def coroutine(ctx: Context, _: Any) -> None:
    for each in steps:
        await ctx.step(each)


app.add(Chain("chain", steps[0].then(*steps[1:])))
graph = Graph("graph")
for number in range(TASKS):
    graph.task(work, name=f"s{number}", after=[f"s{number - 1}"] if number else [])
app.add(graph)
machine = Machine("machine", data=dict[str, int], initial="s0", terminal=["end"])
for number in range(TASKS):
    following = f"s{number + 1}" if number + 1 < TASKS else "end"

    async def state(data: dict[str, int], following: str = following) -> str:
        return following

    machine.state(f"s{number}", to=[following], name=f"s{number}")(state)
app.add(machine)


async def ways_to_write(dsn: str) -> list[Measured]:
    """Tasks per second in each way; the ratio is to the coroutine's."""
    found: list[Measured] = []
    floor: float | None = None
    for job in ("coroutine", "chain", "graph", "machine"):
        async with fresh(dsn, f"bench_{job}") as own:
            rate, cpu = await _rate(own, job)
        floor = floor or rate
        found.append(Measured(f"tasks in a {job}", rate, "/s", "a ratio", floor, f"{cpu:.0f} us of CPU a task"))
    return found


async def _rate(own: str, job: str) -> tuple[float, float]:
    watch = await asyncpg.connect(own)
    async with Database(own) as database:
        async with database.session() as connection:
            for start in range(0, RUNS, 500):
                new = [NewRun(uuid7(), job, 1, b"{}") for _ in range(min(500, RUNS - start))]
                await runs.create(connection, new)
        began, cpu = perf_counter(), process_time()
        replica = Replica(app, database, load(log_level="error"))
        task = asyncio.create_task(replica.run())
        while await watch.fetchval("select exists (select from hookline.runs where finished_at is null)"):
            await asyncio.sleep(0.02)
        took, used = perf_counter() - began, process_time() - cpu
        replica.stop()
        await task
        states = await watch.fetch("select distinct state from hookline.runs")
    await watch.close()
    assert [row["state"] for row in states] == ["succeeded"], states
    return RUNS * TASKS / took, used / (RUNS * TASKS) * 1e6
