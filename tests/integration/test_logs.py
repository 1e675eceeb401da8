"""What runs say is kept, once, along with what they commit, and whoever looks at them can read it."""

from __future__ import annotations

import asyncio
import json
import logging
import sys
import threading
from typing import Any
from uuid import UUID

import asyncpg
import pytest
import structlog
from tests.support import House, at_home, on_site

from hookline import App, Context, Fatal, Retry, step, telemetry
from hookline.codec import uuid7
from hookline.jobs.graph import Graph
from hookline.jobs.operators import Command, Post
from hookline.settings import load
from hookline.store import deletion, logs, signals
from hookline.store.signals import NewSignal

pytestmark = pytest.mark.anyio


@pytest.fixture(autouse=True)
def as_served() -> None:
    """Logging as `hookline serve` sets it up."""
    telemetry.configure(load())


async def said(house: House, run: UUID, **wanted: Any) -> list[str]:
    """What `run` has said, in order."""
    async with house.database.session() as connection:
        return [json.loads(row["data"])["event"] for row in await logs.of_run(connection, run, **wanted)]


async def lines(house: House, run: UUID) -> list[dict[str, Any]]:
    async with house.database.session() as connection:
        return [dict(row) | json.loads(row["data"]) for row in await logs.of_run(connection, run)]


async def test_what_a_job_and_its_steps_say_is_kept_in_order(dsn: str) -> None:
    app = App()

    async def build(commit: str) -> str:
        structlog.get_logger().info("building", commit=commit)
        logging.getLogger("user.code").warning("disk is at %d %%", 93)
        return commit

    def ship(commit: str) -> None:
        telemetry.log.error("no van", commit=commit)

    @app.job()
    async def deploy(ctx: Context, commit: str) -> None:
        ctx.log.info("begun", commit=commit)
        await ctx.step(build, commit)
        await ctx.step(ship, commit)
        ctx.log.info("shipped")

    async with at_home(app, dsn) as house, house.replica():
        run = (await house.finish("deploy", "9fceb02"))["id"]
        told = await lines(house, run)
    assert [(each["event"], each["step"], each["level"], each["attempt"]) for each in told] == [
        ("begun", None, 20, None), ("building", "build", 20, 1), ("disk is at 93 %", "build", 30, 1),
        ("no van", "ship", 40, 1), ("shipped", None, 20, None),
    ]  # fmt: skip
    assert told[0]["fields"] == {"commit": "9fceb02"}
    assert [each["number"] for each in told] == [1, 2, 3, 4, 5]
    assert sorted(each["at"] for each in told) == [each["at"] for each in told]


def wordy() -> App:
    """A job that says something around each of its calls."""
    app = App()

    async def build(n: int) -> int:
        telemetry.log.info("building", n=n)
        return n

    @app.job()
    async def tells(ctx: Context, _: None) -> None:
        ctx.log.info("one")
        await ctx.step(build, 1)
        ctx.log.info("two")
        ctx.log.info("two")
        await ctx.step(build, 2)
        logging.getLogger("user.code").info("three")
        await ctx.wait_for("go")
        ctx.log.info("two")
        await ctx.sleep(0)
        ctx.log.info("end")

    return app


async def test_a_replay_says_nothing_twice(dsn: str) -> None:
    async with at_home(wordy(), dsn) as house, house.replica(always_replay=True):
        run = await house.start("tells")
        await house.watch.value("select true from hookline.runs where id = $1 and state = 'waiting'", run)
        await signal(house, run, "go")
        await house.watch.ended(run)
        assert await said(house, run) == ["one", "building", "two", "two", "building", "three", "two", "end"]
        claims = await house.watch.value("select claims from hookline.runs where id = $1", run)
    assert claims > 4, "it was not replayed"


async def signal(house: House, run: UUID, name: str) -> None:
    async with house.database.session() as connection:
        await signals.send(connection, [NewSignal(uuid7(), run, name, b"null")])


