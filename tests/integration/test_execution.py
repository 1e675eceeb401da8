"""How a run is executed: steps once, in order, recorded, retried, timed out, given up."""

from __future__ import annotations

import asyncio
import threading
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import pytest
from pydantic import BaseModel
from tests.support import at_home, no_hooks

from hookline import App, Context, Event, Fatal, Retry, step
from hookline.store import control

TWICE = Retry(attempts=2, delay=0)


class Boom(Exception):
    pass


class Invoice(BaseModel):
    number: int
    due: datetime


@dataclass
class Image:
    name: str
    layers: tuple[int, ...]


async def test_a_job_without_steps_succeeds_with_what_it_returns(dsn: str) -> None:
    app = App()

    @app.job()
    async def greet(ctx: Context, name: str) -> str:
        return f"hello {name}"

    async with at_home(app, dsn) as house, house.replica():
        run = await house.finish("greet", "Mona")

    assert (run["state"], run["output"]) == ("succeeded", b'"hello Mona"')
    assert run["started_at"] <= run["finished_at"]


async def test_steps_are_recorded_in_the_order_of_their_calls(dsn: str) -> None:
    app = App()

    async def double(x: int) -> int:
        return 2 * x

    def in_thread(x: int) -> str:
        return threading.current_thread().name

    @app.job()
    async def work(ctx: Context, x: int) -> int:
        first = await ctx.step(double, x)
        assert (await ctx.step(in_thread, first)).startswith("step")
        pair = await asyncio.gather(ctx.step(double, first), ctx.step(double, x=first + 1))
        return sum(pair)

    async with at_home(app, dsn) as house, house.replica():
        run = await house.finish("work", 5)

    assert run["output"] == b"42"
    assert [(each["key"], each["state"]) for each in run["journal"]] == [
        ("double", "succeeded"),
        ("in_thread", "succeeded"),
        ("double#2", "succeeded"),
        ("double#3", "succeeded"),
    ]


async def test_typed_values_come_back_from_the_journal_as_what_was_declared(dsn: str) -> None:
    app = App()

    async def invoice(number: int) -> Invoice:
        return Invoice(number=number, due=datetime(2026, 11, 21))

    def image() -> Image:
        return Image("site", (1, 2))

    def untyped():  # type: ignore[no-untyped-def]
        return {"when": (1, 2)}

    @app.job()
    async def work(ctx: Context, given: Invoice) -> list[Any]:
        made, built, loose = await ctx.step(invoice, given.number), await ctx.step(image), await ctx.step(untyped)
        return [type(made).__name__, built == Image("site", (1, 2)), loose]

    async with at_home(app, dsn) as house, house.replica():
        run = await house.finish("work", {"number": 7, "due": "2026-01-01T00:00:00Z"})

    assert run["output"] == b'["Invoice",true,{"when":[1,2]}]'


async def test_an_event_reaches_its_job_whole(dsn: str) -> None:
    app = App()

    @app.job()
    async def work(ctx: Context, event: Event) -> list[Any]:
        return [event.type, event.data["after"]]

    async with at_home(app, dsn) as house, house.replica():
        run = await house.finish("work", {"after": "9fceb02"})

    assert run["output"] == b'["trigger","9fceb02"]'


async def test_a_failed_step_fails_the_run_with_its_type_and_text(dsn: str) -> None:
    app = App()

    async def burn() -> None:
        raise Boom("the \0 cake \udcff")

    @app.job()
    async def work(ctx: Context, _: None) -> None:
        await ctx.step(burn)

    async with at_home(app, dsn) as house, house.replica():
        run = await house.finish("work")

    assert run["state"] == "failed"
    assert "Boom" in run["reason"]
    assert b"traceback" in run["error"]
    assert [each["state"] for each in run["journal"]] == ["failed"]


