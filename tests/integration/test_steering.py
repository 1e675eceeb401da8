"""What an operator does with runs: pause, resume, cancel, retry, fork, await, delete, look into; one or many."""

from __future__ import annotations

import asyncio
import json
from functools import partial
from typing import Any
from uuid import UUID

import pytest
from tests.support import PUSH, at_home, on_site

from hookline import App, Context, Event, Fatal, NotDone, Retry, current_step, step
from hookline.codec import uuid7
from hookline.engine import preflight
from hookline.store import claims, workers
from hookline_parsers import github

WAITING = "select state = 'waiting' from hookline.runs where id = $1"


async def double(x: int) -> int:
    return 2 * x


async def test_a_pause_lets_the_step_end_and_a_resume_goes_on_behind_it(dsn: str) -> None:
    app = App()
    begun, go = asyncio.Event(), asyncio.Event()
    calls = []

    async def slow() -> int:
        calls.append("slow")
        begun.set()
        await go.wait()
        return 1

    @app.job()
    async def work(ctx: Context, _: None) -> int:
        return await ctx.step(double, await ctx.step(slow))

    async with on_site(app, dsn) as site, site.house.replica():
        run = await site.house.start("work")
        await begun.wait()
        assert (await site.client.post(f"/api/runs/{run}/pause")).status_code == 202
        go.set()
        await site.house.watch.value("select state = 'paused' from hookline.runs where id = $1", run)
        assert await site.house.journal(run) == ["slow succeeded"]
        assert (await site.client.post(f"/api/runs/{run}/resume")).status_code == 200
        await site.house.watch.value("select state = 'succeeded' from hookline.runs where id = $1", run)
        assert (await site.client.post(f"/api/runs/{run}/resume")).status_code == 409
    assert calls == ["slow"]


async def test_a_step_sees_that_it_is_cancelled(dsn: str) -> None:
    app = App()
    begun, seen = asyncio.Event(), asyncio.Event()

    @app.job()
    async def work(ctx: Context, _: None) -> None:
        async def slow() -> None:
            current = current_step()
            begun.set()
            try:
                await asyncio.sleep(3600)
            finally:
                if current.cancelled and ctx.cancelled:
                    seen.set()

        await ctx.step(slow)

    async with on_site(app, dsn) as site, site.house.replica():
        run = await site.house.start("work")
        await begun.wait()
        assert (await site.client.post(f"/api/runs/{run}/cancel")).status_code == 202
        await asyncio.wait_for(seen.wait(), 10)
        await site.house.watch.value("select state = 'cancelled' from hookline.runs where id = $1", run)


async def test_a_paused_run_holds_its_scope_and_a_resumed_one_keeps_its_turn(dsn: str) -> None:
    app = App()

    @app.job(scope="s")
    async def work(ctx: Context, _: None) -> None:
        await ctx.wait_for("go")

    async with on_site(app, dsn) as site:
        runs = [await site.house.start("work") for _ in range(3)]
        await site.client.post(f"/api/runs/{runs[1]}/pause")
        await site.client.post(f"/api/runs/{runs[0]}/pause")
        states = "select array_agg(state order by seq) from hookline.runs"
        assert await site.house.watch.connection.fetchval(states) == ["paused", "paused", "blocked"]
        await site.client.post(f"/api/runs/{runs[1]}/resume")
        assert await site.house.watch.connection.fetchval(states) == ["paused", "blocked", "blocked"]
        await site.client.post(f"/api/runs/{runs[0]}/resume")
        assert await site.house.watch.connection.fetchval(states) == ["queued", "blocked", "blocked"]
        told = (await site.client.get(f"/api/runs/{runs[2]}/debug")).json()
        assert told["why"] == f"run {runs[0]} of the same scope is queued and goes first"


async def test_a_retry_is_a_new_run_that_goes_on_from_the_failed_step(dsn: str) -> None:
    app = App()
    calls: list[str] = []

    async def good(x: int) -> int:
        calls.append("good")
        return x

    async def flaky() -> int:
        calls.append("flaky")
        if calls.count("flaky") < 2:
            raise OSError("not yet")
        return 7

    @app.job()
    async def work(ctx: Context, x: int) -> list[int]:
        return list(await ctx.gather(ctx.step(good, x), ctx.step(flaky)))

    async with on_site(app, dsn) as site, site.house.replica():
        run = await site.house.finish("work", 5)
        assert run["state"] == "failed"
        told = (await site.client.post(f"/api/runs/{run['id']}/retry")).json()
        await site.house.watch.ended(UUID(told["id"]))
        again = await site.house.read(UUID(told["id"]))
        assert (again["state"], again["output"]) == ("succeeded", b"[5,7]")
        assert told["forked_from"] == str(run["id"])
        refused = await site.client.post(f"/api/runs/{told['id']}/retry")
        assert refused.status_code == 409
    assert calls == ["good", "flaky", "flaky"]


