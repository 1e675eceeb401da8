"""Runs of one job and scope run one at a time, in the order in which they were created."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from tests.support import House, at_home, no_hooks

from hookline import App, ChildCancelled, Context
from hookline.errors import ConfigurationError
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


async def stand(house: House) -> list[tuple[Any, str, str | None]]:
    """The input of each run, in the order in which they came, its state, and whose run took its place."""
    rows = await house.watch.connection.fetch(
        """
        select data.input::text as input, runs.state, other.input::text as superseded_by
          from hookline.runs join hookline.run_data data on data.run_id = runs.id
          left join hookline.run_data other on other.run_id = runs.superseded_by
         where job = 'work' order by seq
        """
    )
    return [tuple(row) for row in rows]


def policed(policy: Any, begun: asyncio.Event, go_on: asyncio.Event, undone: list[int]) -> App:
    app = App()

    async def hold(number: int) -> None:
        begun.set()
        await go_on.wait()

    async def undo(number: int) -> None:
        undone.append(number)

    @app.job(scope="one", policy=policy)
    async def work(ctx: Context, number: int) -> int:
        ctx.compensate(undo, number)
        await ctx.step(hold, number)
        return number

    return app


async def test_fifty_runs_of_which_each_replaces_who_waits_make_two(dsn: str) -> None:
    begun, go_on = asyncio.Event(), asyncio.Event()
    async with at_home(policed("replace_waiting", begun, go_on, []), dsn) as house, house.replica():
        first = await house.start("work", 0)
        await begun.wait()
        others = [await house.start("work", number) for number in range(1, 51)]
        go_on.set()
        await house.watch.ended(first, *others)
        replaced = [(str(number), "cancelled", str(number + 1)) for number in range(1, 50)]
        assert await stand(house) == [("0", "succeeded", None), *replaced, ("50", "succeeded", None)]


async def test_runs_that_come_at_once_and_replace_who_waits_leave_one(dsn: str) -> None:
    app = policed("replace_waiting", asyncio.Event(), asyncio.Event(), [])
    async with at_home(app, dsn) as house, at_home(app, dsn) as other:
        await asyncio.gather(*((house, other)[number % 2].start("work", number) for number in range(40)))
        found = await stand(house)
    assert [state for _, state, _ in found] == ["cancelled"] * 39 + ["queued"]


@pytest.mark.parametrize("waiting", [0, 2])
async def test_a_newcomer_has_those_that_run_cancelled_with_their_compensations(dsn: str, waiting: int) -> None:
    begun, go_on, undone = asyncio.Event(), asyncio.Event(), list[int]()
    async with at_home(policed("cancel_running", begun, go_on, undone), dsn) as house, house.replica():
        first = await house.start("work", 0)
        await begun.wait()
        others = [await house.start("work", number) for number in range(1, waiting + 2)]
        await house.watch.ended(first, *others[:-1])
        assert undone == [0]
        go_on.set()
        await house.watch.ended(others[-1])
        found = await stand(house)
        assert found[0][:2] == ("0", "cancelled")
        assert found[0][2] is not None
        assert found[-1] == (str(waiting + 1), "succeeded", None)
        reason = (await house.read(first))["reason"]
        assert reason.startswith("superseded by run")


async def test_a_newcomer_goes_again_where_somebody_is_there(dsn: str) -> None:
    begun, go_on = asyncio.Event(), asyncio.Event()
    async with at_home(policed("skip", begun, go_on, []), dsn) as house, house.replica():
        first = await house.start("work", 0)
        await begun.wait()
        second = await house.start("work", 1)
        assert await stand(house) == [("0", "running", None), ("1", "cancelled", "0")]
        go_on.set()
        await house.watch.ended(first, second)
        third = await house.start("work", 2)
        await house.watch.ended(third)
        assert (await stand(house))[-1] == ("2", "succeeded", None)


async def test_a_run_that_waits_for_one_that_was_replaced_is_told(dsn: str) -> None:
    begun, go_on = asyncio.Event(), asyncio.Event()
    app = policed("replace_waiting", begun, go_on, [])

    @app.job()
    async def parent(ctx: Context, _: None) -> str:
        try:
            await ctx.run_job("work", 1)
        except ChildCancelled:
            return "told"
        return "?"

    async with at_home(app, dsn) as house, house.replica():
        first = await house.start("work", 0)
        await begun.wait()
        waits = await house.start("parent")
        await house.watch.value("select count(*) = 2 from hookline.runs where job = 'work'")
        last = await house.start("work", 2)
        await house.watch.ended(waits)
        assert (await house.read(waits))["output"] == b'"told"'
        go_on.set()
        await house.watch.ended(first, last)


@pytest.mark.parametrize(
    ("options", "told"),
    [({"scope": "one", "policy": "drop"}, "a policy is queue, "), ({"policy": "skip"}, "but no scope")],
)
def test_a_policy_that_makes_no_sense_stops_the_start(options: Any, told: str) -> None:
    with pytest.raises(ConfigurationError, match=told):

        @App().job(**options)
        async def work(ctx: Context, _: None) -> None: ...