async def test_a_job_may_catch_what_a_step_raised_by_its_type(dsn: str) -> None:
    app = App()

    async def burn() -> None:
        raise Boom("cake")

    async def order_another() -> str:
        return "ordered"

    @app.job()
    async def work(ctx: Context, _: None) -> str:
        try:
            await ctx.step(burn)
        except Boom as error:
            return f"{error}: {await ctx.step(order_another)}"
        return "none needed"

    async with at_home(app, dsn) as house, house.replica():
        run = await house.finish("work")

    assert run["output"] == b'"cake: ordered"'


async def test_a_step_is_tried_again_as_its_policy_says(dsn: str) -> None:
    app = App()
    tries: list[int] = []

    @step(retry=Retry(attempts=3, delay=0.001))
    async def flaky() -> int:
        tries.append(1)
        if len(tries) < 3:
            raise Boom("not yet")
        return len(tries)

    @app.job()
    async def work(ctx: Context, _: None) -> int:
        return await ctx.step(flaky)

    async with at_home(app, dsn) as house, house.replica():
        run = await house.finish("work")

    assert run["output"] == b"3"
    assert [(each["key"], each["attempt"]) for each in run["journal"]] == [("flaky", 3)]


@pytest.mark.parametrize("error", [Fatal("no"), KeyError("other")], ids=["fatal", "not among those to retry"])
async def test_some_errors_are_never_tried_again(dsn: str, error: Exception) -> None:
    app = App()
    tries: list[int] = []

    @step(retry=Retry(attempts=5, delay=0, on=(Boom, Fatal)))
    async def once() -> None:
        tries.append(1)
        raise error

    @app.job()
    async def work(ctx: Context, _: None) -> None:
        await ctx.step(once)

    async with at_home(app, dsn) as house, house.replica():
        run = await house.finish("work")

    assert (run["state"], len(tries)) == ("failed", 1)


async def test_a_long_pause_gives_the_run_back_and_keeps_the_count_of_tries(dsn: str) -> None:
    app = App()
    tries: list[int] = []

    @step(retry=Retry(attempts=2, delay=timedelta(hours=1), jitter=0))
    async def flaky() -> int:
        tries.append(1)
        if len(tries) == 1:
            raise Boom("come back in an hour")
        return len(tries)

    @app.job()
    async def work(ctx: Context, _: None) -> int:
        return await ctx.step(flaky)

    async with at_home(app, dsn) as house:
        async with house.replica():
            run = await house.start("work")
            await house.watch.value("select claims = 1 and state = 'waiting' from hookline.runs where id = $1", run)
            left = await house.watch.value("select due_at - now() from hookline.runs where id = $1", run)
            assert timedelta(minutes=59) < left <= timedelta(hours=1)
            assert await house.journal(run) == ["flaky retrying"]
        async with house.replica():
            await house.watch.connection.execute("update hookline.runs set due_at = now()")
            await house.watch.connection.execute("update hookline.journal set due_at = now()")
            await house.watch.ended(run)
        assert (await house.read(run))["output"] == b"2"
        assert await house.journal(run) == ["flaky succeeded"]


async def test_a_branch_that_pauses_long_does_not_interrupt_a_sibling_at_work(dsn: str) -> None:
    app = App()
    release = asyncio.Event()
    calls: list[str] = []

    @step(retry=Retry(attempts=2, delay=3600))
    async def pausing() -> None:
        calls.append("pausing")
        raise Boom("later")

    async def working() -> str:
        calls.append("working")
        await release.wait()
        return "done"

    @app.job()
    async def work(ctx: Context, _: None) -> None:
        await asyncio.gather(ctx.step(pausing), ctx.step(working))

    async with at_home(app, dsn) as house, house.replica():
        run = await house.start("work")
        await house.watch.value("select true from hookline.journal where state = 'started'")
        release.set()
        await house.watch.value("select state = 'waiting' from hookline.runs where id = $1", run)
        assert await house.journal(run) == ["pausing retrying", "working succeeded"]
    assert calls == ["pausing", "working"]


async def test_a_step_that_takes_too_long_fails_with_a_timeout(dsn: str) -> None:
    app = App()

    @step(timeout=0.01)
    async def slow() -> None:
        await asyncio.Event().wait()

    @app.job()
    async def work(ctx: Context, _: None) -> None:
        await ctx.step(slow)

    async with at_home(app, dsn) as house, house.replica():
        run = await house.finish("work")

    assert run["state"] == "failed"
    assert "TimeoutError: step slow exceeded its 0.01 s" in run["reason"]


