"""The feed: every delivery once, whole, whatever the order in which they are committed."""

from __future__ import annotations

import asyncio
import base64
import json
import os
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from tests.support import PUSH, SECRET, Site, on_site

from hookline import App, Context, Event
from hookline.ingress.examination import examine
from hookline.ingress.schemes import Received, Unsigned
from hookline.ingress.signatures import as_headers
from hookline.ingress.sources import Source
from hookline.store import deliveries, feed
from hookline.store.delivery import NewDelivery
from hookline_parsers import generic, github

PAST = "2026-01-01T00:00Z"


def make_app() -> App:
    app = App()

    @app.job(on=github.push(), scope="{repository}", priority=3, idempotency_key="{sha}", version=2)
    async def deploy(ctx: Context, event: Event) -> None: ...

    @app.job(on=github.push(), input={"sha": "{sha}"})
    async def build(ctx: Context, wanted: dict[str, str]) -> None: ...

    @app.job()
    async def asked(ctx: Context, _: Any) -> None: ...

    return app


@pytest.fixture
async def site(dsn: str) -> AsyncIterator[Site]:
    async with on_site(make_app(), dsn) as found:
        yield found


async def page(site: Site, **query: Any) -> dict[str, Any]:
    answer = await site.client.get("/api/deliveries/feed", params=query)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def keys(told: dict[str, Any]) -> list[str]:
    return [each["key"] for each in told["deliveries"]]


def examined(guid: str) -> NewDelivery:
    received = Received(as_headers(github.parser.headers_for("push", guid, PUSH)), PUSH)
    return examine(Source("github", github.parser, Unsigned(), ()), received, {})[0]


async def test_a_delivery_that_is_committed_late_is_told_then_and_none_is_told_twice(site: Site) -> None:
    now = await page(site)
    assert keys(now) == []
    slow = await site.house.database.connect()
    async with slow.transaction():
        await deliveries.store(slow, [examined("slow")])
        await site.push("fast")
        first = await page(site, after=now["next"])
        assert keys(first) == ["fast"]
        second = await page(site, after=first["next"])
        assert keys(second) == []
    await slow.close()
    third = await page(site, after=second["next"])
    assert keys(third) == ["slow"]
    assert keys(await page(site, after=third["next"])) == []
    assert keys(await page(site, after=first["next"])) == ["slow"]


async def test_what_comes_while_pages_are_turned_comes_in_the_next_round(site: Site) -> None:
    for number in range(3):
        await site.push(f"guid-{number}")
    first = await page(site, since=PAST, limit=2)
    await site.push("guid-3")
    assert keys(first) == ["guid-0", "guid-1"]
    second = await page(site, after=first["next"], limit=2)
    assert keys(second) == ["guid-2"]
    assert keys(await page(site, after=second["next"], limit=2)) == ["guid-3"]


async def test_a_reader_that_was_away_for_long_has_missed_nothing(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    begun = await page(site)
    await site.push("guid-1")
    monkeypatch.setattr(feed, "WINDOW", timedelta(seconds=-3600))  # as if it came back in an hour
    assert keys(await page(site, after=begun["next"])) == ["guid-1"]


async def test_what_comes_out_of_quarantine_while_pages_are_turned_is_not_missed(
    dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feed, "WINDOW", timedelta(seconds=-3600))  # as if all of it came long ago
    broken = App()

    @broken.job(on=github.event("push", when=lambda event: event.data["absent"]))
    async def breaks(ctx: Context, event: Event) -> None: ...

    async with on_site(broken, dsn) as site:
        kept = [(await site.push(f"guid-{number}")).json()["delivery"] for number in range(3)]
        first = await page(site, since=PAST, limit=1)
    async with on_site(make_app(), dsn) as mended:
        for each in kept:
            assert (await mended.client.post(f"/api/deliveries/{each}/replay", json={})).json()["status"] == "accepted"
        second = await page(mended, after=first["next"])
        assert [(each["id"], each["status"]) for each in second["deliveries"]] == [
            (kept[1], "accepted"),
            (kept[2], "accepted"),
        ]
        assert keys(await page(mended, after=second["next"])) == []


async def test_whoever_waits_is_answered_as_soon_as_something_comes(site: Site) -> None:
    begun = await page(site)
    waiting = asyncio.create_task(page(site, after=begun["next"], wait=30, source="github", type="github.push"))
    answer = await site.client.post(
        "/webhooks/generic", json={"job": "asked"}, headers={"Authorization": f"Bearer {SECRET}"}
    )
    assert answer.status_code == 202
    assert not waiting.done()
    await site.push("guid-1")
    async with asyncio.timeout(10):
        assert keys(await waiting) == ["guid-1"]


async def test_a_delivery_is_told_as_it_came_with_what_its_events_started(site: Site) -> None:
    started = (await site.push("guid-1")).json()
    await site.push("guid-1", PUSH + b" ")
    raw = bytes(range(256))
    headers = generic.parser.headers_for("", "k", raw) | generic.parser.scheme.sign(SECRET.encode(), raw, {})
    await site.client.post("/webhooks/generic", content=raw, headers=headers)
    push, conflict, strange = (await page(site, since=PAST))["deliveries"]
    assert base64.b64decode(push["body_base64"]) == PUSH
    assert ["x-github-delivery", "guid-1"] in push["headers"]
    assert [each["verdict"] for each in push["bindings"]] == ["matched", "matched"]
    build, deploy = push["runs"]
    assert {build["id"], deploy["id"]} == set(started["runs"])
    assert (build["input"], build["input_is_body"]) == ({"sha": "9fceb02"}, False)
    told = {name: deploy[name] for name in deploy if name != "id"}
    assert told == {
        "job": "deploy", "version": 2, "event": 0, "scope": "octo/site", "priority": 3, "idempotency_key": "9fceb02",
        "correlation": None, "input": None, "input_is_body": True, "data_deletion": None,
    }  # fmt: skip
    assert (conflict["status"], conflict["runs"]) == ("conflict", [])
    assert (base64.b64decode(strange["body_base64"]), strange["status"]) == (raw, "quarantined")


async def test_large_bodies_fill_a_page_each(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feed, "PAGE_BYTES", 150_000)
    sent = [json.dumps({"x": os.urandom(50_000).hex()}).encode() for _ in range(3)]
    for number, body in enumerate(sent):
        await site.push(f"guid-{number}", body)
    found, cursor = [], {"since": PAST}
    while told := (answer := await page(site, **cursor))["deliveries"]:
        found.append([base64.b64decode(each["body_base64"]) for each in told])
        cursor = {"after": answer["next"]}
    assert found == [sent[:2], sent[2:]]


@pytest.mark.parametrize("after", ["", "x", "bm9uZQ==", "1:1:", "éé"])
async def test_a_cursor_that_is_none_is_refused(site: Site, after: str) -> None:
    answer = await site.client.get("/api/deliveries/feed", params={"after": after})
    assert (answer.status_code, answer.json()["detail"]) == (422, "after is the `next` of the page before")


async def test_a_cursor_with_a_strange_snapshot_is_refused(site: Site) -> None:
    await site.push("guid-1")
    cursor = feed.Cursor(UUID(int=0), None, "9:1:", UUID(int=0))
    answer = await site.client.get("/api/deliveries/feed", params={"after": str(cursor)})
    assert answer.status_code == 422
