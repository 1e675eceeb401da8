"""The API: what it shows, starts and cancels, whom it lets in, and what bad requests get."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from pydantic import BaseModel
from tests.support import Site, on_site

from hookline import App, Context, Debounce, Event, Rate, Retry, step
from hookline.store import migrate
from hookline_parsers import github, stripe

NOWHERE = UUID(int=7)

RUN_FIELDS = {
    "id", "job", "version", "scope", "state", "priority", "created_at", "started_at", "finished_at", "due_at",
    "delivery", "parent", "input", "output", "error", "reason", "journal",
}  # fmt: skip
STEP_FIELDS = {"key", "kind", "state", "attempt", "output", "error", "started_at", "finished_at"}


class Order(BaseModel):
    number: int


def make_app() -> App:
    app = App()
    gate = asyncio.Event()

    @app.job(scope="{number}")
    async def order(ctx: Context, given: Order) -> int:
        """Do one order."""
        return await ctx.step(double, given.number)

    @app.job()
    async def waiting(ctx: Context, _: Any) -> None:
        await ctx.step(gate.wait)

    return app


@step
async def double(number: int) -> int:
    return 2 * number


@pytest.fixture
async def site(dsn: str) -> AsyncIterator[Site]:
    async with on_site(make_app(), dsn) as site:
        yield site


async def test_a_run_is_started_looked_at_and_listed(site: Site) -> None:
    started = await site.client.post(
        "/api/jobs/order/runs", json={"input": {"number": 21}, "priority": 5, "idempotency_key": "k"}
    )
    assert started.status_code == 201
    run = started.json()
    assert started.headers["location"] == f"/api/runs/{run['id']}"
    assert run.keys() >= RUN_FIELDS
    assert (run["state"], run["scope"], run["priority"], run["input"]) == ("queued", "21", 5, {"number": 21})

    async with site.house.replica():
        await site.house.watch.ended(run["id"])
    shown = (await site.client.get(f"/api/runs/{run['id']}")).json()
    assert (shown["state"], shown["output"]) == ("succeeded", 42)
    assert shown["journal"][0].keys() >= STEP_FIELDS
    assert shown["journal"][0]["key"] == "double"

    again = await site.client.post("/api/jobs/order/runs", json={"input": {"number": 1}, "idempotency_key": "k"})
    assert (again.status_code, again.json()["id"]) == (200, run["id"])


async def test_lists_are_paged_and_filtered(site: Site) -> None:
    for number in range(5):
        await site.house.start("order", {"number": number})
    await site.house.start("waiting")

    async def pages(query: str) -> list[list[str]]:
        found, cursor = [], ""
        while cursor is not None:
            told = (await site.client.get(f"/api/runs?limit=2&{query}{cursor and f'&cursor={cursor}'}")).json()
            found.append([run["scope"] for run in told["runs"]])
            cursor = told["next"]
        return found

    assert await pages("job=order") == [["4", "3"], ["2", "1"], ["0"]]
    assert await pages("scope=3") == [["3"]]
    assert await pages("state=failed") == [[]]
    assert [scope for page in await pages("state=queued") for scope in page] == [None, "4", "3", "2", "1", "0"]


async def test_a_queued_run_is_cancelled_at_once_and_a_running_one_by_its_worker(site: Site) -> None:
    queued = await site.house.start("waiting", delay=3600)
    at_once = await site.client.post(f"/api/runs/{queued}/cancel")
    assert (at_once.status_code, at_once.json()["state"]) == (200, "cancelled")
    assert (await site.client.post(f"/api/runs/{queued}/cancel")).status_code == 409

    async with site.house.replica():
        running = await site.house.start("waiting")
        await site.house.watch.value("select state = 'running' from hookline.runs where id = $1", running)
        asked = await site.client.post(f"/api/runs/{running}/cancel")
        assert asked.status_code == 202
        (row,) = await site.house.watch.ended(running, timeout=4)  # sooner than the next heartbeat
    assert row["state"] == "cancelled"


async def test_jobs_and_workers_and_deliveries_are_shown(site: Site) -> None:
    await site.push("guid-1")
    await site.house.start("order", {"number": 1})
    jobs = {job["name"]: job for job in (await site.client.get("/api/jobs")).json()["jobs"]}
    assert jobs["order"]["description"] == "Do one order."
    assert jobs["order"]["input_schema"]["required"] == ["number"]
    assert (jobs["order"]["unfinished"], jobs["order"]["offered"]) == ({"queued": 1}, [])
    async with site.house.replica():
        await site.house.watch.value("select count(*) = 1 from hookline.workers")
        (worker,) = (await site.client.get("/api/workers")).json()["workers"]
        assert sorted(worker["offers"]) == ["order@1", "waiting@1"]
        assert 0 < worker["lease_seconds"] < 6  # it may have been renewed since the question was put
    (delivery,) = (await site.client.get("/api/deliveries?source=github&status=ignored")).json()["deliveries"]
    assert (delivery["key"], delivery["runs"]) == ("guid-1", [])


async def test_a_job_is_shown_with_what_it_asks_of_events_and_how_its_runs_get_along(dsn: str) -> None:
    app = App()

    @app.job(
        on=github.push(branches=["main", "v*"], repository="octo/*"), scope="{repository}", limit=2,
        policy=Debounce(30, at_most=timedelta(minutes=10)), rate=Rate(5, per=60), retry=Retry(attempts=3), timeout=90,
    )  # fmt: skip
    async def build(ctx: Context, event: Event) -> None: ...

    @app.job(on=stripe("invoice.paid"), correlate="{customer}", on_error="pause")
    async def bill(ctx: Context, event: Event) -> None: ...

    async with on_site(app, dsn) as site:
        told = (await site.client.get("/api/jobs/build")).json()
        assert (told["on"], told["scope"]) == (["github.push"], "{repository}")
        assert told["picks"] == ["github.push, repository octo/*, branch main or v*"]
        rate = {"count": 5, "per": 60.0}
        assert told["terms"] == {"policy": "debounce", "limit": 2, "rate": rate, "quiet": 30.0, "at_most": 600.0}
        assert (told["attempts"], told["timeout"], told["on_error"]) == (3, 90.0, "fail")

        told = (await site.client.get("/api/jobs/bill")).json()
        assert (told["picks"], told["terms"]) == (["stripe.invoice.paid"], None)
        assert (told["correlate"], told["on_error"]) == ("{customer}", "pause")

        shown = await site.hookline("jobs", "show", "build")
        for line in ("policy    debounce", "limit     2", "rate      5 in 60 s", "quiet     30 s", "at_most   600 s"):
            assert line in shown, line
        page = (await site.client.get("/jobs/build")).text
        assert "5 in 1m" in page
        assert "github.push, repository octo/*, branch main or v*" in page


async def test_a_worker_is_shown_with_as_many_runs_as_it_has_in_this_moment(site: Site) -> None:
    async with site.house.replica():
        run = await site.house.start("waiting")
        await site.house.watch.value("select state = 'running' from hookline.runs where id = $1", run)
        (worker,) = (await site.client.get("/api/workers")).json()["workers"]
        assert worker["running"] == 1
        await site.client.post(f"/api/runs/{run}/cancel")
        await site.house.watch.ended(run)
        (worker,) = (await site.client.get("/api/workers")).json()["workers"]
        assert worker["running"] == 0


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "says"),
    [
        ("GET", f"/api/runs/{NOWHERE}", None, 404, "there is no run"),
        ("GET", "/api/runs/xyz", None, 404, "there is no run 'xyz'"),
        ("POST", f"/api/runs/{NOWHERE}/cancel", None, 404, "there is no run"),
        ("GET", "/api/runs?state=lost", None, 422, "state: Invalid enum value 'lost'; it is blocked or queued"),
        ("GET", "/api/runs?limit=1000", None, 422, "limit: Expected `int` <= 200"),
        ("GET", "/api/runs?cursor=x", None, 422, "cursor: Invalid UUID"),
        ("GET", "/api/runs?jobs=x", None, 422, "there is no parameter 'jobs'"),
        ("GET", "/api/runs?job=%00", None, 422, "NUL"),
        ("GET", "/api/nothing", None, 404, "nothing answers GET /api/nothing"),
        ("DELETE", "/api/runs", None, 405, "nothing answers DELETE /api/runs"),
        ("POST", "/api/jobs/nobody/runs", b"{}", 404, "there is no job 'nobody'"),
        ("POST", "/api/jobs/order/runs", b"{", 400, "the body is not JSON"),
        ("POST", "/api/jobs/order/runs", b'{"input": ' + b"[" * 100_000, 400, "the body is not JSON"),
        ("POST", "/api/jobs/order/runs", b'{"imput": 1}', 422, "unknown field `imput`"),
        ("POST", "/api/jobs/order/runs", b'{"input": {"number": "x"}}', 422, "does not fit job order: number"),
        ("POST", "/api/jobs/order/runs", b'{"input": {}}', 422, "does not fit job order"),
        ("POST", "/api/jobs/order/runs", b'{"input": {"number": 1}, "delay": -1}', 422, "delay"),
        ("POST", "/api/jobs/order/runs", b'{"input": {"number": 1}, "priority": 101}', 422, "priority"),
        ("POST", "/api/jobs/order/runs", b'{"input": {"number": 1}, "scope": ""}', 422, "scope"),
    ],
)
async def test_a_bad_request_gets_a_problem_that_says_what_to_do(
    site: Site, method: str, path: str, body: bytes | None, status: int, says: str
) -> None:
    headers = {"Content-Type": "application/json"} if body is not None else {}
    answer = await site.client.request(method, path, content=body, headers=headers)
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    problem = answer.json()
    assert problem["status"] == status
    assert says in problem["detail"]


PATHS = [
    ("GET", "/api/jobs"), ("GET", "/api/runs"), ("GET", "/api/runs/x"), ("POST", "/api/jobs/order/runs"),
    ("POST", "/api/runs/x/cancel"), ("GET", "/api/workers"), ("GET", "/api/deliveries"), ("GET", "/api/x"),
]  # fmt: skip


@pytest.mark.parametrize(("method", "path"), PATHS, ids=str)
async def test_everything_asks_for_a_token_where_there_are_tokens(dsn: str, method: str, path: str) -> None:
    async with on_site(make_app(), dsn, tokens=["one", "two"]) as site:
        for headers in (
            [],
            [("Authorization", "Bearer three")],
            [("Authorization", "Basic one")],
            [("Authorization", "Bearer")],
            [("Authorization", "Bearer one"), ("Authorization", "Bearer one")],
            [(b"Authorization", b"Bearer \xe9")],
        ):
            answer = await site.client.request(method, path, headers=headers)
            assert (answer.status_code, answer.headers["www-authenticate"]) == (401, "Bearer")
        let_in = await site.client.request(method, path, headers={"Authorization": "bearer two"})
        assert let_in.status_code in (200, 404, 415, 422)


async def test_without_tokens_only_this_machine_is_answered_and_no_page_in_its_browser(site: Site) -> None:
    for headers in (
        {"Host": "evil.example"},
        {"Host": "127.0.0.1.evil.example"},
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"X-Forwarded-For": "203.0.113.9"},
        {"X-Forwarded-For": "127.0.0.1"},
        {"Forwarded": "for=203.0.113.9"},
    ):
        assert (await site.client.get("/api/runs", headers=headers)).status_code == 403
    for headers in ({"Host": "localhost:8000"}, {"Origin": "http://127.0.0.1:8000"}):
        assert (await site.client.get("/api/runs", headers=headers)).status_code == 200


async def test_health_needs_no_token_and_readiness_looks_at_the_database(dsn: str) -> None:
    async with on_site(make_app(), dsn, tokens=["one"]) as site:
        assert (await site.client.get("/healthz")).json() == {"status": "alive"}
        assert (await site.client.get("/readyz")).status_code == 200
        for version, answered in (
            ("9999", (200, "newer")),
            ("0001", (503, f"is 0001, not {migrate.known()}")),
        ):
            await site.house.watch.connection.execute("update hookline.alembic_version set version_num = $1", version)
            answer = await site.client.get("/readyz")
            assert (answer.status_code, answer.json()["schema"]) == answered
        assert (await site.push("guid")).status_code == 202


async def test_runs_are_found_by_when_they_were_created(site: Site) -> None:
    runs = [(await site.client.post("/api/jobs/order/runs", json={"input": {"number": n}})).json() for n in range(3)]
    await site.house.watch.connection.execute("select pg_sleep(0.002)")
    moment = (await site.client.get("/api/overview")).json()["now"]

    async def found(**asked: str) -> int:
        return len((await site.client.get("/api/runs", params=asked)).json()["runs"])

    assert await found(since="2026-01-01T00:00Z", until=moment) == len(runs)
    assert await found(since=moment) == 0
    assert await found(until="2026-01-01T00:00Z") == 0


async def test_the_overview_tells_what_the_first_page_does(site: Site) -> None:
    await site.client.post("/api/jobs/order/runs", json={"input": {"number": 1}})
    told = (await site.client.get("/api/overview?window=6h")).json()
    assert [each["title"] for each in told["attention"]] == ["No worker is alive"]
    assert (told["due"], told["queues"][0]["job"]) == (1, "order")
    assert len(told["edges"]) == len(told["runs"]) + 1 == 73
    assert {each["source"] for each in told["sources"]} == {"generic", "github"}
    assert (await site.client.get("/api/overview?window=1y")).status_code == 422


async def test_runs_are_found_since_a_moment_before_all_ids(site: Site) -> None:
    run = await site.house.start("order", {"number": 1})
    body = {"filter": {"job": "order", "since": "0019-05-03T23:03:00Z"}}
    assert (await site.client.post("/api/runs/cancel", json=body)).json()["runs"] == [str(run)]