async def test_a_run_that_takes_too_long_fails_even_while_a_step_is_at_work(dsn: str) -> None:
    app = App()

    async def slow() -> None:
        await asyncio.Event().wait()

    @app.job(timeout=0.05)
    async def work(ctx: Context, _: None) -> None:
        await ctx.step(slow)

    async with at_home(app, dsn) as house, house.replica():
        run = await house.finish("work")

    assert (run["state"], run["reason"]) == ("failed", "the run exceeded the 0.05 s that its job allows")


async def test_a_failed_run_is_tried_again_from_the_step_that_failed(dsn: str) -> None:
    app = App()
    calls: list[str] = []

    async def build() -> str:
        calls.append("build")
        return "image"

    async def ship(image: str) -> str:
        calls.append("ship")
        if calls.count("ship") == 1:
            raise Boom("no route")
        return f"shipped {image}"

    @app.job(retry=TWICE)
    async def work(ctx: Context, _: None) -> str:
        return await ctx.step(ship, await ctx.step(build))

    async with at_home(app, dsn) as house, house.replica():
        run = await house.finish("work")

    assert (run["output"], run["attempt"]) == (b'"shipped image"', 2)
    assert calls == ["build", "ship", "ship"]


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (object(), "not representable as JSON"),
        (float("nan"), "finite number"),
        ("not an int", "should be a valid integer"),
        ("\ud800", "surrogates"),
    ],
    ids=["an object", "NaN", "another type", "a lone surrogate"],
)
async def test_what_cannot_be_recorded_fails_its_step_clearly(dsn: str, value: object, message: str) -> None:
    app = App()

    @step(retry=TWICE)
    async def make() -> int:
        return value  # type: ignore[return-value]

    @app.job()
    async def work(ctx: Context, _: None) -> None:
        await ctx.step(make)

    async with at_home(app, dsn) as house, house.replica():
        run = await house.finish("work")

    assert run["state"] == "failed"
    assert "what step make returned cannot be recorded" in run["reason"]
    assert message in run["reason"]


async def test_what_postgres_refuses_fails_its_step_and_not_its_neighbours(dsn: str) -> None:
    app = App()

    async def make(x: int) -> str:
        return "ok" if x else "\\ud800" * 1

    async def escaped() -> Any:
        return {"a": "fine"}

    @app.job()
    async def work(ctx: Context, x: int) -> str:
        await ctx.step(escaped)
        return await ctx.step(make, x)

    async with at_home(app, dsn) as house, house.replica():
        await house.watch.connection.execute(
            """
            create function hookline.refuse() returns trigger language plpgsql as $$
            begin raise data_exception using message = 'no such thing here'; end $$;
            create trigger refuse before insert on hookline.journal for each row
                when (new.output::text like '%ud800%') execute function hookline.refuse();
            """
        )
        runs = [await house.start("work", x) for x in (1, 0, 1, 0, 1)]
        rows = await house.watch.ended(*runs)

    assert [row["state"] for row in rows] == ["succeeded", "failed", "succeeded", "failed", "succeeded"]


@pytest.mark.parametrize("stray", [SystemExit(3), asyncio.CancelledError(), GeneratorExit()], ids=repr)
async def test_a_job_cannot_stop_its_worker(dsn: str, stray: BaseException) -> None:
    app = App()

    @app.job()
    async def bad(ctx: Context, _: None) -> None:
        raise stray

    @app.job()
    async def good(ctx: Context, _: None) -> str:
        return "still here"

    async with at_home(app, dsn) as house, house.replica():
        assert (await house.finish("bad"))["state"] == "failed"
        assert (await house.finish("good"))["state"] == "succeeded"


