"""Runs of one job and scope run one at a time, in the order in which they were created."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support import House, at_home, no_hooks

from hookline import App, ChildCancelled, Context, Debounce, Rate, Trigger
from hookline.errors import ConfigurationError
from hookline.starts import asked_for
from hookline.store import control, rates, runs


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


async def dues(house: House) -> list[tuple[str, float]]:
    """The state of each run, in the order in which they came, and in how many seconds after the first it is due."""
    rows = await house.watch.connection.fetch("select state, due_at from hookline.runs where job = 'work' order by seq")
    return [(row["state"], round((row["due_at"] - rows[0]["due_at"]).total_seconds(), 1)) for row in rows]


def of(**options: Any) -> App:
    app = App()

    @app.job(scope="one", **options)
    async def work(ctx: Context, number: int) -> int:
        return number

    return app


async def test_as_many_runs_of_a_scope_as_its_limit_are_under_way_at_once_in_order(dsn: str) -> None:
    app = App()
    inside: set[int] = set()
    begun: list[int] = []
    full, go_on = asyncio.Event(), asyncio.Event()

    async def visit(number: int) -> None:
        begun.append(number)
        inside.add(number)
        assert len(inside) <= 3
        if len(inside) == 3:
            full.set()
        await go_on.wait()
        inside.remove(number)

    @app.job(scope="one", limit=3)
    async def work(ctx: Context, number: int) -> None:
        await ctx.step(visit, number)

    async with at_home(app, dsn) as house, house.replica(), house.replica():
        started = [await house.start("work", number) for number in range(12)]
        await full.wait()
        assert [state for state, _ in await dues(house)] == ["running"] * 3 + ["blocked"] * 9
        go_on.set()
        rows = await house.watch.ended(*started)
    assert {row["state"] for row in rows} == {"succeeded"}
    assert sorted(begun[:3]) == [0, 1, 2]


async def test_a_run_that_is_paused_before_its_turn_keeps_nobody_out_who_came_before_it(dsn: str) -> None:
    async with at_home(of(), dsn) as house:
        runs_ = [await house.start("work", number) for number in range(3)]

        async def states() -> list[str]:
            return [(await house.read(run))["state"] for run in runs_]

        async with house.database.session() as connection:
            await control.pause(connection, runs_[0], no_hooks)
            await control.pause(connection, runs_[1], no_hooks)
            await control.resume(connection, runs_[0])
            assert await states() == ["queued", "paused", "blocked"]
            await control.cancel(connection, runs_[0], no_hooks)
            assert await states() == ["cancelled", "paused", "blocked"]
            await control.cancel(connection, runs_[1], no_hooks)
            assert await states() == ["cancelled", "cancelled", "queued"]


async def test_a_limit_that_is_raised_lets_those_in_who_waited(dsn: str) -> None:
    async with at_home(of(), dsn) as house:
        for number in range(4):
            await house.start("work", number)
        assert [state for state, _ in await dues(house)] == ["queued"] + ["blocked"] * 3
    async with at_home(of(limit=3), dsn) as house:
        await house.start("work", 4)
        assert [state for state, _ in await dues(house)] == ["queued"] * 3 + ["blocked"] * 2
    async with at_home(of(limit=None), dsn) as house:
        await house.start("work", 5)
        assert [state for state, _ in await dues(house)] == ["queued"] * 6


async def test_runs_of_a_scope_become_due_no_more_often_than_its_rate(dsn: str) -> None:
    async with at_home(of(limit=None, rate=Rate(2, per=timedelta(minutes=1))), dsn) as house:
        for number in range(5):
            await house.start("work", number)
        found = await dues(house)
    assert [state for state, _ in found] == ["queued"] * 5
    first, second, third, fourth, fifth = (due for _, due in found)
    assert (first, third, fourth - second, fifth) == (0, 60, 60, 120)


async def test_runs_that_wait_for_their_turn_take_their_place_in_the_rate_when_it_comes(dsn: str) -> None:
    async with at_home(of(rate=Rate(1, per=timedelta(minutes=1))), dsn) as house, house.replica():
        first = await house.start("work", 0)
        await house.watch.ended(first)
        second, third = await house.start("work", 1), await house.start("work", 2)
        assert [due for _, due in await dues(house)][:2] == [0, 60]
        assert (await house.read(third))["state"] == "blocked"
        async with house.database.session() as connection:
            await control.cancel(connection, second, no_hooks)
        assert (await house.read(third))["state"] == "queued"


async def test_who_is_replaced_gives_its_place_in_the_rate_to_who_replaces_it(dsn: str) -> None:
    app = of(limit=None, rate=Rate(1, per=timedelta(minutes=1)), policy="replace_waiting")
    async with at_home(app, dsn) as house, house.replica():
        await house.watch.ended(await house.start("work", 0))
        for number in range(1, 5):
            await house.start("work", number)
        assert await dues(house) == [("succeeded", 0), *[("cancelled", 60)] * 3, ("queued", 60)]


async def test_a_newcomer_goes_again_where_there_is_no_room(dsn: str) -> None:
    async with at_home(of(limit=2, policy="skip"), dsn) as house:
        await asyncio.gather(*(house.start("work", number) for number in range(5)))
        assert [state for state, _ in await dues(house)] == ["queued", "queued", *["cancelled"] * 3]


async def test_a_newcomer_goes_again_where_there_were_as_many_as_the_rate_allows(dsn: str) -> None:
    app = of(limit=None, rate=Rate(2, per=timedelta(hours=1)), policy="skip")
    async with at_home(app, dsn) as house, house.replica():
        await house.watch.ended(await house.start("work", 0))
        await house.watch.ended(*await asyncio.gather(*(house.start("work", number) for number in range(1, 5))))
        assert [state for state, _ in await dues(house)] == ["succeeded", "succeeded", *["cancelled"] * 3]
        reason = await house.watch.value("select reason from hookline.runs order by seq desc limit 1")
        assert reason == "there were 2 in 3600 s already, and the policy is to skip"
        await house.watch.connection.execute("update hookline.scopes set starts = '{}'")
        last = await house.start("work", 5)
        assert (await house.watch.ended(last))[0]["state"] == "succeeded"


async def test_a_debounced_run_is_due_when_no_other_has_come_for_a_while(dsn: str) -> None:
    async with at_home(of(policy=Debounce(60)), dsn) as house:
        for number in range(3):
            await house.start("work", number)
        assert await stand(house) == [("0", "cancelled", "1"), ("1", "cancelled", "2"), ("2", "queued", None)]
        until = await house.watch.value("select due_at - created_at from hookline.runs order by seq desc limit 1")
        assert until == timedelta(seconds=60)


async def test_a_debounced_run_is_put_off_no_longer_than_it_may_be(dsn: str) -> None:
    app = of(policy=Debounce(60, at_most=timedelta(seconds=90)))
    longest = "select due_at - (select since from hookline.scopes) from hookline.runs order by seq desc limit 1"
    async with at_home(app, dsn) as house:
        await house.start("work", 0)
        await house.watch.connection.execute("update hookline.scopes set since = since - interval '80 s'")
        await house.start("work", 1)
        assert await house.watch.value(longest) == timedelta(seconds=90)
        await house.watch.connection.execute("update hookline.runs set due_at = now() where state = 'queued'")
        async with house.replica():
            await house.watch.value("select count(*) = 1 from hookline.runs where state = 'succeeded'")
        together = [asked_for(Trigger("work", number), app.latest) for number in (2, 3)]
        async with house.database.session() as connection:
            await runs.create(connection, together)
        assert await house.watch.value(longest) == timedelta(seconds=60)


@given(
    steps=st.lists(st.tuples(st.floats(0, 100), st.integers(1, 5)), max_size=40),
    count=st.integers(1, 6),
    per=st.integers(1, 60),
)
def test_no_span_has_more_starts_than_its_rate_says_and_none_is_early(
    steps: list[tuple[float, int]], count: int, per: int
) -> None:
    now, starts, all_ = datetime(2026, 1, 1, tzinfo=UTC), list[datetime](), list[datetime]()
    for pause, many in steps:
        now += timedelta(seconds=pause)
        moments, starts = rates.spaced(starts, [now] * many, count, per)
        assert min(moments) >= now
        all_ += moments
    all_.sort()
    for first, beyond in zip(all_, all_[count:], strict=False):
        assert beyond - first >= timedelta(seconds=per)


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"scope": "one", "policy": "drop"}, "a policy is queue, "),
        ({"policy": "skip"}, "has a policy, but no scope"),
        ({"limit": 3}, "has a limit, but no scope"),
        ({"scope": "one", "limit": 0}, "a limit is at least 1"),
        ({"scope": "one", "limit": 2, "policy": "cancel_running"}, "only 1 is under way"),
    ],
)
def test_a_policy_that_makes_no_sense_stops_the_start(options: Any, told: str) -> None:
    with pytest.raises(ConfigurationError, match=told):

        @App().job(**options)
        async def work(ctx: Context, _: None) -> None: ...