async def test_what_two_branches_say_is_kept_once_whichever_wakes_first(dsn: str) -> None:
    """The one branch is replayed while the other says something new, and the other way round."""
    app = App()

    async def work(name: str) -> str:
        return name

    @app.job()
    async def forked(ctx: Context, _: None) -> None:
        async def branch(name: str) -> None:
            own = ctx.group(name)
            own.log.info(f"{name} begins")
            await own.step(work, name)
            own.log.info(f"{name} worked")
            await own.wait_for(name)
            own.log.info(f"{name} goes on")
            await own.step(work, name)
            own.log.info(f"{name} is done")
            await own.wait_for(f"{name}-end")

        await asyncio.gather(branch("a"), branch("b"))

    async with at_home(app, dsn) as house, house.replica():
        run = await house.start("forked")
        for name in ("a", "b", "b-end", "a-end"):
            await house.watch.value("select true from hookline.runs where id = $1 and state = 'waiting'", run)
            await signal(house, run, name)
        await house.watch.ended(run)
        told = await said(house, run)
    assert sorted(told) == sorted(
        f"{name} {what}" for name in "ab" for what in ("begins", "worked", "goes on", "is done")
    )


async def test_a_step_that_takes_long_is_heard_while_it_runs(dsn: str) -> None:
    app = App()
    go = threading.Event()

    def slow(_: None) -> None:
        telemetry.log.info("still at it")
        assert go.wait(20)

    @app.job()
    async def takes_long(ctx: Context, _: None) -> None:
        await ctx.step(slow, None)

    async with at_home(app, dsn) as house, house.replica():
        run = await house.start("takes_long")
        try:
            found = "select state from hookline.runs join hookline.run_logs on run_id = id where id = $1"
            assert await house.watch.value(found, run) == "running"
        finally:
            go.set()
        await house.watch.ended(run)
        assert await said(house, run) == ["still at it"]


async def test_each_try_of_a_step_speaks_for_itself(dsn: str) -> None:
    app = App()

    async def fails(_: None) -> None:
        telemetry.log.info("trying")
        raise Fatal("no") if attempts.append(1) or len(attempts) == 2 else ValueError("not yet")  # type: ignore[func-returns-value]

    attempts: list[int] = []

    @app.job()
    async def tries(ctx: Context, _: None) -> None:
        await ctx.step(step(retry=Retry(attempts=3, delay=0))(fails), None)

    async with at_home(app, dsn) as house, house.replica():
        run = (await house.finish("tries"))["id"]
        told = [(each["event"], each["step"], each["attempt"]) for each in await lines(house, run)]
    assert told == [("trying", "fails", 1), ("step.retried", "fails", None), ("trying", "fails", 2)]


async def test_a_run_that_says_too_much_is_cut_off_and_says_so(dsn: str) -> None:
    app = App()

    @app.job()
    async def talks(ctx: Context, _: None) -> None:
        for number in range(30):
            ctx.log.info("line", number=number)
        await ctx.wait_for("go")
        for number in range(30):
            ctx.log.info("another", number=number)

    async with at_home(app, dsn) as house, house.replica(log_lines=40):
        run = await house.start("talks")
        await house.watch.value("select true from hookline.runs where id = $1 and state = 'waiting'", run)
        await signal(house, run, "go")
        await house.watch.ended(run)
        told = await lines(house, run)
        async with house.database.session() as connection:
            dropped = await logs.dropped(connection, run)
    assert ([each["event"] for each in told], dropped) == (["line"] * 30 + ["another"] * 10, 20)


