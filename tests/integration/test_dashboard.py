"""The dashboard: every page answers whoever may use the API, and shows what there is, all of it escaped."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import urlencode
from uuid import uuid4

import pytest
from tests.support import PUSH, Site, on_site

from hookline import App, Context, Event, step
from hookline.web.dashboard import assets
from hookline_parsers import github

EVIL = "<img src=x onerror=alert(1)>"


def make_app() -> App:
    app = App()
    app.step(broken)

    @app.job(on=github.push(), scope="{repository}", schedule="@daily")
    async def deploy(ctx: Context, event: Event) -> str:
        """Ship it."""
        await ctx.set_var("link", "javascript:alert(1)")
        await ctx.set_var("home", "https://example.org/")
        await ctx.run_job("fails", {"why": EVIL})
        return "shipped"

    @app.job()
    async def fails(ctx: Context, about: dict[str, str]) -> None:
        await ctx.step(broken, about["why"])

    @app.job()
    async def waits(ctx: Context, about: dict[str, str]) -> Any:
        return await ctx.wait_for("word")

    return app


@step
async def broken(why: str) -> None:
    raise ValueError(why)


@pytest.fixture
async def site(dsn: str) -> AsyncIterator[Site]:
    async with on_site(make_app(), dsn) as found:
        yield found


async def shown(site: Site, path: str, status: int = 200, **headers: str) -> str:
    answer = await site.client.get(path, headers=headers)
    assert answer.status_code == status, (path, answer.text)
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert "script-src 'self'; style-src 'self'" in answer.headers["content-security-policy"]
    return answer.text


PLACES = (
    "/",
    "/runs",
    "/deliveries",
    "/jobs",
    "/schedules",
    "/definitions",
    "/sources",
    "/workers",
    "/tokens",
    "/audit",
)


@pytest.mark.parametrize("path", PLACES)
async def test_a_page_of_an_empty_service_says_what_to_do_next(site: Site, path: str) -> None:
    page = await shown(site, path)
    assert "<h1>" in page
    assert "None" not in re.sub(r"<[^>]*>", "", page)


async def test_pages_hold_no_script_and_no_style_of_their_own(site: Site) -> None:
    for path in PLACES:
        page = await shown(site, path)
        assert not re.search(r"<script(?![^>]*\bsrc=)|<style|\sstyle=|\son\w+=|javascript:", page), path
        assert not re.search(r"""(?:src|href)=["'](?:https?:)?//""", page), path


async def test_what_came_with_a_webhook_is_shown_as_text(site: Site) -> None:
    body = json.loads(PUSH) | {"repository": {"full_name": EVIL}, EVIL: EVIL}
    told = (await site.push("guid-1", json.dumps(body).encode(), User_Agent=EVIL)).json()
    async with site.house.replica():
        await site.house.watch.ended(*told["runs"])
    paths = [f"/deliveries/{told['delivery']}", f"/runs/{told['runs'][0]}", "/runs", "/deliveries", "/", "/jobs",
             f"/runs?scope={EVIL}", f"/deliveries?key={EVIL}", "/jobs/fails"]  # fmt: skip
    for path in paths:
        page = await shown(site, path)
        assert EVIL not in page, path
    run = await shown(site, paths[1])
    assert "&lt;img src=x" in run
    assert 'href="https://example.org/"' in run
    assert 'href="javascript' not in run


async def test_a_run_tells_where_it_stands_why_and_where_it_comes_from(site: Site) -> None:
    told = (await site.push("guid-1")).json()
    page = await shown(site, f"/runs/{told['runs'][0]}")
    assert "No live worker offers deploy version 1" in page
    assert f'href="/deliveries/{told["delivery"]}"' in page
    assert "octo/site" in page

    async with site.house.replica():
        await site.house.watch.ended(told["runs"][0])
    page = await shown(site, f"/runs/{told['runs'][0]}")
    assert "ValueError" in page
    assert "Traceback" in page
    assert f'data-act="POST /api/runs/{told["runs"][0]}/retry"' in page


