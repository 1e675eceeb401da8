"""What a job may await: time, signals, events, callbacks, other runs, several things at once."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from tests.support import PUSH, House, at_home, on_site, states

from hookline import (
    App,
    CallbackFailed,
    ChildCancelled,
    Context,
    Event,
    Fatal,
    Pattern,
    Retry,
    SignalRefused,
    TooManyFailed,
    current_step,
    progress,
    step,
)
from hookline.codec import uuid7
from hookline.engine.ledger import Ledger
from hookline.engine.parking import GRACE
from hookline.ingress.examination import examine
from hookline.ingress.schemes import Headers, Received, Unsigned
from hookline.ingress.sources import Source
from hookline.store import deliveries
from hookline.store.journal import Record
from hookline.store.signals import NewSignal
from hookline_parsers import github

WAITING = "select state = 'waiting' from hookline.runs where id = $1"


async def send(house: House, run: UUID, name: str, data: bytes = b"null") -> str:
    return await house.intake.send(NewSignal(uuid7(), run, name, data))


async def double(x: int) -> int:
    return 2 * x


async def forward(house: House, run: UUID, **span: float) -> None:
    """Let time pass for `run`, by moving its rows."""
    back = timedelta(**span)
    async with house.database.session() as connection:
        await connection.execute(
            "update hookline.journal set due_at = due_at - $2::interval where run_id = $1", run, back
        )
        await connection.execute("update hookline.runs set due_at = due_at - $2::interval where id = $1", run, back)


async def test_a_long_sleep_holds_nothing_and_ends_at_its_time(dsn: str) -> None:
    app = App()

    @app.job()
    async def nap(ctx: Context, _: None) -> str:
        await ctx.step(double, 1)
        await ctx.sleep(timedelta(hours=3))
        return "awake"

    async with at_home(app, dsn) as house, house.replica() as replica:
        run = await house.start("nap")
        await house.watch.value(WAITING, run)
        due = (await house.read(run))["due_at"]
        assert timedelta(hours=2, minutes=59) < due - datetime.now(UTC) < timedelta(hours=3, minutes=1)
        assert replica.slack is not None
        await forward(house, run, hours=3)
        await house.watch.ended(run)
        told = await house.read(run)

    assert (told["state"], told["output"]) == ("succeeded", b'"awake"')
    assert [(e["key"], e["state"]) for e in told["journal"]] == [("double", "succeeded"), ("sleep", "succeeded")]


async def test_short_sleeps_and_moments_that_have_passed_take_no_detour(dsn: str) -> None:
    app = App()

    @app.job()
    async def nap(ctx: Context, _: None) -> int:
        await ctx.sleep(0.01)
        await ctx.sleep_until(datetime(2001, 1, 1, tzinfo=UTC))
        await ctx.sleep(-5)
        return 3

    async with at_home(app, dsn) as house, house.replica():
        run = await house.finish("nap")

    assert run["state"] == "succeeded"
    assert len(run["journal"]) == 3


async def test_signals_are_held_and_taken_in_order_each_by_one_wait(dsn: str) -> None:
    app = App()

    @app.job()
    async def listen(ctx: Context, _: None) -> list[Any]:
        first = await ctx.wait_for("word")
        await ctx.wait_for("go")
        return [first, await ctx.wait_for("word"), *await asyncio.gather(ctx.wait_for("word"), ctx.wait_for("word"))]

    async with at_home(app, dsn) as house:
        run = await house.start("listen")
        assert await send(house, run, "word", b"1") == "sent"
        async with house.replica():
            await house.watch.value(WAITING, run)
            for data in (b"2", b"3", b"4"):
                assert await send(house, run, "word", data) == "sent"
            assert await send(house, run, "go") == "sent"
            await house.watch.ended(run)
        told = await house.read(run)
        assert await send(house, run, "word") == "ended"
        assert await send(house, uuid7(), "word") == "unknown"

    assert told["output"] == b"[1,2,3,4]"


async def test_a_signal_reaches_a_wait_beside_a_step_at_work(dsn: str) -> None:
    app = App()
    heard = asyncio.Event()

    async def long() -> None:
        await heard.wait()

    @app.job()
    async def both(ctx: Context, _: None) -> Any:
        async def listen() -> Any:
            word = await ctx.wait_for("word")
            heard.set()
            return word

        return (await asyncio.gather(ctx.step(long), listen()))[1]

    async with at_home(app, dsn) as house, house.replica():
        run = await house.start("both")
        await house.watch.value("select true from hookline.journal where run_id = $1 and state = 'waiting'", run)
        await send(house, run, "word", b'"hi"')
        await house.watch.ended(run, timeout=10)
        assert (await house.read(run))["output"] == b'"hi"'


async def test_a_wait_whose_time_is_up_raises_the_same_now_and_on_a_replay(dsn: str) -> None:
    app = App()

    @app.job()
    async def listen(ctx: Context, _: None) -> str:
        try:
            await ctx.wait_for("word", timeout=timedelta(hours=1))
        except TimeoutError:
            await ctx.wait_for("other")
            return "late"
        return "early"

    async with at_home(app, dsn) as house, house.replica():
        run = await house.start("listen")
        await house.watch.value(WAITING, run)
        await forward(house, run, hours=1)
        await house.watch.value("select true from hookline.journal where run_id = $1 and key = 'other'", run)
        await send(house, run, "word")
        await send(house, run, "other")
        await house.watch.ended(run)
        assert (await house.read(run))["output"] == b'"late"'


async def test_an_event_is_found_whether_it_comes_before_the_wait_or_after(dsn: str) -> None:
    app = App()

    @app.job(on=github.push())
    async def deploy(ctx: Context, event: Event) -> list[str]:
        await ctx.wait_for("go")
        early = await ctx.wait_for(github.check_suite(sha="9fceb02", actions="completed"))
        late = await ctx.wait_for(github.check_suite(sha="9fceb02", actions="completed"))
        return [early.data["check_suite"]["conclusion"], late.data["check_suite"]["conclusion"]]

    def suite(sha: str, conclusion: str) -> bytes:
        return b'{"action": "completed", "check_suite": {"head_sha": "%s", "conclusion": "%s"}}' % (
            sha.encode(), conclusion.encode(),
        )  # fmt: skip

    async with on_site(app, dsn) as site, site.house.replica():
        house = site.house
        run = UUID((await site.push("g1", PUSH)).json()["runs"][0])
        await house.watch.value(WAITING, run)
        assert (await site.push("g2", suite("other", "no"), X_GitHub_Event="check_suite")).status_code == 202
        assert (await site.push("g3", suite("9fceb02", "first"), X_GitHub_Event="check_suite")).status_code == 202
        await send(house, run, "go")
        await house.watch.value("select count(*) = 1 from hookline.waits where run_id = $1 and key like '%#2'", run)
        await house.watch.value(WAITING, run)
        assert (await site.push("g4", suite("other", "no"), X_GitHub_Event="check_suite")).status_code == 202
        assert (await site.push("g5", suite("9fceb02", "second"), X_GitHub_Event="check_suite")).status_code == 202
        await house.watch.ended(run)
        told = await house.read(run)
        assert await house.watch.connection.fetchval("select count(*) from hookline.waits") == 0

    assert told["output"] == b'["first","second"]'


async def test_an_event_that_is_being_stored_while_its_wait_looks_back_is_brought_to_it(dsn: str) -> None:
    app = App()

    @app.job()
    async def listen(ctx: Context, sha: str) -> str:
        event = await ctx.wait_for(github.check_suite(sha=sha))
        return str(event.data["check_suite"]["head_sha"])

    def suite(sha: str) -> bytes:
        return b'{"action": "completed", "check_suite": {"head_sha": "%s"}}' % sha.encode()

    async with on_site(app, dsn) as site, site.house.replica():
        house = site.house
        headers = github.parser.headers_for("check_suite", "g1", suite("slow"))
        received = Received(Headers([(k.lower().encode(), v.encode()) for k, v in headers.items()]), suite("slow"))
        slow, _ = examine(Source("github", github.parser, Unsigned(), ()), received, app.latest)
        frozen = await house.database.connect()
        async with frozen.transaction():
            await deliveries.store(frozen, [slow])
            run, other = await house.start("listen", "slow"), await house.start("listen", "fast")
            for each in (run, other):
                await house.watch.value(WAITING, each)
            assert (await site.push("g2", suite("fast"), X_GitHub_Event="check_suite")).status_code == 202
            assert states(await house.watch.ended(other)) == ["succeeded"]
        await frozen.close()
        assert states(await house.watch.ended(run)) == ["succeeded"]
        assert await house.watch.value("select count(*) = 0 from hookline.arrivals")


async def test_an_event_that_a_predicate_refuses_is_passed_over(dsn: str) -> None:
    app = App()

    @app.job()
    async def listen(ctx: Context, _: None) -> str:
        event = await ctx.wait_for(Pattern(["github.push"], when=lambda e: e.data["after"] == "b"))
        return str(event.data["after"])

    async with on_site(app, dsn) as site, site.house.replica():
        run = await site.house.start("listen")
        await site.house.watch.value(WAITING, run)
        await site.push("g1", b'{"after": "a"}')
        await site.push("g2", b'{"after": "b"}')
        await site.house.watch.ended(run)
        assert (await site.house.read(run))["output"] == b'"b"'


async def test_a_callback_is_completed_once_and_its_address_tells_whether_it_is_open(dsn: str) -> None:
    app = App()

    @app.job()
    async def order(ctx: Context, _: None) -> str:
        paid = await ctx.callback("paid", timeout=timedelta(days=1), returns=int)
        await ctx.set_var("url", paid.url)
        try:
            return f"paid {await paid}"
        except CallbackFailed as error:
            return f"not paid: {error}"

    async with on_site(app, dsn) as site, site.house.replica():
        house = site.house
        outputs = []
        for body in ({"data": 7}, {"error": "no money"}):
            run = await house.start("order")
            await house.watch.value(WAITING, run)
            url = (await site.client.get(f"/api/runs/{run}/debug")).json()["variables"]["url"]
            path = url.removeprefix("http://127.0.0.1:8000")
            assert (await site.client.get(path)).json() == {"callback": "paid", "open": True}
            assert (await site.client.post(path[:-2] + "zz", json=body)).status_code == 404
            assert (await site.client.post(path, json=body)).status_code == 202
            await house.watch.ended(run)
            assert (await site.client.post(path, json=body)).status_code == 410
            outputs.append((await house.read(run))["output"])

    assert outputs == [b'"paid 7"', b'"not paid: no money"']


async def test_a_callback_without_a_sign_of_life_fails_sooner(dsn: str) -> None:
    app = App()

    @app.job()
    async def order(ctx: Context, _: None) -> str:
        done = await ctx.callback("done", timeout=timedelta(days=1), heartbeat=timedelta(minutes=5))
        await ctx.set_var("url", done.url)
        try:
            return str(await done)
        except TimeoutError:
            return "lost"

    async with on_site(app, dsn) as site, site.house.replica():
        house = site.house
        run = await house.start("order")
        await house.watch.value(WAITING, run)
        url = (await site.client.get(f"/api/runs/{run}/debug")).json()["variables"]["url"]
        path = url.removeprefix("http://127.0.0.1:8000")
        await forward(house, run, minutes=4)
        left = (await site.client.post(path + "/heartbeat")).json()["seconds"]
        assert 295 < left <= 300
        await forward(house, run, minutes=4)
        await house.watch.value(WAITING, run)
        await forward(house, run, minutes=1, seconds=5)
        await house.watch.ended(run)
        assert (await house.read(run))["output"] == b'"lost"'
        assert (await site.client.post(path + "/heartbeat")).status_code == 410


async def test_a_person_approves_on_a_page(dsn: str) -> None:
    app = App()

    @app.job()
    async def release(ctx: Context, _: None) -> str:
        approval = await ctx.approval("Ship <1.2>?", text="to production")
        await ctx.set_var("url", approval.url)
        verdict = await approval
        return f"{verdict.approved} {verdict.by} {verdict.comment}"

    async with on_site(app, dsn) as site, site.house.replica():
        run = await site.house.start("release")
        await site.house.watch.value(WAITING, run)
        url = (await site.client.get(f"/api/runs/{run}/debug")).json()["variables"]["url"]
        path = url.removeprefix("http://127.0.0.1:8000")
        page = (await site.client.get(path)).text
        assert "Ship &lt;1.2&gt;?" in page
        form = {"verdict": "approve", "by": "Mona", "comment": "go"}
        assert (await site.client.post(path, data=form)).status_code == 200
        await site.house.watch.ended(run)
        assert (await site.house.read(run))["output"] == b'"True Mona go"'


async def test_a_child_is_awaited_and_its_failure_has_its_type(dsn: str) -> None:
    app = App()

    @app.job()
    async def child(ctx: Context, x: int) -> int:
        if x < 0:
            raise ValueError(f"{x} is negative")
        return await ctx.step(double, x)

    @app.job()
    async def parent(ctx: Context, x: int) -> list[Any]:
        results: list[Any] = [await ctx.run_job(child, x)]
        try:
            await ctx.run_job("child", -x)
        except ValueError as error:
            results.append(str(error))
        other = await ctx.start_job(child, 5)
        results.append(str(other))
        return results

    async with at_home(app, dsn) as house, house.replica():
        run = await house.finish("parent", 4)
        other = run["journal"][-1]["output"]
        await house.watch.value(
            "select state = 'succeeded' from hookline.runs where id = $1", UUID(other.decode().strip('"'))
        )

    assert run["output"] == b'[8,"-4 is negative",' + other + b"]"


async def test_children_end_with_the_run_that_waits_for_them(dsn: str) -> None:
    app = App()

    @app.job()
    async def child(ctx: Context, _: None) -> None:
        await ctx.wait_for("never")

    @app.job()
    async def parent(ctx: Context, _: None) -> None:
        await ctx.run_job(child)

    @app.job()
    async def waiter(ctx: Context, _: None) -> str:
        try:
            await ctx.run_job(child)
        except ChildCancelled as error:
            return str(error)
        return ""

    async with on_site(app, dsn) as site, site.house.replica():
        house = site.house
        run = await house.start("parent")
        await house.watch.value(WAITING, run)
        assert (await site.client.post(f"/api/runs/{run}/cancel")).json()["state"] == "cancelled"
        await house.watch.value("select state = 'cancelled' from hookline.runs where parent_id = $1", run)

        run = await house.start("waiter")
        inner = await house.watch.value("select id from hookline.runs where parent_id = $1 and state = 'waiting'", run)
        await house.watch.value(WAITING, run)
        await site.client.post(f"/api/runs/{inner}/cancel")
        await house.watch.ended(run)
        assert b"was cancelled" in (await house.read(run))["output"]


async def test_a_run_signals_another_and_is_told_if_that_has_ended(dsn: str) -> None:
    app = App()

    @app.job()
    async def listener(ctx: Context, _: None) -> Any:
        return await ctx.wait_for("word")

    @app.job()
    async def speaker(ctx: Context, to: str) -> str:
        await ctx.signal(UUID(to), "word", {"n": 1})
        try:
            await ctx.signal(uuid7(), "word")
        except SignalRefused:
            return "refused"
        return "taken"

    async with at_home(app, dsn) as house, house.replica():
        run = await house.start("listener")
        assert (await house.finish("speaker", str(run)))["output"] == b'"refused"'
        await house.watch.ended(run)
        assert (await house.read(run))["output"] == b'{"n":1}'


async def test_map_keeps_the_order_and_its_branches_step_and_wait(dsn: str) -> None:
    app = App()

    async def branch(ctx: Context, x: int) -> int:
        await ctx.sleep(0.01 * (3 - x))
        return await ctx.step(double, x) + int(await ctx.wait_for(f"n{x}"))

    @app.job()
    async def work(ctx: Context, _: None) -> list[Any]:
        plain = await ctx.map(double, [1, 2, 3], concurrency=2)
        nothing = await ctx.map(double, [])
        deep = await ctx.map(branch, [0, 1, 2])
        return [list(plain), list(nothing), list(deep)]

    async with at_home(app, dsn) as house, house.replica():
        run = await house.start("work")
        for n in range(3):
            await send(house, run, f"n{n}", b"100")
        await house.watch.ended(run)
        told = await house.read(run)

    assert told["output"] == b"[[2,4,6],[],[100,102,104]]"
    assert "branch/2/double" in [each["key"] for each in told["journal"]]


async def test_map_tolerates_what_it_is_told_to_and_says_why_it_stopped(dsn: str) -> None:
    app = App()

    async def odd(x: int) -> int:
        if x % 2 == 0:
            raise Fatal(f"{x} is even")
        return x

    @app.job()
    async def work(ctx: Context, _: None) -> list[Any]:
        tolerant = await ctx.map(odd, range(4), tolerate="50%")
        told: list[Any] = [list(tolerant), tolerant.failed, tolerant.why]
        try:
            await ctx.map(odd, range(6), tolerate=1, concurrency=1)
        except TooManyFailed as error:
            told += [error.batch.failed, error.batch.why]
        first = await ctx.map(odd, [1, 3, 5, 7], enough=2, concurrency=1)
        await ctx.wait_for("go")  # and all of that is the same again
        return [*told, first.succeeded, first.why]

    async with at_home(app, dsn) as house, house.replica():
        run = await house.start("work")
        await house.watch.value(WAITING, run)
        await send(house, run, "go")
        await house.watch.ended(run)
        assert (await house.read(run))["output"] == (
            b'[[null,1,null,3],[0,2],"completed",[0,2],"failures",[0,1],"enough"]'
        )


async def test_a_race_has_one_winner_also_on_a_replay(dsn: str) -> None:
    app = App()
    begun = []

    async def slow() -> str:
        begun.append("slow")
        await asyncio.sleep(3600)
        return "slow"

    async def branch(ctx: Context) -> str:
        return await ctx.step(slow)

    @app.job()
    async def work(ctx: Context, _: None) -> list[Any]:
        index, value = await ctx.race(ctx.wait_for("never"), branch, ctx.step(double, 2), ctx.sleep(3600))
        await ctx.wait_for("go")
        return [index, value]

    async with at_home(app, dsn) as house, house.replica():
        run = await house.start("work")
        await house.watch.value(WAITING, run)
        await send(house, run, "go")
        await house.watch.ended(run)
        assert (await house.read(run))["output"] == b"[2,4]"
    assert begun == ["slow"]


async def test_gather_raises_the_first_failure_and_ends_the_rest(dsn: str) -> None:
    app = App()
    ended = asyncio.Event()

    async def slow() -> None:
        try:
            await asyncio.sleep(3600)
        finally:
            ended.set()

    async def fails() -> None:
        raise ValueError("no")

    @app.job()
    async def work(ctx: Context, _: None) -> str:
        try:
            await ctx.gather(ctx.step(slow), ctx.step(fails))
        except ValueError as error:
            await ctx.wait_for("go")
            return str(error)
        return "?"

    async with at_home(app, dsn) as house, house.replica():
        run = await house.start("work")
        await asyncio.wait_for(ended.wait(), 10)
        await send(house, run, "go")
        await house.watch.ended(run)
        assert (await house.read(run))["output"] == b'"no"'


async def test_a_run_whose_decision_takes_long_to_record_does_not_count_as_waiting(
    dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = App()
    record = Ledger.record

    async def late(ledger: Ledger, written: Record) -> None:
        if written.kind == "race":
            await asyncio.sleep(5 * GRACE)  # what is measured is time
        await record(ledger, written)

    monkeypatch.setattr(Ledger, "record", late)

    @app.job()
    async def work(ctx: Context, _: None) -> int:
        return (await ctx.race(ctx.wait_for("never"), ctx.step(double, 2)))[0]

    async with at_home(app, dsn) as house, house.replica():
        run = await house.start("work")
        await house.watch.ended(run)
        assert await house.watch.connection.fetchval("select claims from hookline.runs where id = $1", run) == 1


async def test_a_branch_that_takes_long_between_two_calls_does_not_count_as_waiting(dsn: str) -> None:
    app = App()

    async def slow(ctx: Context) -> int:
        await ctx.step(double, 1)
        await asyncio.sleep(5 * GRACE)  # a job should not, but a loop that is late does so to every job
        return await ctx.step(double, 2)

    @app.job()
    async def work(ctx: Context, _: None) -> list[int]:
        return list(await ctx.race(ctx.wait_for("never"), slow))

    async with at_home(app, dsn) as house, house.replica():
        run = await house.start("work")
        await house.watch.ended(run)
        assert await house.watch.connection.fetchval("select claims from hookline.runs where id = $1", run) == 1


async def test_branches_that_wait_for_each_other_release_their_run(dsn: str) -> None:
    app = App()

    @app.job()
    async def work(ctx: Context, _: None) -> list[Any]:
        alone = asyncio.Semaphore()

        async def branch(ctx: Context) -> Any:
            async with alone:
                return await ctx.wait_for("go")

        return await ctx.gather(branch, branch)

    async with at_home(app, dsn) as house, house.replica():
        run = await house.start("work")
        for told in (b"1", b"2"):
            await house.watch.value(WAITING, run)
            await send(house, run, "go", told)
        await house.watch.ended(run)
        assert (await house.read(run))["output"] == b"[1,2]"


async def test_groups_have_keys_of_their_own(dsn: str) -> None:
    app = App()

    @app.job()
    async def work(ctx: Context, _: None) -> None:
        await asyncio.gather(*(ctx.group("part").step(double, n) for n in range(2)))
        await ctx.step(double, 3)

    async with at_home(app, dsn) as house, house.replica():
        run = await house.finish("work")
    assert [each["key"] for each in run["journal"]] == ["part/double", "part#2/double", "double"]


async def test_values_are_the_same_on_every_replay(dsn: str) -> None:
    app = App()
    seen = []

    @app.job()
    async def work(ctx: Context, _: None) -> None:
        seen.append((await ctx.now(), await ctx.random(), await ctx.uuid4()))
        await ctx.wait_for("go")

    async with at_home(app, dsn) as house, house.replica():
        run = await house.start("work")
        await house.watch.value(WAITING, run)
        await send(house, run, "go")
        await house.watch.ended(run)
    assert len(seen) == 2
    assert seen[0] == seen[1]
    assert abs(seen[0][0] - datetime.now(UTC)) < timedelta(minutes=1)


async def test_a_poll_carries_its_state_in_one_row(dsn: str) -> None:
    app = App()

    async def look(state: int) -> int:
        return state + 1

    @app.job()
    async def work(ctx: Context, _: None) -> int:
        return await ctx.poll(look, every=0.01, until=lambda n: n >= 3, state=0)

    @app.job()
    async def vain(ctx: Context, _: None) -> int:
        return await ctx.poll(look, every=0.01, until=lambda n: False, state=0, timeout=0.05)

    async with at_home(app, dsn) as house, house.replica():
        run = await house.finish("work")
        late = await house.finish("vain")
    assert run["output"] == b"3"
    assert [(each["key"], each["kind"], each["attempt"]) for each in run["journal"]] == [("look", "poll", 3)]
    assert late["state"] == "failed"
    assert late["reason"].startswith("TimeoutError")


async def test_a_poll_with_long_pauses_holds_nothing_meanwhile(dsn: str) -> None:
    app = App()

    async def look(state: int) -> int:
        return state + 1

    @app.job()
    async def work(ctx: Context, _: None) -> int:
        return await ctx.poll(look, every=timedelta(hours=1), until=lambda n: n >= 3, state=0)

    async with at_home(app, dsn) as house, house.replica():
        run = await house.start("work")
        for looks in (1, 2):
            await house.watch.value(
                "select true from hookline.journal join hookline.runs on id = run_id"
                " where id = $1 and runs.state = 'waiting' and journal.attempt = $2", run, looks,
            )  # fmt: skip
            await forward(house, run, hours=1)
        await house.watch.ended(run)
        assert (await house.read(run))["output"] == b"3"


async def test_a_saga_undoes_itself_in_reverse_when_it_fails_and_when_it_is_cancelled(dsn: str) -> None:
    app = App()
    undone: list[str] = []

    async def book(what: str) -> str:
        return what

    async def unbook(what: str) -> None:
        undone.append(what)

    @app.job()
    async def trip(ctx: Context, fails: bool) -> None:
        for what in ("flight", "hotel"):
            await ctx.step(book, what)
            ctx.compensate(unbook, what)
        if fails:
            raise Fatal("no car")
        await ctx.wait_for("never")

    async with on_site(app, dsn) as site, site.house.replica():
        run = await site.house.finish("trip", True)
        assert (run["state"], undone) == ("failed", ["hotel", "flight"])
        undone.clear()
        id_ = await site.house.start("trip", False)
        await site.house.watch.value(WAITING, id_)
        await site.client.post(f"/api/runs/{id_}/cancel")
        await site.house.watch.ended(id_)
        told = await site.house.read(id_)
    assert (told["state"], undone) == ("cancelled", ["hotel", "flight"])
    assert [e["state"] for e in told["journal"] if e["kind"] == "undo"] == ["succeeded", "succeeded"]


async def test_progress_is_seen_and_the_next_try_goes_on_from_the_checkpoint(dsn: str) -> None:
    app = App()
    reported = asyncio.Event()

    @step(retry=Retry(attempts=2, delay=0))
    async def copy() -> int:
        current = current_step()
        if current.checkpoint is None:
            progress(0.4, "halfway", state={"at": 4})
            await reported.wait()
            raise OSError("lost")
        return int(current.checkpoint["at"])

    @app.job()
    async def work(ctx: Context, _: None) -> int:
        return await ctx.step(copy)

    async with at_home(app, dsn) as house, house.replica():
        run = await house.start("work")
        await house.watch.value(
            "select output->>'message' = 'halfway' from hookline.journal where run_id = $1 and state = 'started'", run
        )
        reported.set()
        await house.watch.ended(run)
        assert (await house.read(run))["output"] == b"4"


async def test_a_step_that_goes_silent_fails(dsn: str) -> None:
    app = App()

    @step(heartbeat=0.05)
    async def copy() -> None:
        for _ in range(4):
            progress()
            await asyncio.sleep(0.02)
        await asyncio.sleep(3600)

    @app.job()
    async def work(ctx: Context, _: None) -> None:
        await ctx.step(copy)

    async with at_home(app, dsn) as house, house.replica():
        run = await house.finish("work")
    assert run["reason"] == "TimeoutError: step copy gave no sign of life for 0.05 s"


async def test_changed_code_passes_by_a_patch_and_pauses_without(dsn: str) -> None:
    before, after, patched = App(), App(), App()

    @before.job("work")
    async def old(ctx: Context, _: None) -> str:
        await ctx.step(double, 1)
        await ctx.wait_for("go")
        return "old"

    @after.job("work")
    async def new(ctx: Context, _: None) -> str:
        await ctx.step(double, 1)
        await ctx.step(double, 2)
        await ctx.wait_for("go")
        return "new"

    @patched.job("work")
    async def newer(ctx: Context, _: None) -> str:
        await ctx.step(double, 1)
        took = ctx.patched("twice")
        if took:
            await ctx.step(double, 2)
        await ctx.wait_for("go")
        return f"new {took}"

    async with at_home(before, dsn) as house:
        async with house.replica():
            runs = [await house.start("work") for _ in range(2)]
            for run in runs:
                await house.watch.value(WAITING, run)
        house.app = after
        async with house.replica():
            await send(house, runs[0], "go")
            await house.watch.value("select state = 'paused' from hookline.runs where id = $1", runs[0])
        assert "step double#2" in (await house.read(runs[0]))["reason"]
        assert "signal go" in (await house.read(runs[0]))["reason"]
        house.app = patched
        async with house.replica():
            await send(house, runs[1], "go")
            await house.watch.ended(runs[1])
            assert (await house.read(runs[1]))["output"] == b'"new false"'.replace(b"f", b"F", 1)
            fresh = await house.start("work")
            await house.watch.value(WAITING, fresh)
            await send(house, fresh, "go")
            await house.watch.ended(fresh)
            assert (await house.read(fresh))["output"] == b'"new True"'


@pytest.mark.parametrize("options", [{}, {"scope": "s"}], ids=["free", "scoped"])
async def test_hooks_are_runs_of_their_own(dsn: str, options: dict[str, Any]) -> None:
    app = App()

    @app.job()
    async def notify(ctx: Context, told: dict[str, Any]) -> str:
        return f"{told['job']} {told['state']}"

    @app.job(on_failed=notify, on_completed="notify", on_cancelled=notify, on_paused=notify)
    async def work(ctx: Context, fails: bool) -> None:
        if fails:
            raise Fatal("no")
        await ctx.wait_for("go")

    async with on_site(app, dsn) as site, site.house.replica():
        house = site.house
        await house.finish("work", True, **options)
        run = await house.start("work", False, **options)
        await house.watch.value(WAITING, run)
        await site.client.post(f"/api/runs/{run}/pause")
        await site.client.post(f"/api/runs/{run}/resume")
        await send(house, run, "go")
        await house.watch.ended(run)
        run = await house.start("work", False, **options)
        await site.client.post(f"/api/runs/{run}/cancel")
        await house.watch.value("select count(*) = 4 from hookline.runs where job = 'notify' and state = 'succeeded'")
        rows = await house.watch.connection.fetch(
            "select output #>> '{}' as told from hookline.run_data join hookline.runs on id = run_id"
            " where job = 'notify'"
        )
    assert sorted(row["told"] for row in rows) == ["work cancelled", "work failed", "work paused", "work succeeded"]
