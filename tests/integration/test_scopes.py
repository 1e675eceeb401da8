"""Runs of one job and scope run one at a time, in the order in which they were created."""

from __future__ import annotations

import asyncio

from tests.support import at_home, no_hooks

from hookline import App, Context
from hookline.store import control


async def test_fifty_runs_of_a_scope_run_one_at_a_time_in_order_across_three_replicas(dsn: str) -> None:
    app = App()
    inside: list[int] = []
    order: list[int] = []
    most = 0

    async def visit(number: int) -> None:
        nonlocal most
        inside.append(number)
        most = max(most, len(inside))
        order.append(number)
        await asyncio.sleep(0)
        inside.remove(number)

    @app.job(scope="{who}")
    async def work(ctx: Context, given: dict[str, object]) -> None:
        await ctx.step(visit, given["number"])

    async with at_home(app, dsn) as house, house.replica(), house.replica(), house.replica():
        started = [await house.start("work", {"who": "mona", "number": each}) for each in range(50)]
        other = await house.start("work", {"who": "hubot", "number": -1})
        rows = await house.watch.ended(*started, other)

    order.remove(-1)
    assert order == list(range(50))
    assert most <= 2  # of two scopes
    assert {row["state"] for row in rows} == {"succeeded"}


async def test_runs_created_at_once_queue_up_behind_exactly_one(dsn: str) -> None:
    app = App()

    @app.job(scope="one")
    async def work(ctx: Context, _: None) -> None: ...

    async with at_home(app, dsn) as house, at_home(app, dsn) as other:
        await asyncio.gather(*((house, other)[each % 2].start("work") for each in range(40)))
        found = await house.watch.connection.fetch(
            "select state, count(*), min(seq) from hookline.runs group by state order by min(seq)"
        )
    assert [(row["state"], row["count"]) for row in found] == [("queued", 1), ("blocked", 39)]
    assert found[0]["min"] < found[1]["min"]


async def test_cancelling_who_is_ahead_lets_the_next_one_in_and_a_blocked_one_just_leaves(dsn: str) -> None:
    app = App()

    @app.job(scope="one")
    async def work(ctx: Context, _: None) -> None: ...

    async with at_home(app, dsn) as house:
        first, second, third = [await house.start("work") for _ in range(3)]
        async with house.database.session() as connection:
            await control.cancel(connection, second, no_hooks)
            await control.cancel(connection, first, no_hooks)
        assert [(await house.read(run))["state"] for run in (first, second, third)] == [
            "cancelled",
            "cancelled",
            "queued",
        ]


async def test_a_failed_run_lets_the_next_one_in_but_a_paused_one_keeps_its_scope(dsn: str) -> None:
    app = App()

    @app.job(scope="one")
    async def work(ctx: Context, fail: bool) -> None:
        if fail:
            raise ValueError("as asked")

    async with at_home(app, dsn, max_losses=1) as house:
        runs_ = [await house.start("work", fail) for fail in (True, False, False)]
        async with house.replica():
            rows = await house.watch.ended(*runs_)
        assert [row["state"] for row in rows] == ["failed", "succeeded", "succeeded"]


async def test_an_idempotent_repeat_leaves_nobody_blocked_behind_nobody(dsn: str) -> None:
    app = App()

    @app.job(scope="{name}")
    async def work(ctx: Context, _: dict[str, str]) -> None: ...

    async with at_home(app, dsn) as house:
        first = await house.start("work", {"name": "a"}, idempotency_key="k")
        async with house.replica():
            await house.watch.ended(first)
        again, new = await asyncio.gather(
            house.start("work", {"name": "a"}, idempotency_key="k"), house.start("work", {"name": "a"})
        )
        assert again == first
        assert (await house.read(new))["state"] == "queued"
