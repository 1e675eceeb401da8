"""What kept deliveries would start under other code is told by each run, and nothing is done."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from tests.integration.test_cli import hookline
from tests.support import PUSH, SECRET, Site, on_site

from hookline import App, Context, Event
from hookline.ingress.backtest import Change, Outcome, compared, tried, why_not
from hookline.ingress.parser import find
from hookline_parsers import generic, github

OLD = """
from hookline import App, Context, Event
from hookline_parsers import github
app = App()
@app.step
def greet() -> str: return "hello"
@app.job(on=github.push(branches=["main"]), scope="{repository}")
async def deploy(ctx: Context, event: Event) -> None: ...
@app.job(on=github.push(), input={"sha": "{sha}", "repository": "{repository}"}, idempotency_key="{sha}")
async def build(ctx: Context, wanted: dict[str, str]) -> None: ...
@app.job(on=github.issues())
async def triage(ctx: Context, event: Event) -> None: ...
@app.job(on=github.watch())
async def nobody(ctx: Context, event: Event) -> None: ...
""".replace("github.watch()", 'github.event("watch")')

NEW = """
from hookline import App, Context, Event
from hookline_parsers import github
app = App()
@app.job(on=github.push(), scope="{branch}", version=2, priority=5)
async def deploy(ctx: Context, event: Event) -> None: raise SystemExit("no job is run")
@app.job(on=github.push(), input={"sha": "{sha}", "branch": "{branch}"}, idempotency_key="{sha}")
async def build(ctx: Context, wanted: dict[str, str]) -> None: raise SystemExit("no job is run")
@app.job(on=github.event("watch", when=lambda event: event.data["absent"]))
async def nobody(ctx: Context, event: Event) -> None: ...
"""


def app_of(source: str) -> App:
    space: dict[str, Any] = {"__name__": "backtested"}
    exec(source, space)
    found: App = space["app"]
    return found


async def fed(site: Site) -> list[dict[str, Any]]:
    answer = await site.client.get("/api/deliveries/feed", params={"since": "2026-01-01T00:00Z"})
    found: list[dict[str, Any]] = answer.json()["deliveries"]
    return found


async def fill(site: Site) -> None:
    dev = PUSH.replace(b"main", b"dev").replace(b"9fceb02", b"deadbee")
    await site.push("main", PUSH)
    await site.push("again", PUSH)  # whose build has its key already
    await site.push("dev", dev)
    await site.push("issue", b'{"action": "opened"}', X_GitHub_Event="issues")
    await site.push("watch", b"{}", X_GitHub_Event="watch")
    await site.push("main", PUSH + b" ")


async def test_the_same_code_starts_the_same_runs(dsn: str) -> None:
    async with on_site(app_of(OLD), dsn) as site:
        await fill(site)
        *told, conflict = await fed(site)
    assert why_not(conflict) == "conflicts"
    outcomes = {each["key"]: tried(each, find("github"), app_of(OLD).latest) for each in told}
    assert not any(each.is_different or each.differences for each in outcomes.values())
    assert outcomes["again"].same == ("build", "deploy")
    assert outcomes["dev"].same == ("build",)


async def test_runs_that_would_appear_vanish_or_change_are_told_each_with_its_reason(dsn: str) -> None:
    async with on_site(app_of(OLD), dsn) as site:
        await fill(site)
        outcomes = {each["key"]: tried(each, find("github"), app_of(NEW).latest) for each in (await fed(site))[:-1]}
    build, deploy = outcomes["main"].differences
    assert (build.kind, build.changes) == (
        "changes", (Change("input.repository", then="octo/site"), Change("input.branch", now="main")),
    )  # fmt: skip
    assert (deploy.kind, deploy.version, deploy.changes) == (
        "changes", 2, (Change("version", 1, 2), Change("scope", "octo/site", "main"), Change("priority", 0, 5)),
    )  # fmt: skip
    _, appears = outcomes["dev"].differences
    assert (appears.kind, appears.job, appears.why) == ("appears", "deploy", "branch is 'dev', not main")
    (vanishes,) = outcomes["issue"].differences
    assert (vanishes.kind, vanishes.job, vanishes.why) == ("vanishes", "triage", "no such job is on such an event")
    (lost,) = outcomes["watch"].differences
    reason = "the binding of job nobody failed: KeyError"
    assert (lost.kind, lost.why) == ("vanishes", f"the delivery would be quarantined: {reason}")
    assert (outcomes["watch"].now, outcomes["watch"].reason) == ("quarantined", reason)


async def test_what_is_in_quarantine_would_appear_once_it_can_be_read(dsn: str) -> None:
    async with on_site(app_of(NEW), dsn) as site:
        await site.push("watch", b"{}", X_GitHub_Event="watch")
        (told,) = await fed(site)
    outcome: Outcome = tried(told, find("github"), app_of(OLD).latest)
    assert outcome.is_different
    assert [(each.kind, each.job) for each in outcome.differences] == [("appears", "nobody")]


async def test_a_trigger_is_tried_with_its_input(dsn: str) -> None:
    app, other = App(), App()

    @app.job()
    async def work(ctx: Context, wanted: Any) -> None: ...

    @other.job("work", scope="{who}")
    async def scoped(ctx: Context, wanted: Any) -> None: ...

    body = b'{"job": "work", "input": {"who": "mona", "n": 18446744073709551616}, "priority": 3}'
    headers = generic.parser.headers_for("", "k", body) | generic.parser.scheme.sign(SECRET.encode(), body, {})
    async with on_site(app, dsn) as site:
        await site.client.post("/webhooks/generic", content=body, headers=headers)
        (told,) = await fed(site)
    assert tried(told, generic.parser, app.latest).same == ("work",)
    (change,) = tried(told, generic.parser, other.latest).differences
    assert change.changes == (Change("scope", None, "mona"),)


async def test_what_was_deleted_or_came_by_a_connector_is_left_out(dsn: str) -> None:
    app = App()

    @app.job(on=github.push())
    async def work(ctx: Context, event: Event) -> None: ...

    async with on_site(app, dsn) as site, site.house.replica():
        (run,) = (await site.push("guid-1")).json()["runs"]
        await site.house.watch.ended(run)
        assert (await site.client.delete(f"/api/runs/{run}/data")).status_code == 202
        await site.house.watch.value("select true from hookline.runs where data_deletion = 'done'")
        (told,) = await fed(site)
    assert (why_not(told), told["subject"]) == ("without their data", None)
    assert why_not(told | {"source": "connector:orders"}) == "of connectors"


@pytest.mark.parametrize(
    ("then", "now", "paths"),
    [
        ({"a": 1}, {"a": 1}, []),
        ({"a": {"b": [1, 2]}}, {"a": {"b": [1, 3]}}, ["x.a.b.1"]),
        ([1], [1, 2], ["x"]),
        (1, True, ["x"]),
        (1, 1.0, ["x"]),
        (None, {}, ["x"]),
        ({"a": None}, {}, ["x.a"]),
    ],
)
def test_values_differ_where_they_differ(then: Any, now: Any, paths: list[str]) -> None:
    assert [each.path for each in compared(then, now, "x")] == paths


async def test_the_command_tells_it_and_leaves_everything_as_it_is(dsn: str, tmp_path: Path) -> None:
    (tmp_path / "backtested_old.py").write_text(OLD)
    (tmp_path / "backtested_new.py").write_text(NEW)
    async with on_site(app_of(OLD), dsn, tokens=["t0ken"]) as site:
        greeting = b"{on: [github.push], tasks: {hello: {step: greet}}}"
        defined = await site.client.put(
            "/api/definitions/greeting", content=greeting,
            headers={"Content-Type": "application/yaml", "Authorization": "Bearer t0ken"},
        )  # fmt: skip
        assert defined.status_code == 201, defined.text
        await fill(site)
        service = {"URL": str(site.client.base_url), "TOKEN": "t0ken"}
        before = await _counts(site)
        arguments = ["backtest", "--since", "2026-01-01", "--app"]

        async def run(*more: str, **environment: str) -> tuple[int, str, str]:
            return await hookline(*arguments, *more, path=tmp_path, **service, **environment)

        status, out, _ = await run("backtested_old:app", "--fail-on-change")
        assert (status, out.splitlines()[-1]) == (0, "5 deliveries tried, 0 would differ; 1 conflicts left out")
        status, out, err = await run("backtested_new:app")
        assert (status, "SystemExit" in out + err) == (0, False)
        assert err.startswith("definition greeting is left out: ")
        assert "  vanishes  greeting@1: no such job is on such an event" in out
        assert "  vanishes  triage@1: no such job is on such an event" in out
        assert '    input.repository: "octo/site" -> (absent)' in out
        assert "  quarantined: the binding of job nobody failed: KeyError" in out
        assert "5 deliveries tried, 5 would differ, 1 would be quarantined" in out
        status, out, _ = await run("backtested_new:app", "--subject", "octo/site", "--json", "--fail-on-change")
        *lines, totals = map(json.loads, out.splitlines())
        assert (status, len(lines), totals["totals"]["different"]) == (1, 3, 3)
        assert lines[0]["differences"][0]["changes"][0] == {"path": "input.repository", "then": "octo/site"}
        assert totals["totals"]["jobs"]["deploy"] == {"same": 0, "changes": 2, "appears": 1, "vanishes": 0}
        status, _, err = await run("backtested_old:app", "--parser", "github=nothing")
        assert (status, "source github: there is no parser 'nothing'" in err) == (2, True)
        assert (await run("backtested_old:app", "--until", "2026-01-02"))[1].startswith("0 deliveries tried")
        assert await _counts(site) == before


async def _counts(site: Site) -> list[int]:
    tables = ("deliveries", "runs", "run_data", "arrivals", "journal")
    return [await site.house.watch.connection.fetchval(f"select count(*) from hookline.{each}") for each in tables]