async def test_a_job_that_swallows_everything_is_cancelled_all_the_same(dsn: str) -> None:
    app = App()
    entered = asyncio.Event()

    async def slow() -> None:
        entered.set()
        await asyncio.Event().wait()

    async def clean_up() -> None:
        raise AssertionError("nothing runs after a cancel")

    @app.job()
    async def work(ctx: Context, _: None) -> str:
        try:
            await ctx.step(slow)
        except BaseException:
            await ctx.step(clean_up)
        return "survived"

    async with at_home(app, dsn) as house, house.replica():
        run = await house.start("work")
        await entered.wait()
        async with house.database.session() as connection:
            assert await control.cancel(connection, run, no_hooks) == "running"
        (row,) = await house.watch.ended(run)

    assert (row["state"], row["reason"], row["control"]) == ("cancelled", "cancelled by an operator", None)


async def test_code_that_changed_under_a_run_pauses_it_and_names_the_key(dsn: str) -> None:
    old, new = App(), App()
    calls: list[str] = []

    async def build() -> None:
        calls.append("build")

    async def compile_() -> None:
        calls.append("compile")

    @step(retry=Retry(attempts=2, delay=3600))
    async def wait_for_it() -> None:
        raise Boom("later")

    @old.job(name="work")
    async def before(ctx: Context, _: None) -> None:
        await ctx.step(build)
        await ctx.step(wait_for_it)

    @new.job(name="work")
    async def after(ctx: Context, _: None) -> None:
        await ctx.step(compile_)
        await ctx.step(wait_for_it)

    async with at_home(old, dsn) as house:
        async with house.replica():
            run = await house.start("work")
            await house.watch.value("select claims = 1 and state = 'waiting' from hookline.runs where id = $1", run)
        house.app = new
        await house.watch.connection.execute("update hookline.runs set due_at = now()")
        async with house.replica():
            (row,) = await house.watch.ended(run)

    assert row["state"] == "paused"
    assert "asks for step compile_, which is new, where the journal holds step build" in row["reason"]
    assert calls == ["build"]


async def test_a_replica_takes_only_the_versions_that_it_has(dsn: str) -> None:
    app, newer = App(), App()

    @app.job(name="work", version=1)
    async def first(ctx: Context, _: None) -> int:
        return 1

    @newer.job(name="work", version=2)
    async def second(ctx: Context, _: None) -> int:
        return 2

    async with at_home(app, dsn) as house, at_home(newer, dsn) as other:
        one, two = await house.start("work"), await other.start("work")
        async with other.replica():
            await house.watch.ended(two)
            assert (await house.read(one))["state"] == "queued"
            async with house.replica():
                await house.watch.ended(one)
        assert [(await house.read(each))["output"] for each in (one, two)] == [b"1", b"2"]


async def test_higher_priority_runs_first_and_a_delay_is_kept(dsn: str) -> None:
    app = App()
    ran: list[str] = []

    @app.job()
    async def work(ctx: Context, name: str) -> None:
        ran.append(name)

    async with at_home(app, dsn, slots=1) as house:
        low = await house.start("work", "low", priority=-5)
        late = await house.start("work", "late", priority=100, delay=3600)
        high = await house.start("work", "high", priority=5)
        async with house.replica():
            await house.watch.ended(low, high)
        assert ran == ["high", "low"]
        assert (await house.read(late))["state"] == "queued"


async def test_an_idempotency_key_makes_one_run(dsn: str) -> None:
    app = App()

    @app.job()
    async def work(ctx: Context, _: None) -> None: ...

    async with at_home(app, dsn) as house:
        runs = await asyncio.gather(*(house.start("work", idempotency_key="once") for _ in range(50)))
        assert len(set(runs)) == 1
        assert await house.start("work", idempotency_key="twice") != runs[0]


async def test_a_wrapped_coroutine_function_is_awaited_though_it_looks_plain(dsn: str) -> None:
    app = App()

    async def real(x: int) -> int:
        return x + 1

    def wrapped(x: int) -> Any:
        return real(x)

    @app.job()
    async def work(ctx: Context, x: int) -> int:
        return await ctx.step(wrapped, x)

    async with at_home(app, dsn) as house, house.replica():
        assert (await house.finish("work", 1))["output"] == b"2"