async def test_a_fork_begins_with_the_journal_up_to_a_step_and_takes_another_input(dsn: str) -> None:
    app = App()
    calls: list[int] = []

    async def one(x: int) -> int:
        calls.append(x)
        return x

    @app.job()
    async def work(ctx: Context, x: int) -> list[int]:
        return [await ctx.step(one, 1), await ctx.step(one, 2), await ctx.step(one, x)]

    async with on_site(app, dsn) as site, site.house.replica():
        run = await site.house.finish("work", 3)
        calls.clear()
        body = {"from": "one#2", "input": 9}
        told = (await site.client.post(f"/api/runs/{run['id']}/fork", json=body)).json()
        await site.house.watch.ended(UUID(told["id"]))
        assert (await site.house.read(UUID(told["id"])))["output"] == b"[1,2,9]"
        assert calls == [2, 9]
        refused = await site.client.post(f"/api/runs/{run['id']}/fork", json={"from": "none"})
        assert refused.status_code == 422


async def test_many_are_cancelled_at_once_after_a_look_at_how_many(dsn: str) -> None:
    app = App()

    @app.job()
    async def work(ctx: Context, _: None) -> None: ...

    async with on_site(app, dsn) as site:
        for scope in ("a", "a", "b"):
            await site.house.start("work", scope=scope)
        body: dict[str, Any] = {"filter": {"job": "work", "scope": "a"}}
        assert (await site.client.post("/api/runs/cancel", json=body)).json()["fitting"] == 2
        told = (await site.client.post("/api/runs/cancel", json=body | {"dry_run": False})).json()
        assert (told["done"], told["refused"]) == (2, {})
        count = "select count(*) from hookline.runs where state = 'cancelled'"
        assert await site.house.watch.connection.fetchval(count) == 2
        assert (await site.client.post("/api/runs/frobnicate", json=body | {"dry_run": False})).status_code == 404


async def test_many_are_signalled_completed_and_forked_at_once(dsn: str) -> None:
    app = App()

    @app.job()
    async def work(ctx: Context, number: int) -> Any:
        callback = await ctx.callback("paid")
        return [number, await ctx.wait_for("go"), await callback]

    async with on_site(app, dsn) as site, site.house.replica():

        async def do(action: str, **what: Any) -> dict[str, Any]:
            body = {"filter": {"job": "work"}, "dry_run": False} | what
            answer = await site.client.post(f"/api/runs/{action}", json=body)
            assert answer.status_code == 200, answer.text
            return dict(answer.json())

        runs = [await site.house.start("work", number) for number in range(3)]
        waiting = "select count(*) = $1 from hookline.runs where state = 'waiting'"
        await site.house.watch.value(waiting, 3)
        go = {"name": "go", "data": 1, "id": str(uuid7())}
        for _ in range(2):  # whoever got no answer asks again
            assert (await do("signal", signal=go))["done"] == 3
        assert await site.house.watch.connection.fetchval("select count(*) from hookline.signals") == 3
        completed = await do("complete-callback", callback={"key": "paid", "data": 2})
        assert (completed["done"], completed["refused"]) == (3, {})
        rows = await site.house.watch.ended(*runs)
        assert [row["state"] for row in rows] == ["succeeded"] * 3

        forked = await do("fork", fork={"from": "go", "input": 9})
        assert set(forked["new"]) == {str(run) for run in runs}
        await site.house.watch.value(waiting, 3)
        odd = await do("fork", fork={"from": "none"})
        assert (odd["done"], len(odd["refused"])) == (0, 6)
        late = await do("complete-callback", callback={"key": "none"})
        assert (late["done"], len(late["refused"])) == (0, 3)

        for action in ("signal", "complete-callback"):
            unsaid = await site.client.post(f"/api/runs/{action}", json={"filter": {}, "dry_run": False})
            assert unsaid.status_code == 422


