"""The contract with senders, case by case, for each provider that hookline knows."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import urlencode

import httpx
import pytest
from pydantic import SecretStr
from tests.senders import PLAIN, SENDERS, Sender
from tests.support import Site, on_site

from hookline import App, Context, Event, Pattern, any_of
from hookline.ingress.parser import find
from hookline.source_settings import SourceSettings
from hookline_parsers import slack, stripe

JSON = [each for each in SENDERS if each.body.startswith(b"{")]
UNREADABLE = [b'{"truncated": ', b"\xff\xfe", b"[" * 100_000, b'{"a": NaN}', b"", b"7", b"[]"]
STAMPED = ("stripe", "slack", "standard_webhooks", "svix")


def make_app() -> App:
    app = App()

    @app.job(on=Pattern(["*"]))
    async def noted(ctx: Context, event: Event) -> str:
        return event.type

    return app


@pytest.fixture
async def site(dsn: str) -> AsyncIterator[Site]:
    secrets = {each.parser: set[str]() for each in SENDERS}
    for each in SENDERS:
        secrets[each.parser].add(each.secret)
    sources = tuple(
        SourceSettings(name, name, tuple(map(SecretStr, sorted(told))), unsigned=False)
        for name, told in secrets.items()
    )
    async with on_site(make_app(), dsn, sources=sources) as found:
        yield found


async def send(site: Site, sender: Sender, body: bytes, headers: dict[str, str]) -> httpx.Response:
    return await site.client.post(f"/webhooks/{sender.parser}", content=body, headers=headers)


async def stored(site: Site) -> list[tuple[str, str, int]]:
    found = await site.house.watch.connection.fetch(
        "select type, status, (select count(*) from hookline.runs where delivery_id = deliveries.id) as runs "
        "from hookline.deliveries order by received_at, id"
    )
    return [tuple(row) for row in found]


@pytest.mark.parametrize("sender", SENDERS, ids=str)
async def test_what_is_authentic_starts_its_run_once(site: Site, sender: Sender) -> None:
    body = sender.sent
    headers = sender.signed("d-1", body)
    first, again = [await send(site, sender, body, headers) for _ in range(2)]

    assert await stored(site) == [(sender.type, "accepted", 1)]
    if sender.silent:
        assert [(each.status_code, each.content) for each in (first, again)] == [(200, b"")] * 2
    else:
        assert (first.status_code, first.json()["status"]) == (202, "accepted")
        assert (again.status_code, again.json()["status"]) == (200, "duplicate")
        assert again.json()["runs"] == first.json()["runs"]


@pytest.mark.parametrize("sender", JSON, ids=str)
async def test_another_body_under_the_same_key_is_kept_beside_the_first(site: Site, sender: Sender) -> None:
    for body in (sender.sent, sender.sent[:-1] + b' , "more": 1}'):
        answer = await send(site, sender, body, sender.signed("d-1", body))
        assert answer.is_success
    assert [status for _, status, _ in await stored(site)] == ["accepted", "conflict"]


@pytest.mark.parametrize("sender", SENDERS, ids=str)
async def test_what_is_forged_leaves_no_trace(site: Site, sender: Sender) -> None:
    body = sender.sent
    parser = find(sender.parser)
    other = "whsec_" + "A" * 32 if sender.secret.startswith("whsec_") else "of somebody else"
    unsigned = parser.headers_for(sender.event, "d-1", body)
    proof = sender.signed("d-1", body)
    answers = [
        await send(site, sender, body, unsigned),
        await send(site, sender, body, sender.signed("d-1", body, other)),
        await send(
            site, sender, body, proof | {name: value + "0" for name, value in proof.items() if name not in unsigned}
        ),
    ]
    if sender.is_signed:
        answers.append(await send(site, sender, body + b" ", proof))
    assert [each.status_code for each in answers] == [401] * len(answers)
    assert len({each.content for each in answers}) == 1
    assert await stored(site) == []


@pytest.mark.parametrize("sender", [each for each in SENDERS if each.parser in STAMPED], ids=str)
async def test_what_was_signed_long_ago_leaves_no_trace(
    site: Site, sender: Sender, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as earlier:
        earlier.setattr(find(sender.parser).scheme, "_clock", lambda: 1_700_000_000.0)
        headers = sender.signed("d-1", sender.sent)
    assert (await send(site, sender, sender.sent, headers)).status_code == 401
    assert await stored(site) == []


async def test_linear_is_fresh_for_a_minute(site: Site) -> None:
    sender = next(each for each in SENDERS if each.parser == "linear")
    assert (await send(site, sender, sender.body, sender.signed("d-1", sender.body))).status_code == 401


@pytest.mark.parametrize("sender", [each for each in JSON if each.body != b'{"n": 1}'], ids=str)
async def test_what_is_authentic_and_cannot_be_read_is_kept(site: Site, sender: Sender) -> None:
    media = find(sender.parser).headers_for(sender.event, "", sender.body)["Content-Type"]
    for number, body in enumerate(UNREADABLE):
        answer = await send(site, sender, body, sender.signed(f"d-{number}", body) | {"Content-Type": media})
        assert answer.is_success if sender.parser != "linear" else answer.status_code == 401  # its moment is in there
    kept = [status for _, status, _ in await stored(site)]
    assert kept == ["quarantined"] * (0 if sender.parser == "linear" else len(UNREADABLE))


async def test_another_type_of_content_is_refused_by_each(site: Site) -> None:
    for sender in SENDERS:
        headers = sender.signed("d-1", sender.sent) | {"Content-Type": "image/png"}
        assert (await send(site, sender, sender.sent, headers)).status_code == 415
    assert await stored(site) == []


PINGS = [
    Sender("github", "ping", b'{"zen": "Design for failure."}', "github.ping", "", {}),
    Sender("bitbucket", "diagnostics:ping", b'{"test": true}', "bitbucket.diagnostics.ping", "", {}),
    Sender("pagerduty", "", b'{"event": {"id": "p", "event_type": "pagey.ping"}}', "pagerduty.pagey.ping", "", {}),
]


@pytest.mark.parametrize("sender", PINGS, ids=str)
async def test_a_ping_is_answered_and_starts_nothing(site: Site, sender: Sender) -> None:
    answer = await send(site, sender, sender.body, sender.signed("d-1", sender.body))
    assert (answer.status_code, answer.json()["status"]) == (200, "pong")
    assert await stored(site) == [(sender.type, "ignored", 0)]


async def test_slacks_check_of_a_url_is_answered_once_it_is_verified(site: Site) -> None:
    sender = next(each for each in SENDERS if each.parser == "slack")
    body = json.dumps({"type": "url_verification", "token": "t", "challenge": "3eZbrw1a"}).encode()
    answer = await send(site, sender, body, sender.signed("d-1", body))
    assert (answer.status_code, answer.json()) == (200, {"challenge": "3eZbrw1a"})
    assert (await send(site, sender, body, {"Content-Type": "application/json"})).status_code == 401


async def test_whoever_asks_to_send_cloudevents_is_welcome(site: Site) -> None:
    asked = {"WebHook-Request-Origin": "eventemitter.example.com", "WebHook-Request-Rate": "120"}
    answer = await site.client.options("/webhooks/cloudevents", headers=asked)
    assert answer.status_code == 200
    assert answer.headers["webhook-allowed-origin"] == "eventemitter.example.com"
    assert "POST" in answer.headers["allow"]
    other = await site.client.options("/webhooks/github", headers=asked)
    assert "webhook-allowed-origin" not in other.headers
    assert (await site.client.options("/webhooks/nobody", headers=asked)).status_code == 404


def make_answering_app() -> App:
    app = App()

    @app.job(on=any_of(slack.command("/hi"), stripe("invoice.paid")))
    async def answers(ctx: Context, event: Event) -> dict[str, str]:
        return {"text": str(event.fields.get("text") or event.fields.get("id"))}

    @app.job(on=any_of(slack.command("/sleep"), stripe("invoice.voided")))
    async def sleeps(ctx: Context, event: Event) -> None:
        await ctx.wait_for("never")

    return app


@asynccontextmanager
async def answering(dsn: str, wait: float) -> AsyncIterator[Site]:
    """A Site whose senders Slack and Stripe may wait so long."""
    sources = tuple(
        SourceSettings(name, name, (SecretStr(PLAIN),), unsigned=False, wait=wait) for name in ("slack", "stripe")
    )
    async with on_site(make_answering_app(), dsn, sources=sources) as site, site.house.replica():
        yield site


async def pay(site: Site, type_: str, **headers: str) -> httpx.Response:
    body = json.dumps({"id": "evt_1", "type": type_, "data": {"object": {"id": "in_1"}}}).encode()
    sender = Sender("stripe", type_, body, f"stripe.{type_}", "in_1", {})
    return await send(site, sender, body, sender.signed("", body) | headers)


async def command(site: Site, name: str) -> tuple[int, object]:
    body = urlencode({"command": name, "text": "mona", "channel_id": "C1", "trigger_id": name[1:]}).encode()
    sender = Sender("slack", "command", body, "slack.command", "C1", {}, silent=True)
    answer = await send(site, sender, body, sender.signed("", body))
    return answer.status_code, answer.json() if answer.content else None


async def test_a_sender_that_waits_is_told_what_came_of_it(dsn: str) -> None:
    async with answering(dsn, wait=20) as site:
        answer = await pay(site, "invoice.paid", Prefer="respond-async, wait=20")
        (outcome,) = answer.json()["outcomes"]
        assert (answer.status_code, outcome["state"], outcome["output"]) == (200, "succeeded", {"text": "in_1"})
        assert "outcomes" not in (await pay(site, "invoice.paid")).json()
        assert await command(site, "/hi") == (200, {"text": "mona"})
        assert await command(site, "/nobody") == (200, None)


async def test_a_sender_that_waits_in_vain_is_told_where_to_look(dsn: str) -> None:
    async with answering(dsn, wait=0.2) as site:
        answer = await pay(site, "invoice.voided", Prefer="wait=20")
        (run,) = answer.json()["runs"]
        assert (answer.status_code, answer.headers["location"]) == (202, f"/api/runs/{run}")
        assert await command(site, "/sleep") == (200, None)


async def test_a_sender_that_may_not_wait_is_answered_at_once(dsn: str) -> None:
    async with answering(dsn, wait=0) as site:
        answer = await pay(site, "invoice.voided", Prefer="wait=20")
        assert (answer.status_code, "outcomes" in answer.json()) == (202, False)
        assert await command(site, "/sleep") == (200, None)
