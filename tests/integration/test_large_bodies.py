"""Large bodies: they do all that small ones do, beside them, and nothing of them stays in memory."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import quote_plus
from uuid import uuid4

import pytest
from pydantic import SecretStr
from tests.benchmarks.shapes import FORM
from tests.support import PUSH, SECRET, Site, on_site

from hookline import App, Context, Event, metrics
from hookline.peek import INTRICATE, LARGE
from hookline.source_settings import SourceSettings
from hookline_parsers import cloudevents, github


def large(**told: Any) -> bytes:
    """A push of more than a megabyte."""
    files = [{"added": [f"src/{number}.py"], "message": "é\U0001f600\n\"'\\"} for number in range(20_000)]
    return json.dumps(json.loads(PUSH) | {"commits": files} | told, ensure_ascii=False).encode()


@pytest.fixture
async def site(dsn: str) -> AsyncIterator[Site]:
    app = App()

    @app.job(on=github.push(branches=["main"], paths=["src/1999?.py"]), scope="{repository}")
    async def count(ctx: Context, event: Event) -> int:
        return len(event.data["commits"])

    @app.job(on=github.push(paths=["docs/**"]))
    async def never(ctx: Context, event: Event) -> None: ...

    async with on_site(app, dsn) as found:
        yield found


async def test_a_large_delivery_is_stored_told_again_shown_replayed_and_run(site: Site) -> None:
    body = large()
    assert len(body) > 4 * LARGE
    first, small, again = await asyncio.gather(
        site.push("guid-1", body), site.push("guid-2"), site.push("guid-1", body)
    )
    told, also = sorted((first.json(), again.json()), key=lambda each: str(each["status"]))
    assert (told["status"], also["status"], small.json()["status"]) == ("accepted", "duplicate", "accepted")
    assert (told["delivery"], told["runs"]) == (also["delivery"], also["runs"])

    other = await site.push("guid-1", large(forced=True))
    assert other.json()["status"] == "conflict"
    assert (await site.push("guid-1", large(forced=True))).json()["delivery"] == other.json()["delivery"]

    shown = (await site.client.get(f"/api/deliveries/{told['delivery']}")).json()
    assert shown["body"].encode() == body
    assert [each["verdict"] for each in shown["bindings"]] == ["matched", "filtered"]
    assert [each["id"] for each in shown["runs"]] == told["runs"]

    replay = await site.client.post(f"/api/deliveries/{told['delivery']}/replay", json={"id": str(uuid4())})
    assert replay.json()["status"] == "accepted"
    async with site.house.replica():
        for run in (*told["runs"], *replay.json()["runs"]):
            await site.house.watch.ended(run)
            assert (await site.house.read(run))["output"] == b"20000"


async def test_a_large_delivery_that_nobody_can_read_is_kept_and_shown_as_it_came(site: Site) -> None:
    intricate = large(more="@").replace(b'"@"', b"[" + b"{}," * (INTRICATE[b"{"] + 1) + b"{}]")
    for guid, body in (("guid-1", large() + b"\xff"), ("guid-2", intricate)):
        told = (await site.push(guid, body)).json()
        assert told["status"] == "quarantined"
        assert (await site.push(guid, body)).json()["status"] == "duplicate"
        shown = (await site.client.get(f"/api/deliveries/{told['delivery']}")).json()
        kept = base64.b64decode(shown["body_base64"]) if "body_base64" in shown else shown["body"].encode()
        assert kept == body
    assert "not to be read" in told["reason"]


async def test_a_large_form_is_stored_with_its_payload_and_starts_what_a_small_one_does(site: Site) -> None:
    payload = large()
    body = b"payload=" + quote_plus(payload).encode()
    told = (await site.push("guid-1", body, Content_Type=FORM)).json()
    assert (told["status"], len(told["runs"])) == ("accepted", 1)
    assert (await site.push("guid-1", body, Content_Type=FORM)).json()["status"] == "duplicate"
    shown = (await site.client.get(f"/api/deliveries/{told['delivery']}")).json()
    assert shown["events"][0]["data"] == json.loads(payload)
    replay = (await site.client.post(f"/api/deliveries/{told['delivery']}/replay", json={})).json()
    for run in (*told["runs"], *replay["runs"]):
        assert json.loads((await site.house.read(run))["input"]) == json.loads(payload)
    async with site.house.replica():
        await site.house.watch.ended(*told["runs"])
    assert (await site.house.read(told["runs"][0]))["output"] == b"20000"


async def test_a_large_batch_starts_a_run_for_each_of_its_events_which_are_counted_at_once(
    dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    counted: list[tuple[str, int]] = []
    monkeypatch.setattr(metrics.Metric, "count", lambda metric, n=1, **_: counted.append((metric.name, n)))
    app = App()

    @app.job(on=cloudevents("sold"))
    async def take(ctx: Context, event: Event) -> str: ...

    about = {"specversion": "1.0", "source": "/shop", "type": "sold"}
    events = [about | {"id": str(number), "data": f"\u0000é{number}"} for number in range(1200)]
    events += [about | {"id": f"large-{number}", "data": str(number) * 400_000} for number in range(2)]
    headers = {"Content-Type": "application/cloudevents-batch+json", "Authorization": f"Bearer {SECRET}"}
    source = SourceSettings("cloudevents", "cloudevents", (SecretStr(SECRET),), unsigned=False)
    async with on_site(app, dsn, sources=(source,)) as site:
        told = (await site.client.post("/webhooks/cloudevents", content=json.dumps(events), headers=headers)).json()
        assert (told["status"], len(told["runs"])) == ("accepted", 1202)
        assert counted == [("deliveries.accepted", 1), ("runs.changed", 1202)]
        rows = await site.house.watch.connection.fetch(
            "select id::text, event_index, input::text from hookline.runs join hookline.run_data on run_id = id"
        )
        found = {row["id"]: (row["event_index"], json.loads(row["input"])) for row in rows}
        assert [found[run] for run in told["runs"]] == list(enumerate(events))


async def test_what_is_small_does_not_wait_behind_what_is_large(site: Site) -> None:
    watch = site.house.watch
    async with watch.connection.transaction():  # somebody is about to store the same, and may yet give up
        await watch.connection.execute(
            "insert into hookline.deliveries (id, source, key, type, status, secret, headers, body)"
            " values (gen_random_uuid(), 'github', 'guid-1', 'x', 'ignored', '', '[]', '')"
        )
        slow = asyncio.create_task(site.push("guid-1", large()))
        async with asyncio.timeout(20):
            while not await watch.connection.fetchval("select exists (select from pg_locks where not granted)"):
                await asyncio.sleep(0)
        assert (await site.push("guid-2")).json()["status"] == "accepted"
        assert not slow.done()
    assert (await slow).json()["status"] == "conflict"