async def test_awaiting_a_run_answers_when_it_has_ended_or_in_time(dsn: str) -> None:
    app = App()

    @app.job()
    async def work(ctx: Context, _: None) -> int:
        return await ctx.wait_for("go")

    async with on_site(app, dsn) as site, site.house.replica():
        run = await site.house.start("work")
        assert (await site.client.get(f"/api/runs/{run}/await?timeout=0")).status_code == 408
        assert (await site.client.get(f"/api/runs/{run}/await?state=waiting")).json()["state"] == "waiting"
        ended = asyncio.create_task(site.client.get(f"/api/runs/{run}/await?timeout=20"))
        assert (await site.client.post(f"/api/runs/{run}/signals", json={"name": "go", "data": 4})).status_code == 202
        assert (await ended).json()["output"] == 4
        late = await site.client.post(f"/api/runs/{run}/signals", json={"name": "go"})
        assert late.status_code == 409
        assert (await site.client.post(f"/api/runs/{uuid7()}/signals", json={"name": "go"})).status_code == 404


async def test_deleting_the_data_of_a_run_leaves_what_its_scrubber_leaves(dsn: str) -> None:
    app = App()

    @app.job()
    async def gone(ctx: Context, told: dict[str, Any]) -> None: ...

    def scrub(input_: Any) -> Any:
        return {"ref": input_["ref"]}

    @app.job(on=github.push(), scrub=scrub, on_data_deleted=gone)
    async def work(ctx: Context, event: Event) -> str:
        return await ctx.step(str, event.data["after"])

    async with on_site(app, dsn) as site, site.house.replica():
        run = (await site.push("g1", PUSH)).json()["runs"][0]
        assert (await site.client.delete(f"/api/runs/{run}/data")).status_code in (202, 409)
        await site.house.watch.ended(UUID(run))
        assert (await site.client.delete(f"/api/runs/{run}/data")).json()["data_deletion"] == "requested"
        await site.house.watch.value("select data_deletion = 'done' from hookline.runs where id = $1", UUID(run))
        told = (await site.client.get(f"/api/runs/{run}")).json()
        assert (told["input"], told["output"], told["state"]) == ({"ref": "refs/heads/main"}, None, "succeeded")
        assert [each["output"] for each in told["journal"]] == [None]
        assert await site.house.watch.connection.fetchval("select octet_length(body) from hookline.deliveries") == 0
        await site.house.watch.value("select true from hookline.runs where job = 'gone' and state = 'succeeded'")


@pytest.mark.parametrize("policy", ["pause", "retry", "found", "not done"])
async def test_a_step_once_that_its_process_died_in_is_not_begun_again_unknowingly(dsn: str, policy: str) -> None:
    app = App()
    begun, calls = asyncio.Event(), []

    async def found(x: int) -> int:
        if policy == "not done":
            raise NotDone
        return 99

    @step(once=True, unknown=policy if policy in ("pause", "retry") else found)  # type: ignore[arg-type]
    async def charge(x: int) -> int:
        calls.append(current_step().idempotency_key)
        if len(calls) == 1:
            begun.set()
            await asyncio.sleep(3600)
        return x

    @app.job()
    async def work(ctx: Context, _: None) -> int:
        return await ctx.step(charge, 5)

    async with on_site(app, dsn) as site:
        house = site.house
        run = await house.start("work")
        dying = asyncio.create_task(house.run_replica())
        await begun.wait()
        dying.cancel()
        await asyncio.gather(dying, return_exceptions=True)
        async with house.database.session() as connection, connection.transaction():
            await connection.execute("update hookline.workers set expires_at = now() - interval '1 s'")
            await claims.release(connection, await workers.expire(connection), 5)
        async with house.replica():
            await house.watch.ended(run)
            told = await house.read(run)
            if policy == "pause":
                assert told["state"] == "paused"
                assert "step charge was begun" in told["reason"]
                await site.client.post(f"/api/runs/{run}/resume")
                await house.watch.value("select state = 'succeeded' from hookline.runs where id = $1", run)
                told = await house.read(run)
    assert told["output"] == (b"99" if policy == "found" else b"5")
    assert len(calls) == (1 if policy == "found" else 2)
    assert len(set(calls)) == 1


async def test_a_run_that_keeps_failing_is_paused_and_goes_on_by_itself_later(dsn: str) -> None:
    app = App()
    calls = []

    async def flaky() -> None:
        calls.append(1)
        if len(calls) < 4:
            raise OSError("no")

    @app.job(pause_after_errors=3, resume_after=3600, retry=Retry(delay=0))
    async def work(ctx: Context, _: None) -> None:
        await ctx.step(flaky)

    async with at_home(app, dsn) as house, house.replica():
        run = await house.start("work")
        await house.watch.value("select state = 'paused' from hookline.runs where id = $1", run)
        assert len(calls) == 3
        assert (await house.read(run))["reason"] == "OSError: no"
        async with house.database.session() as connection:
            await connection.execute("update hookline.runs set due_at = now() where id = $1", run)
        await house.watch.value("select state = 'succeeded' from hookline.runs where id = $1", run)