async def test_what_is_secret_or_endless_or_no_json_does_not_come_into_the_log(dsn: str) -> None:
    app = App()

    class Odd:
        def __repr__(self) -> str:
            return "odd"

    @app.job()
    async def careless(ctx: Context, _: None) -> None:
        ctx.log.info("a", api_token="hunter2", deep={"password": "hunter2", "list": [{"cookie": "hunter2"}]})
        ctx.log.info("b" * 9999, text="c" * 9999, odd=Odd(), nul="\0", half="\ud800")
        ctx.log.info("many", **{f"f{n}": "d" * 2000 for n in range(50)})
        ctx.log.info("number", big=10**40, nan=float("nan"))
        try:
            raise ValueError("broken")
        except ValueError:
            telemetry.log.exception("it broke")

    async with at_home(app, dsn) as house, house.replica():
        found = await house.finish("careless")
        assert found["state"] == "succeeded"
        told = await lines(house, found["id"])
    assert len(told) == 5
    assert "hunter2" not in str(told)
    assert max(len(str(each["data"])) for each in told) < 8100
    assert told[4]["level"] == 40
    assert "ValueError: broken" in told[4]["fields"]["error"]


async def test_the_log_goes_with_the_data_and_with_time(dsn: str) -> None:
    async with at_home(wordy(), dsn) as house, house.replica():
        runs = [await house.start("tells") for _ in range(2)]
        for run in runs:
            await signal(house, run, "go")
        await house.watch.ended(*runs)
        async with house.database.session() as connection:
            await deletion.request(connection, runs[0])
            await house.watch.value("select data_deletion = 'done' from hookline.runs where id = $1", runs[0])
            assert await said(house, runs[0]) == []
            await connection.execute("update hookline.run_logs set at = at - interval '1 day' where number > 2")
            assert not await logs.retire(connection, 3600)
        assert await said(house, runs[1]) == ["one", "building"]


async def test_a_worker_that_was_declared_dead_says_nothing(dsn: str) -> None:
    """What it has said is fenced as all that it writes; the run says it again, once, under another."""
    app = App()
    held, begun = asyncio.Event(), asyncio.Event()

    async def hold(_: None) -> None:
        telemetry.log.info("in step")
        begun.set()
        await held.wait()

    @app.job()
    async def lost(ctx: Context, _: None) -> None:
        ctx.log.info("begun")
        await ctx.step(hold, None)

    async with at_home(app, dsn) as house:
        run = await house.start("lost")
        first = asyncio.create_task(house.run_replica())
        await begun.wait()
        async with house.database.session() as connection:
            await connection.execute("delete from hookline.workers")
            await connection.execute(
                "update hookline.runs set state = 'queued', worker_id = null, due_at = now() + interval '1 hour'"
            )
            before = await connection.fetchval("select count(*) from hookline.run_logs")
        held.set()
        await house.watch.value("select true from hookline.workers")  # it has registered anew
        async with house.database.session() as connection:
            assert await connection.fetchval("select count(*) from hookline.run_logs") == before
            await connection.execute("update hookline.runs set due_at = now()")
        await house.watch.ended(run)
        told = await lines(house, run)
        first.cancel()
    assert [each["event"] for each in told if each["claim"] == 2][-1:] == ["in step"]
    assert [each["event"] for each in told].count("begun") == 1


async def test_a_run_that_says_nothing_writes_no_more_than_before(dsn: str) -> None:
    app = App()

    async def quiet(_: None) -> None: ...

    @app.job()
    async def silent(ctx: Context, _: None) -> None:
        await ctx.step(quiet, None)

    statements: list[str] = []
    execute = asyncpg.Connection._execute  # type: ignore[attr-defined]

    async def noted(self: Any, query: str, *args: Any, **how: Any) -> Any:
        statements.append(query)
        return await execute(self, query, *args, **how)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(asyncpg.Connection, "_execute", noted)
        async with at_home(app, dsn) as house, house.replica():
            await house.finish("silent")
    assert statements
    assert not [each for each in statements if "run_logs" in each and "delete" not in each]


def calling(port: int) -> App:
    app = App()
    graph = Graph("asks")
    graph.task(Post(f"http://mona:hunter2@127.0.0.1:{port}/api/jobs?token=hunter2", private=True), name="asking")
    app.add(graph)

    @app.job()
    async def runs_a_program(ctx: Context, _: None) -> None:
        ctx.log.warning("now", of="this")
        await ctx.step(Command("sh", "-c", "echo hello; exit 3", name="shell"), {})

    return app