async def test_a_delivery_is_shown_with_its_bindings_headers_and_body(site: Site) -> None:
    told = (await site.push("guid-1")).json()
    page = await shown(site, f"/deliveries/{told['delivery']}")
    for each in ("deploy", "x-github-event", "refs/heads/main", "--data-binary", "it fits"):
        assert each in page
    assert "matched" in page


async def test_two_deliveries_are_compared(site: Site) -> None:
    one = (await site.push("guid-1")).json()["delivery"]
    two = (await site.push("guid-2", PUSH.replace(b"9fceb02", b"1234567"))).json()["delivery"]
    page = await shown(site, f"/deliveries/compare?a={one}&b={two}")
    assert re.search(r"<del>.*9fceb02", page)
    assert re.search(r"<ins>.*1234567", page)
    await shown(site, "/deliveries/compare?a=1&b=2", 422)
    await shown(site, f"/deliveries/compare?a={one}&b={uuid4()}", 404)


async def test_a_large_body_is_cut_with_a_way_to_all_of_it(site: Site) -> None:
    body = json.dumps(json.loads(PUSH) | {"filler": "x" * 400_000}).encode()
    told = (await site.push("guid-1", body)).json()
    page = await shown(site, f"/deliveries/{told['delivery']}")
    assert len(page) < 350_000
    assert f'href="/api/deliveries/{told["delivery"]}"' in page
    assert "--data-binary" not in page
    assert len(await shown(site, f"/runs/{told['runs'][0]}")) < 350_000