async def test_what_was_made_up_for_is_retried_from_the_start_and_not_gone_on_behind(dsn: str) -> None:
    app = App()
    calls: list[str] = []

    async def book() -> None:
        calls.append("book")

    async def release() -> None:
        calls.append("release")

    async def pay() -> None:
        calls.append("pay")
        if calls.count("pay") == 1:
            raise Fatal("declined")

    @app.job()
    async def trip(ctx: Context, _: None) -> None:
        await ctx.step(book)
        ctx.compensate(release)
        await ctx.step(pay)

    async with on_site(app, dsn) as site, site.house.replica():
        run = await site.house.finish("trip")
        refused = await site.client.post(f"/api/runs/{run['id']}/retry", json={"skip": True})
        assert refused.status_code == 409
        assert "made up for" in refused.json()["detail"]
        again = UUID((await site.client.post(f"/api/runs/{run['id']}/retry")).json()["id"])
        await site.house.watch.ended(again)
        assert (await site.house.read(again))["state"] == "succeeded"
    assert calls == ["book", "pay", "release", "book", "pay"]


async def test_a_failure_that_nobody_retries_can_wait_for_an_operator(dsn: str) -> None:
    app = App()
    broken = [True]

    async def flaky() -> int:
        if broken:
            raise OSError("no")
        return 1

    @app.job(on_error="pause")
    async def work(ctx: Context, fatal: bool) -> int:
        if fatal:
            raise Fatal("no")
        return await ctx.step(flaky)

    async with on_site(app, dsn) as site, site.house.replica():
        run = (await site.house.finish("work", False))["id"]
        assert (await site.house.read(run))["state"] == "paused"
        broken.clear()
        await site.client.post(f"/api/runs/{run}/resume")
        await site.house.watch.value("select state = 'succeeded' from hookline.runs where id = $1", run)
        assert (await site.house.finish("work", True))["state"] == "failed"


async def test_a_preflight_lists_the_runs_that_new_code_would_not_go_on_with(dsn: str) -> None:
    before, after = App(), App()

    @before.job("same")
    @after.job("same")
    async def same(ctx: Context, _: None) -> None:
        await ctx.step(double, 1)
        await ctx.map(double, [1, 2])
        await ctx.race(ctx.step(double, 1), ctx.wait_for("never"))
        callback = await ctx.callback("paid")
        await ctx.set_var("url", callback.url)
        await callback
        await ctx.step(double, 5)

    @before.job("changed")
    async def old(ctx: Context, _: None) -> None:
        await ctx.step(double, 1)
        await ctx.wait_for("go")

    @after.job("changed")
    async def new(ctx: Context, _: None) -> None:
        await ctx.wait_for("go")

    @before.job("dropped")
    async def dropped(ctx: Context, _: None) -> None:
        await ctx.wait_for("go")

    async with at_home(before, dsn) as house:
        async with house.replica():
            runs = {name: await house.start(name) for name in ("same", "changed", "dropped")}
            for run in runs.values():
                await house.watch.value(WAITING, run)
        seen, diverging = await preflight.check(before, house.database)
        assert (seen, diverging) == (3, [])
        seen, diverging = await preflight.check(after, house.database)
        assert {each.run for each in diverging} == {runs["changed"], runs["dropped"]}
        assert await house.watch.connection.fetchval("select count(*) from hookline.runs where state = 'waiting'") == 3


async def test_the_command_line_steers(dsn: str) -> None:
    app = App()

    @app.job()
    async def work(ctx: Context, _: None) -> Any:
        callback = await ctx.callback("paid")
        return [await ctx.wait_for("go"), await callback]

    async with on_site(app, dsn) as site, site.house.replica():
        run = str(await site.house.start("work"))
        hookline = partial(site.hookline, "runs")

        assert "waiting" in await hookline("await", run, "--state", "waiting")
        assert "it waits for callback paid, signal go" in await hookline("debug", run)
        assert "1 runs fit; add --yes to pause them" in await hookline("pause", "--job", "work")
        assert "1 runs fit" in await hookline("pause", "--job", "work", "--since", "2026-01-01T00:00Z")
        assert "0 runs fit" in await hookline("pause", "--until", "2026-01-01")
        assert "1 of 1 done" in await hookline("pause", "--job", "work", "--yes")
        assert await hookline("resume", run) in ("queued\n", "running\n", "waiting\n")
        await hookline("signal", run, "go", "--data", '{"a": 1}')
        await hookline("complete-callback", run, "paid", "--data", "7")
        assert "succeeded" in await hookline("await", run)
        forked = (await hookline("fork", run, "--from", "go")).strip()
        await hookline("await", forked, "--state", "waiting")
        assert "1 runs fit; add --yes to signal them" in await hookline("signal", "go", "--state", "waiting")
        assert "1 of 1 done" in await hookline("signal", "--state", "waiting", "--yes", "other", "--data", "1")
        assert "0 of 0 done" in await hookline("complete-callback", "none", "--job", "none", "--yes")
        assert "2 runs fit" in await hookline("fork", "--job", "work", "--from", "go")
        assert "cancelled" in await hookline("cancel", forked)
        assert "goes on as" in await hookline("retry", forked)
        assert "data deletion requested" in await hookline("delete-data", run)
        assert (await site.house.read(UUID(run)))["state"] == "succeeded"


