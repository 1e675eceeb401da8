"""The inbox: what came in is found again, says why it did what it did, and can be taken in again."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any
from uuid import uuid4

import pytest
from tests.support import PUSH, SECRET, Site, on_site

from hookline import App, Context, Event, Pattern, any_of, inbox
from hookline_parsers import generic, github

PUSHED = json.loads(PUSH)


def make_app(*, broken: bool = False) -> App:
    app = App()

    @app.job(on=github.push(branches=["main"]), scope="{repository}")
    async def deploy(ctx: Context, event: Event) -> str:
        return str(event.fields["branch"])

    @app.job(on=any_of(github.push(branches=["dev"]), github.issues()), version=2)
    async def check(ctx: Context, event: Event) -> None:
        return None

    if broken:

        @app.job(on=github.event("push", when=lambda event: event.data["absent"]))
        async def breaks(ctx: Context, event: Event) -> None:
            return None

    return app


@pytest.fixture
async def site(dsn: str) -> AsyncIterator[Site]:
    async with on_site(make_app(), dsn) as found:
        yield found


async def shown(site: Site, id_: str) -> dict[str, Any]:
    answer = await site.client.get(f"/api/deliveries/{id_}")
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def test_a_delivery_tells_what_each_job_made_of_it(site: Site) -> None:
    answer = (await site.push("guid-1")).json()
    told = await shown(site, answer["delivery"])

    assert told["bindings"] == [
        {"job": "deploy", "version": 1, "event": 0, "verdict": "matched"},
        {"job": "check", "version": 2, "event": 0, "verdict": "filtered", "why": "branch is 'main', not dev"},
    ]
    (run,) = told["runs"]
    assert (run["id"], run["job"], run["scope"]) == (answer["runs"][0], "deploy", "octo/site")
    assert json.loads(told["body"]) == PUSHED
    assert ["x-github-event", "push"] in told["headers"]
    assert told["events"][0]["type"] == "github.push"


async def test_a_delivery_that_no_job_is_on_tells_so(site: Site) -> None:
    answer = await site.push("guid-1", b"{}", X_GitHub_Event="watch")
    assert (await shown(site, answer.json()["delivery"]))["bindings"] == []


async def test_deliveries_are_found_by_what_is_known_of_them(site: Site) -> None:
    await site.push("guid-1")
    await site.push("guid-2", b'{"action": "opened"}', X_GitHub_Event="issues")

    async def keys(**query: str) -> list[str]:
        found = (await site.client.get("/api/deliveries", params=query)).json()["deliveries"]
        return [each["key"] for each in found]

    assert await keys(type="github.issues") == ["guid-2"]
    assert await keys(type="github") == ["guid-2", "guid-1"]
    assert await keys(type="git") == []
    assert await keys(type="github", source="generic") == []
    assert await keys(source="github", key="guid-1") == await keys(key="guid-1") == ["guid-1"]
    assert await keys(subject="octo/site") == await keys(subject="octo/site", type="github") == ["guid-1"]
    assert await keys(subject="octo/site", status="ignored") == await keys(subject="octo") == []
    assert await keys(since="2026-01-01T00:00Z", until="2999-01-01T00:00Z") == ["guid-2", "guid-1"]
    assert await keys(until="2026-01-01T00:00Z") == []
    for wrong in ("since=yesterday", "since=2026-01-01", "until=9999-99-99T00:00Z", "kind=x", "key=%00"):
        assert (await site.client.get(f"/api/deliveries?{wrong}")).status_code == 422


async def test_a_replay_is_taken_in_where_one_of_its_id_was_deleted_before_its_arrival_was_looked_at(
    site: Site,
) -> None:
    first = (await site.push("guid-1")).json()
    replay = {"id": str(uuid4())}
    left = "insert into hookline.arrivals (delivery_id, types) values ($1, '[\"*\"]')"
    await site.house.watch.connection.execute(left, replay["id"])
    answer = await site.client.post(f"/api/deliveries/{first['delivery']}/replay", json=replay)
    assert (answer.status_code, answer.json()["delivery"]) == (202, replay["id"]), answer.text
    assert len(answer.json()["runs"]) == 1


async def test_a_replay_is_a_delivery_of_its_own_that_starts_new_runs_once(site: Site) -> None:
    first = (await site.push("guid-1")).json()
    replay = {"id": str(uuid4())}
    answers = [await site.client.post(f"/api/deliveries/{first['delivery']}/replay", json=replay) for _ in range(2)]

    assert [each.json()["delivery"] for each in answers] == [replay["id"]] * 2
    assert answers[0].json()["runs"] == answers[1].json()["runs"] != first["runs"]
    assert [each.json()["status"] for each in answers] == ["accepted", "accepted"]
    assert (await shown(site, first["delivery"]))["replays"] == [replay["id"]]
    assert (await shown(site, replay["id"]))["replay_of"] == first["delivery"]
    async with site.house.replica():
        for run in (first["runs"][0], answers[0].json()["runs"][0]):
            await site.house.watch.ended(run)
            assert (await site.house.read(run))["output"] == b'"main"'


async def test_what_would_come_of_a_replay_is_told_and_nothing_is_done(site: Site) -> None:
    first = (await site.push("guid-1")).json()
    told = (await site.client.post(f"/api/deliveries/{first['delivery']}/replay", json={"dry_run": True})).json()
    assert told["runs"] == [{"job": "deploy", "version": 1, "scope": "octo/site", "priority": 0}]
    assert len((await site.client.get("/api/deliveries")).json()["deliveries"]) == 1


async def test_a_binding_that_breaks_keeps_the_delivery_until_it_is_mended_and_then_all_its_runs_start(
    dsn: str,
) -> None:
    async with on_site(make_app(broken=True), dsn) as site:
        first = (await site.push("guid-1")).json()
        assert (first["status"], first["runs"]) == ("quarantined", [])
        assert first["reason"] == "the binding of job breaks failed: KeyError"
        told = await shown(site, first["delivery"])
        verdicts = {each["job"]: each["verdict"] for each in told["bindings"]}
        assert verdicts == {"deploy": "matched", "check": "filtered", "breaks": "error"}
    async with on_site(make_app(), dsn) as mended:
        again = await mended.client.post(f"/api/deliveries/{first['delivery']}/replay", json={})
        assert (again.json()["delivery"], again.json()["status"]) == (first["delivery"], "accepted")
        told = await shown(mended, first["delivery"])
        assert [run["job"] for run in told["runs"]] == ["deploy"]
        assert told["status"] == "accepted"


async def test_nothing_is_replayed_that_is_not_there_or_that_nobody_can_read(site: Site, dsn: str) -> None:
    assert (await site.client.post(f"/api/deliveries/{uuid4()}/replay", json={})).status_code == 404
    assert (await site.client.get(f"/api/deliveries/{uuid4()}")).status_code == 404
    first = (await site.push("guid-1")).json()
    for wrong in ({"id": "x"}, {"dry": True}, []):
        answer = await site.client.post(f"/api/deliveries/{first['delivery']}/replay", json=wrong)
        assert answer.status_code == 422
    async with on_site(make_app(), dsn, sources=()) as bare:
        answer = await bare.client.post(f"/api/deliveries/{first['delivery']}/replay", json={})
        assert answer.status_code == 409
        assert "source github is not configured" in answer.json()["detail"]


async def test_a_run_is_handed_what_its_job_makes_of_the_event(dsn: str) -> None:
    app = App()

    @app.job(
        on=github.push(),
        input={"sha": "{after}", "where": "to {repository}", "all": ["{repository.full_name}"], "n": 1},
        priority=lambda event: 7 if event.fields["branch"] == "main" else 0,
        idempotency_key="{repository}@{sha}",
    )
    async def build(ctx: Context, wanted: dict[str, Any]) -> Any:
        return wanted

    async with on_site(app, dsn) as site, site.house.replica():
        runs = [(await site.push(guid)).json()["runs"] for guid in ("guid-1", "guid-2")]
        assert runs[0] == runs[1]
        await site.house.watch.ended(runs[0][0])
        run = await site.house.read(runs[0][0])
        expected = {"sha": PUSHED["after"], "where": "to octo/site", "all": ["octo/site"], "n": 1}
        assert json.loads(run["output"]) == expected
        assert run["priority"] == 7


@pytest.mark.parametrize(
    "options",
    [{"priority": lambda event: 1000}, {"input": {"x": "{absent}"}}, {"idempotency_key": "{absent}"}],
    ids=["priority", "input", "key"],
)
async def test_what_a_job_makes_of_an_event_and_cannot_keeps_the_delivery(dsn: str, options: Any) -> None:
    app = App()

    @app.job(on=github.push(), **options)
    async def build(ctx: Context, wanted: Any) -> None:
        return None

    async with on_site(app, dsn) as site:
        answer = (await site.push("guid-1")).json()
        assert (answer["status"], answer["runs"]) == ("quarantined", [])


async def test_a_trigger_of_an_unknown_job_is_kept(site: Site) -> None:
    body = b'{"job": "nobody"}'
    headers = generic.parser.headers_for("", "k", body) | generic.parser.scheme.sign(SECRET.encode(), body, {})
    answer = await site.client.post("/webhooks/generic", content=body, headers=headers)
    assert answer.json()["reason"] == "there is no job 'nobody'"


async def test_a_delivery_is_about_what_its_event_is_about(site: Site, dsn: str) -> None:
    first = (await site.push("guid-1")).json()["delivery"]
    nothing = (await site.push("guid-2", b"{}")).json()["delivery"]
    too_long = b'{"repository": {"full_name": "%s"}}' % (b"x" * 501)
    odd = (await site.push("guid-3", too_long)).json()["delivery"]
    assert [(await shown(site, each))["subject"] for each in (first, nothing, odd)] == ["octo/site", None, None]
    async with on_site(make_app(broken=True), dsn) as broken:
        kept = (await broken.push("guid-4")).json()
        assert (kept["status"], (await shown(site, kept["delivery"]))["subject"]) == ("quarantined", "octo/site")


def alarmed(app: App, heard: list[dict[str, Any]]) -> App:
    @app.job(on=any_of(inbox.quarantined(source="github"), inbox.conflict()))
    async def alert(ctx: Context, event: Event) -> None:
        heard.append({"event": event.type} | event.data)

    @app.job(on=inbox.conflict(source="gitlab"))
    async def elsewhere(ctx: Context, event: Event) -> None: ...

    @app.job(on=Pattern(["*"]))
    async def everything(ctx: Context, event: Event) -> None: ...

    return app


async def test_a_conflict_and_a_quarantined_delivery_each_start_the_jobs_that_are_on_alarms_once(dsn: str) -> None:
    heard: list[dict[str, Any]] = []
    async with on_site(alarmed(make_app(broken=True), heard), dsn) as site, site.house.replica():
        kept = [(await site.push("guid-1")).json() for _ in range(2)]
        other = [(await site.push("guid-1", PUSH + b" ")).json() for _ in range(2)]
        assert [each["status"] for each in (*kept, *other)] == ["quarantined", "duplicate", "conflict", "conflict"]
        assert [each["runs"] for each in (*kept, *other)] == [[]] * 4
        runs = await site.house.watch.connection.fetch("select id, job, delivery_id from hookline.runs order by seq")
        assert [(row["job"], str(row["delivery_id"])) for row in runs] == [
            ("alert", kept[0]["delivery"]), ("alert", other[0]["delivery"]),
        ]  # fmt: skip
        await site.house.watch.ended(*(row["id"] for row in runs))
        (run,) = (await shown(site, other[0]["delivery"]))["runs"]
        assert (run["id"], run["event"]) == (str(runs[1]["id"]), None)
        listed = (await site.client.get("/api/deliveries")).json()["deliveries"]
        assert [each["runs"] for each in listed] == [[], []]
    heard.sort(key=lambda each: each["conflict_of"] is not None)  # the two runs may end in either order
    assert [(each["event"], each["subject"], each["delivery"], each["conflict_of"]) for each in heard] == [
        ("hookline.delivery.quarantined", "octo/site", kept[0]["delivery"], None),
        ("hookline.delivery.conflict", "octo/site", other[0]["delivery"], kept[0]["delivery"]),
    ]
    assert heard[0]["reason"] == "the binding of job breaks failed: KeyError"
    async with on_site(alarmed(make_app(), heard), dsn) as mended:
        again = (await mended.client.post(f"/api/deliveries/{kept[0]['delivery']}/replay", json={})).json()
        assert (again["status"], len(again["runs"])) == ("accepted", 2)


async def test_a_conflict_can_be_taken_in_all_the_same(site: Site) -> None:
    await site.push("guid-1")
    other = (await site.push("guid-1", PUSH.replace(b"9fceb02", b"deadbee"))).json()
    again = (await site.client.post(f"/api/deliveries/{other['delivery']}/replay", json={})).json()
    assert (again["status"], len(again["runs"])) == ("accepted", 1)
    assert (await shown(site, other["delivery"]))["replays"] == [again["delivery"]]


async def test_an_alarm_that_fails_itself_keeps_nothing_from_being_stored(dsn: str) -> None:
    app = make_app(broken=True)

    @app.job(on=inbox.quarantined(), scope="{absent}")
    async def alert(ctx: Context, event: Event) -> None: ...

    @app.job(on=Pattern(["hookline.delivery"], when=lambda event: event.data["absent"]))
    async def another(ctx: Context, event: Event) -> None: ...

    async with on_site(app, dsn) as site:
        assert (await site.push("guid-1")).json()["status"] == "quarantined"
        assert await site.house.watch.connection.fetchval("select count(*) from hookline.runs") == 0