async def test_a_list_says_how_far_it_has_looked_and_goes_on_from_there(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hookline.store.search.SCAN", 3)
    wanted = await site.house.start("waits", {}, scope="wanted")
    for _ in range(4):
        await site.house.start("waits", {}, scope="other")
    page = await shown(site, "/runs?scope=wanted")
    assert str(wanted) not in page
    (further,) = re.findall(r'rel="next" href="([^"]+)"', page)
    assert str(wanted) in await shown(site, further.replace("&amp;", "&"))


async def test_lists_are_turned_page_by_page(site: Site) -> None:
    started = sorted([str(await site.house.start("waits", {})) for _ in range(5)])
    path, found = "/runs?limit=2&job=waits", []
    while path:
        page = await shown(site, path)
        found += [each for each in started[::-1] if f'id="r-{each}"' in page]
        path = next(iter(re.findall(r'rel="next" href="([^"]+)"', page)), "").replace("&amp;", "&")
    assert found == started[::-1]


@pytest.mark.parametrize(
    ("query", "fits"),
    [("", 2), ("?job=waits", 1), ("?job=absent", 0), ("?state=queued", 1), ("?state=blocked", 0),
     ("?state=succeeded", 0), ("?source=github", 1), ("?source=generic", 0), ("?scope=octo/site", 1),
     ("?within=1h", 2), ("?until=2001-01-01T00:00Z", 0), ("?since=2001-01-01T00:00Z&state=&job=", 2)],
)  # fmt: skip
async def test_runs_are_found_by_what_is_asked(site: Site, query: str, fits: int) -> None:
    await site.push("guid-1")
    run = await site.house.start("waits", {})
    async with site.house.replica():
        await site.house.watch.value("select true from hookline.runs where id = $1 and state = 'waiting'", run)
        await site.house.watch.value("select true from hookline.runs where job = 'deploy' and state = 'failed'")
    await site.house.watch.connection.execute("delete from hookline.runs where job = 'fails'")
    await site.house.watch.connection.execute(
        "update hookline.runs set state = 'queued', due_at = now() where id = $1 and state = 'waiting'", run
    )
    assert (await shown(site, f"/runs{query}")).count('<tr id="r-') == fits


@pytest.mark.parametrize(
    ("path", "status"),
    [("/runs?state=odd", 422), ("/runs?cursor=1", 422), ("/runs?job=%00", 422), ("/runs?since=today", 422),
     ("/runs/1", 404), ("/deliveries/1", 404), ("/jobs/absent", 404), ("/jobs/%00", 404),
     ("/definitions/absent", 404), ("/find?q=absent", 404), ("/?window=9y", 422),
     ("/definitions/a?version=b", 422)],
)  # fmt: skip
async def test_what_cannot_be_shown_is_told_on_a_page(site: Site, path: str, status: int) -> None:
    assert "There is nothing here" in await shown(site, path, status) or status == 422


async def test_a_run_and_a_delivery_are_found_by_their_ids(site: Site) -> None:
    told = (await site.push("8f1c5a0e-7d3a-11f0-9c55-0242ac120002")).json()
    for given, place in (
        (told["runs"][0], f"/runs/{told['runs'][0]}"),
        (told["delivery"], f"/deliveries/{told['delivery']}"),
        ("8f1c5a0e-7d3a-11f0-9c55-0242ac120002", f"/deliveries/{told['delivery']}"),
    ):
        answer = await site.client.get("/find", params={"q": f" {given} "})
        assert (answer.status_code, answer.headers["location"]) == (303, place)


async def test_a_fragment_is_only_what_changes(site: Site) -> None:
    page = await shown(site, "/runs", **{"X-Fragment": "main"})
    assert "<main" in page
    assert "<nav" not in page
    assert "<title>Runs" in page


async def test_pages_are_for_whoever_may_use_the_api(dsn: str) -> None:
    async with on_site(make_app(), dsn, tokens=["token"]) as site:
        for path in (*PLACES, "/find?q=1", f"/runs/{uuid4()}"):
            answer = await site.client.get(path)
            assert (answer.status_code, answer.headers["location"]) == (303, f"/login?{urlencode({'next': path})}")
        await shown(site, "/", Authorization="Bearer token")


@pytest.mark.parametrize(
    ("wanted", "next_"),
    [("/runs?job=a", "/runs?job=a"), ("//evil.example", "/"), ("/\\evil.example", "/"), ("https://evil.example", "/")],
)
async def test_whoever_logs_in_gets_to_what_was_asked_for_and_nowhere_else(dsn: str, wanted: str, next_: str) -> None:
    async with on_site(make_app(), dsn, tokens=["token"]) as site:
        page = (await site.client.get("/login", params={"next": wanted})).text
        assert f'data-next="{next_}"' in page
        assert (await site.client.post("/login", json={"token": "token"})).status_code == 200
        assert 'aria-label="Log out"' in await shown(site, "/")


async def test_scripts_and_styles_are_kept_for_as_long_as_they_are_the_same(site: Site) -> None:
    page = await shown(site, "/")
    (script,) = re.findall(r'type="module" src="([^"]+)"', page)
    answer = await site.client.get(script)
    assert answer.headers["content-type"] == "text/javascript; charset=utf-8"
    assert "immutable" in answer.headers["cache-control"]
    assert (await site.client.get(script.replace(assets.DIGEST, "old"))).headers["cache-control"] == "no-cache"
    assert (await site.client.get(f"/static/{assets.DIGEST}/..%2fpages.py")).status_code == 404


async def test_a_definition_that_was_applied_here_is_offered_by_the_worker_here(site: Site) -> None:
    source = "tasks: {only: {step: broken, with: {why: it is}}}"
    async with site.house.replica():
        await site.house.watch.value("select true from hookline.workers")
        answer = await site.client.put(
            "/api/definitions/fetching", content=source, headers={"Content-Type": "application/yaml"}
        )
        assert answer.status_code == 201, answer.text
        await site.house.watch.value("select true from hookline.workers where 'fetching@1' = any(offers)")
        assert "by nobody" not in await shown(site, "/jobs")
    assert "step: broken" in await shown(site, "/definitions/fetching")