HOSTILE = [
    ("signals", {"name": "a\0b"}, 422),
    ("signals", {"name": ""}, 422),
    ("signals", {"name": "a" * 201}, 422),
    ("signals", {"name": 7}, 422),
    ("signals", {"name": "go", "extra": 1}, 422),
    ("signals", b"{", 400),
    ("signals", b'{"name": "go", "data": ' + b"[" * 100_000 + b"]" * 100_000 + b"}", 400),
    ("signals", b'{"name": "go", "data": "\xff"}', 400),
    ("fork", {"from": "a\0b"}, 422),
    ("fork", {"version": "x"}, 422),
    ("fork", {"version": 2**40}, 422),
    ("callbacks/a%00b", {}, 410),
    ("callbacks/none", {}, 410),
    ("callbacks/none", {"data": 1, "error": 2}, 422),
    ("frobnicate", {}, 404),
]


@pytest.mark.parametrize(
    ("path", "body", "status"), HOSTILE, ids=[f"{path}-{n}" for n, (path, *_) in enumerate(HOSTILE)]
)
async def test_bad_requests_get_a_problem_and_never_a_traceback(dsn: str, path: str, body: Any, status: int) -> None:
    app = App()

    @app.job()
    async def work(ctx: Context, _: None) -> None: ...

    async with on_site(app, dsn) as site:
        run = await site.house.start("work")
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        answer = await site.client.post(
            f"/api/runs/{run}/{path}", content=content, headers={"Content-Type": "application/json"}
        )
        assert answer.status_code == status, answer.text
        assert answer.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize(
    ("filter_", "status"),
    [({"job": "a\0b"}, 422), ({"state": "odd"}, 422), ({"since": "yesterday"}, 422), ({"none": 1}, 422), (7, 422)],
    ids=str,
)
async def test_a_filter_that_makes_no_sense_is_refused(dsn: str, filter_: Any, status: int) -> None:
    async with on_site(App(), dsn) as site:
        answer = await site.client.post("/api/runs/cancel", json={"filter": filter_, "dry_run": False})
        assert answer.status_code == status, answer.text


@pytest.mark.parametrize(
    ("content", "kind", "status"),
    [
        (b"{", "application/json", 400),
        (b'{"data": "\\u0000"}', "application/json", 202),
        (b'{"data": 1', "application/json", 400),
        (b"x" * 1_100_000, "application/json", 413),
        (b"data=1", "text/plain", 415),
        (b"verdict=perhaps", "application/x-www-form-urlencoded", 422),
        (b"\xff\xfe", "application/x-www-form-urlencoded", 400),
        (b"a=1&" * 50, "application/x-www-form-urlencoded", 400),
        (b"[1]", "application/json", 422),
    ],
)
async def test_an_outsider_who_sends_nonsense_completes_nothing(
    dsn: str, content: bytes, kind: str, status: int
) -> None:
    app = App()

    @app.job()
    async def work(ctx: Context, _: None) -> Any:
        callback = await ctx.callback("paid")
        await ctx.set_var("url", callback.url)
        return await callback

    async with on_site(app, dsn) as site, site.house.replica():
        run = await site.house.start("work")
        await site.house.watch.value(WAITING, run)
        url = (await site.client.get(f"/api/runs/{run}/debug")).json()["variables"]["url"]
        path = url.removeprefix("http://127.0.0.1:8000")
        answer = await site.client.post(path, content=content, headers={"Content-Type": kind})
        assert answer.status_code == status, answer.text
        for forged in ("/callbacks/x", "/callbacks/%00", "/callbacks/" + "A" * 5000, path[:-1]):
            assert (await site.client.post(forged, json={})).status_code == 404
        if status != 202:
            assert (await site.client.get(path)).json()["open"]