async def test_what_a_run_asks_of_others_is_told_without_what_is_secret(dsn: str) -> None:
    async with on_site(App(), dsn) as site:
        port = site.client.base_url.port or 0
        app = calling(port)
        async with at_home(app, dsn) as house, house.replica():
            asked, ran = [(await house.finish(job))["id"] for job in ("asks", "runs_a_program")]
        called = (await site.client.get(f"/api/runs/{asked}/logs", params={"kind": "call"})).json()["lines"]
        page = (await site.client.get(f"/runs/{asked}")).text
        program = (await site.client.get(f"/api/runs/{ran}/logs", params={"level": "warning"})).json()["lines"]
        shell = (await site.client.get(f"/api/runs/{ran}/logs", params={"step": "shell"})).json()["lines"]
        by_level = (await site.client.get(f"/runs/{ran}", params={"level": "warning"})).text
    (call,) = called
    fields = call["fields"]
    assert (fields["method"], fields["url"]) == ("POST", f"http://127.0.0.1:{port}/api/jobs")
    assert (fields["status"], fields["idempotency_key"], call["step"], call["attempt"]) == (
        405,
        f"{asked}/asking",
        "asking",
        1,
    )
    assert (call["level"], fields["ms"] > 0) == ("warning", True)
    assert "hunter2" not in page
    assert f"POST <code>http://127.0.0.1:{port}/api/jobs</code>" in page
    assert [each["event"] for each in program] == ["now", "outbound.call"]
    assert [each["event"] for each in shell] == ["command.output", "outbound.call"]
    assert (shell[0]["fields"]["line"], shell[1]["fields"]["status"]) == ("hello", 3)
    assert "of=this" in by_level
    assert "command.output" not in by_level


async def test_pages_of_a_log_follow_each_other_and_what_is_wrong_is_told(dsn: str) -> None:
    async with on_site(wordy(), dsn) as site, site.house.replica():
        run = await site.house.start("tells")
        await signal(site.house, run, "go")
        await site.house.watch.ended(run)
        seen: list[str] = []
        cursor: str | None = None
        while True:
            wanted = {"limit": 3} | ({"cursor": cursor} if cursor else {})
            told = (await site.client.get(f"/api/runs/{run}/logs", params=wanted)).json()
            seen += [each["event"] for each in told["lines"]]
            cursor = told["next"]
            if cursor is None:
                break
        assert seen == ["one", "building", "two", "two", "building", "three", "two", "end"]
        assert (await site.client.get(f"/api/runs/{uuid7()}/logs")).status_code == 404
        for wrong in ({"level": "loud"}, {"cursor": "x"}, {"kind": "other"}, {"limit": 0}):
            response = await site.client.get(f"/api/runs/{run}/logs", params=wrong)
            assert response.status_code == 422, wrong
        page = (await site.client.get(f"/runs/{run}")).text
        assert "data-lively" not in page
        assert page.count('class="v-info"') == 8


async def test_the_command_line_follows_a_log_to_its_end(dsn: str) -> None:
    async with on_site(wordy(), dsn) as site, site.house.replica():
        run = await site.house.start("tells")
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "hookline", "runs", "logs", str(run), "--follow", "--url", str(site.client.base_url),
            stdout=asyncio.subprocess.PIPE,
        )  # fmt: skip
        assert process.stdout is not None
        async with asyncio.timeout(60):
            first = [(await process.stdout.readline()).decode() for _ in range(6)]
            await signal(site.house, run, "go")
            rest = (await process.stdout.read()).decode().splitlines()
            assert await process.wait() == 0
    assert [line.split()[-1] for line in first] == ["one", "n=1", "two", "two", "n=2", "three"]
    assert "info" in first[1]
    assert "build building" in first[1]
    assert [line.split()[-1] for line in rest] == ["two", "end"]
