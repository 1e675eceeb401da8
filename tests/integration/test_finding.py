"""Runs are found by tags, by what they are about and by where they come from, and so is what descends from them."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from tests.support import PUSH, Site, on_site

from hookline import App, Context, Event
from hookline.client import Client
from hookline_parsers import github

pytestmark = pytest.mark.anyio


def make_app() -> App:
    app = App()

    @app.job(on=github.push(), tags=["{repository}", "env:prod", "{commits.author.name}", "{nowhere}"])
    async def deploy(ctx: Context, event: Event) -> str:
        await ctx.tag("late", "env:prod")
        await ctx.start_job("report", {"n": 1}, tags=["by:hand"])
        return str(await ctx.run_job("report", {"n": 2}))

    @app.job(tags=lambda about: [f"n:{about['n']}", "", "x" * 101])
    async def report(ctx: Context, input: Any) -> int:
        return int(input["n"])

    @app.job(on=github.issues())
    async def breaks(ctx: Context, event: Event) -> None:
        raise ValueError("no")

    return app


@pytest.fixture
async def site(dsn: str) -> AsyncIterator[Site]:
    async with on_site(make_app(), dsn) as site, site.house.replica():
        yield site


async def listed(site: Site, **wanted: Any) -> list[dict[str, Any]]:
    response = await site.client.get("/api/runs", params=wanted)
    assert response.status_code == 200, response.text
    runs: list[dict[str, Any]] = response.json()["runs"]
    return runs


async def pushed(site: Site, guid: str = "1") -> str:
    """A push whose run has ended, and all that it started; its run."""
    body = json.loads(PUSH) | {"commits": [{"author": {"name": "Mona"}}, {"author": {"name": "Hubot"}}]}
    run: str = (await site.push(guid, json.dumps(body).encode())).json()["runs"][0]
    await site.house.watch.value(
        "select count(*) >= 3 from hookline.runs where state = 'succeeded' and (id = $1 or parent_id = $1)", run
    )
    return run


async def test_a_binding_tags_its_runs_from_the_event_and_what_is_not_there_is_no_tag(site: Site) -> None:
    run = await pushed(site)
    (found,) = await listed(site, tag="octo/site")
    assert found["id"] == run
    assert sorted(found["tags"]) == ["Hubot", "Mona", "env:prod", "late", "octo/site"]
    for tag in ("Mona", "late", "env:*", "*o/s*"):
        assert [each["id"] for each in await listed(site, tag=tag)] == [run], tag
    assert await listed(site, tag="mona") == []
    assert await listed(site, tag="100%*") == []


async def test_children_are_about_what_their_parents_are_and_have_tags_of_their_own(site: Site) -> None:
    run = await pushed(site)
    about = await listed(site, subject="octo/site")
    assert sorted(each["job"] for each in about) == ["deploy", "report", "report"]
    assert {each["source"] for each in about} == {"github"}
    assert [each["parent"] for each in await listed(site, subject="octo/site", job="report", tag="by:hand")] == [run]
    assert sorted(tuple(each["tags"]) for each in about if each["parent"]) == [("n:1", "by:hand"), ("n:2",)]
    assert len(await listed(site, source="github")) == 3
    assert await listed(site, source="generic") == []


async def test_forks_and_retries_are_found_as_what_they_come_from(site: Site) -> None:
    run = await pushed(site)
    forked = (await site.client.post(f"/api/runs/{run}/fork", json={})).json()["id"]
    found = await listed(site, subject="octo/site", tag="Mona", source="github", job="deploy")
    assert [each["id"] for each in found] == [forked, run]
    headers = github.parser.headers_for("issues", "2", b"{}")
    assert headers
    body = json.dumps({"action": "opened", "repository": {"full_name": "octo/broken"}}).encode()
    signed = github.parser.headers_for("issues", "2", body) | github.parser.scheme.sign(
        b"It's a Secret to Everybody", body, {}
    )
    broken = (await site.client.post("/webhooks/github", content=body, headers=signed)).json()["runs"][0]
    await site.house.watch.ended(broken)
    again = (await site.client.post(f"/api/runs/{broken}/retry", json={})).json()["id"]
    assert [each["id"] for each in await listed(site, subject="octo/broken")] == [again, broken]


async def test_whoever_starts_a_run_tags_it_and_what_can_be_no_tag_is_refused(site: Site) -> None:
    async with Client(str(site.client.base_url)) as client:
        run = await client.start("report", {"n": 7}, tags=["a", "b", "a"])
    (found,) = await listed(site, tag="b")
    assert (found["id"], found["tags"]) == (str(run), ["n:7", "a", "b"])
    for tags in ([""], ["x" * 101], ["a\nb"], [str(n) for n in range(21)]):
        response = await site.client.post("/api/jobs/report/runs", json={"input": {"n": 1}, "tags": tags})
        assert response.status_code == 422, response.text


async def test_pages_of_a_tag_follow_each_other_without_a_gap(site: Site) -> None:
    async with Client(str(site.client.base_url)) as client:
        runs = [str(await client.start("report", {"n": n}, tags=["all"])) for n in range(5)]
    seen: list[str] = []
    cursor = None
    while True:
        page = (
            await site.client.get(
                "/api/runs", params={"tag": "all", "limit": 2} | ({"cursor": cursor} if cursor else {})
            )
        ).json()
        seen += [each["id"] for each in page["runs"]]
        cursor = page["next"]
        if cursor is None:
            break
    assert seen == runs[::-1]


async def test_many_runs_are_steered_by_their_tag(site: Site) -> None:
    await pushed(site)
    response = await site.client.post("/api/runs/fork", json={"filter": {"tag": "Mona", "subject": "octo/site"}})
    assert response.json()["fitting"] == 1


async def test_a_definition_has_tags(site: Site) -> None:
    app = App()
    app.learn(
        "told",
        1,
        "tags: ['{input}', fixed]\ntasks: {one: {request: {method: GET, url: 'https://x.example'}}}",
        commands=False,
    )
    assert app.latest["told"].tags_of({"input": "this"}) == ("this", "fixed")


async def test_the_dashboard_shows_and_filters_by_repository_and_tag(site: Site) -> None:
    run = await pushed(site)
    page = (await site.client.get("/runs", params={"subject": "octo/site", "tag": "Mona"})).text
    assert f"r-{run}" in page
    assert 'value="octo/site"' in page
    assert "/runs?tag=env%3Aprod" in page
    assert f"r-{run}" not in (await site.client.get("/runs", params={"tag": "nobody"})).text
    shown = (await site.client.get(f"/runs/{run}")).text
    assert "/runs?subject=octo%2Fsite" in shown
    assert "/runs?tag=Mona" in shown
