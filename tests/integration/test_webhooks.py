"""The contract with senders, and what hostile ones get; each over a real socket."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import quote

import pytest
from starlette.types import Receive, Scope, Send
from tests.support import PUSH, SECRET, Site, on_site

from hookline import App, Context, Event
from hookline.ingress.examination import PING
from hookline.payloads import OPEN
from hookline.source_settings import SourceSettings
from hookline.web.webhooks import Webhooks
from hookline_parsers import github

LIMIT = 100_000


def make_app() -> App:
    app = App()

    @app.job(on=github.push(branches=["main"]), scope="{repository}")
    async def deploy(ctx: Context, event: Event) -> Any:
        return [event.type, event.key, event.data["after"]]

    @app.job(on=github.issues())
    async def needs_number(ctx: Context, number: dict[str, int]) -> None: ...

    return app


@pytest.fixture
async def site(dsn: str) -> AsyncIterator[Site]:
    async with on_site(make_app(), dsn, max_body=LIMIT, body_timeout=0.3) as site:
        yield site


async def rows(site: Site, what: str = "deliveries") -> list[dict[str, Any]]:
    found = await site.house.watch.connection.fetch(f"select * from hookline.{what} order by id")
    return [dict(row) for row in found]


async def test_a_signed_push_is_accepted_stored_and_becomes_a_run_that_ends(site: Site) -> None:
    answer = await site.push("guid-1")

    assert answer.status_code == 202
    told = answer.json()
    assert (told["status"], len(told["runs"])) == ("accepted", 1)
    (delivery,) = await rows(site)
    assert (delivery["key"], delivery["type"], delivery["body"]) == ("guid-1", "github.push", PUSH)
    async with site.house.replica():
        await site.house.watch.ended(told["runs"][0])
    run = await site.house.read(told["runs"][0])
    assert run["output"] == b'["github.push","octo/site","9fceb02"]'
    assert (run["scope"], run["input"], run["body"]) == ("octo/site", None, PUSH)  # the body is not copied


async def test_a_form_carries_the_same_push(site: Site) -> None:
    body = b"payload=" + quote(PUSH).encode()
    answer = await site.push("guid-1", body)

    assert answer.json()["status"] == "accepted"
    async with site.house.replica():
        await site.house.watch.ended(answer.json()["runs"][0])
    assert (await site.house.read(answer.json()["runs"][0]))["output"] == b'["github.push","octo/site","9fceb02"]'


async def test_what_starts_nothing_is_kept_and_ignored_and_a_ping_is_ponged(site: Site) -> None:
    other = await site.push("guid-1", PUSH.replace(b"main", b"side"))
    ping = await site.push("guid-2", b'{"zen": "Keep it logically awesome."}', X_GitHub_Event="ping")

    assert (other.status_code, other.json()["status"], other.json()["runs"]) == (202, "ignored", [])
    assert (ping.status_code, ping.json()["status"]) == (200, "pong")
    assert [(row["status"], row["reason"]) for row in await rows(site)] == [("ignored", None), ("ignored", PING)]


async def test_the_same_again_is_a_duplicate_and_another_body_a_conflict(site: Site) -> None:
    first = (await site.push("guid-1")).json()
    again = await site.push("guid-1")
    other = await site.push("guid-1", PUSH + b" ")
    other_again = await site.push("guid-1", PUSH + b" ")

    assert (again.status_code, again.json()["status"]) == (200, "duplicate")
    assert (again.json()["delivery"], again.json()["runs"]) == (first["delivery"], first["runs"])
    assert (other.status_code, other.json()["status"], other.json()["runs"]) == (202, "conflict", [])
    assert other_again.json() == other.json()
    assert [str(row["conflict_of"] or "") for row in await rows(site)] == ["", first["delivery"]]
    assert len(await rows(site, "runs")) == 1


QUARANTINED = {
    "not JSON": b'{"ref": ',
    "not an object": b"[1, 2]",
    "not UTF-8": b'{"ref": "\xff"}',
    "a lone surrogate": b'{"ref": "\\ud800"}',
    "nested without end": b'{"a":' + b"[" * 40_000 + b"]" * 40_000 + b"}",
    "two documents": PUSH + PUSH,
    "NaN": b'{"a": NaN}',
    "empty": b"",
}


@pytest.mark.parametrize("body", QUARANTINED.values(), ids=QUARANTINED)
async def test_an_authentic_body_that_cannot_be_read_is_kept_for_later(site: Site, body: bytes) -> None:
    answer = await site.push("guid-1", body)

    assert (answer.status_code, answer.json()["status"]) == (202, "quarantined")
    (delivery,) = await rows(site)
    assert (OPEN.opened_bytes(delivery["body"]), delivery["status"]) == (body, "quarantined")
    assert delivery["reason"]


@pytest.mark.parametrize("missing", ["X-GitHub-Delivery", "X-GitHub-Event"])
@pytest.mark.parametrize("value", ["", "two words", "x" * 300, "é"], ids=ascii)
async def test_an_authentic_delivery_without_usable_headers_is_kept(site: Site, missing: str, value: str) -> None:
    answer = await site.client.post(
        "/webhooks/github",
        content=PUSH,
        headers=[
            *(
                (name.encode(), text.encode("latin-1"))
                for name, text in (
                    github.parser.headers_for("push", "guid-1", PUSH)
                    | github.parser.scheme.sign(SECRET.encode(), PUSH, {})
                    | {missing: value}
                ).items()
            )
        ],
    )
    assert (answer.status_code, answer.json()["status"]) == (202, "quarantined")


async def test_what_postgres_text_cannot_hold_is_no_obstacle_in_a_body(site: Site) -> None:
    body = PUSH.replace(b"9fceb02", b"\\u0000 1180591620717411303424")
    answer = await site.push("guid-1", body)
    async with site.house.replica():
        await site.house.watch.ended(answer.json()["runs"][0])
    run = await site.house.read(answer.json()["runs"][0])
    assert json.loads(run["output"]) == ["github.push", "octo/site", "\0 1180591620717411303424"]


async def test_a_quarantined_delivery_is_tried_again_when_it_comes_again_after_a_fix(site: Site, dsn: str) -> None:
    body = b'{"action": "opened", "issue": {"number": 7}, "number": "x"}'
    first = await site.push("guid-1", body, X_GitHub_Event="issues")
    assert (first.json()["status"], first.json()["runs"]) == ("quarantined", [])
    assert "the input does not fit job needs_number" in first.json()["reason"]

    fixed = App()

    @fixed.job(on=github.issues())
    async def needs_number(ctx: Context, event: Event) -> int:
        return int(event.data["issue"]["number"])

    async with on_site(fixed, dsn) as later:
        again = await later.push("guid-1", body, X_GitHub_Event="issues")
        once_more = await later.push("guid-1", body, X_GitHub_Event="issues")
        assert again.json()["delivery"] == first.json()["delivery"]
        assert len(again.json()["runs"]) == 1
        assert once_more.json()["runs"] == again.json()["runs"]
        async with later.house.replica():
            await later.house.watch.ended(again.json()["runs"][0])
        assert (await later.house.read(again.json()["runs"][0]))["output"] == b"7"
    assert [row["status"] for row in await rows(site)] == ["accepted"]


SIGNED = github.parser.scheme.sign(SECRET.encode(), PUSH, {})["X-Hub-Signature-256"]

FORGED = {
    "missing": {"X-Hub-Signature-256": None},
    "of another secret": {"X-Hub-Signature-256": github.parser.scheme.sign(b"other", PUSH, {})["X-Hub-Signature-256"]},
    "SHA-1 only": {"X-Hub-Signature-256": None, "X-Hub-Signature": "sha1=" + "0" * 40},
    "SHA-1 in its place": {"X-Hub-Signature-256": "sha1=" + "0" * 40},
    "truncated": {"X-Hub-Signature-256": SIGNED[:-2]},
    "too long": {"X-Hub-Signature-256": SIGNED + "00"},
    "not hex": {"X-Hub-Signature-256": "sha256=" + "z" * 64},
    "not ASCII": {"X-Hub-Signature-256": b"sha256=" + b"\xe9" * 64},
    "empty": {"X-Hub-Signature-256": ""},
    "without its prefix": {"X-Hub-Signature-256": SIGNED.removeprefix("sha256=")},
    "twice": [("X-Hub-Signature-256", SIGNED), ("X-Hub-Signature-256", SIGNED)],
}


@pytest.mark.parametrize("change", FORGED.values(), ids=FORGED)
async def test_what_is_not_authentic_gets_one_constant_answer_and_leaves_no_trace(site: Site, change: Any) -> None:
    base = github.parser.headers_for("push", "guid-1", PUSH)
    extra = [(k, v) for k, v in (change.items() if isinstance(change, dict) else change) if v is not None]
    headers = [
        (name.encode(), value if isinstance(value, bytes) else value.encode())
        for name, value in [*base.items(), *extra]
    ]
    answer = await site.client.post("/webhooks/github", content=PUSH, headers=headers)

    assert answer.status_code == 401
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["detail"] == "the delivery could not be verified"
    assert await rows(site) == []


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Content-Type": "text/plain"}, 415),
        ({"Content-Type": ""}, 415),
        ({"Content-Encoding": "gzip"}, 415),
        ({"X-Filler": "x" * 70_000}, 431),
        ({f"X-Filler-{each}": "x" for each in range(200)}, 431),
    ],
    ids=["another type", "no type", "compressed", "large headers", "many headers"],
)
async def test_what_is_not_taken_is_refused_before_it_is_read(site: Site, headers: dict[str, str], status: int) -> None:
    answer = await site.push("guid-1", **headers)
    assert (answer.status_code, answer.headers["connection"]) == (status, "close")
    assert await rows(site) == []


async def test_an_unknown_source_is_not_found(site: Site) -> None:
    answer = await site.client.post("/webhooks/nobody", content=PUSH)
    assert (answer.status_code, answer.json()["title"]) == (404, "Unknown source")


async def test_nobody_is_redirected(site: Site) -> None:
    assert (await site.client.post("/webhooks/github/", content=PUSH)).status_code == 404


async def test_other_methods_are_not_allowed(site: Site) -> None:
    answer = await site.client.get("/webhooks/github")
    assert (answer.status_code, answer.headers["content-type"]) == (405, "application/problem+json")


@pytest.mark.parametrize("size", [LIMIT, LIMIT + 1])
@pytest.mark.parametrize("chunked", [False, True], ids=["declared", "chunked"])
async def test_a_body_up_to_the_limit_is_taken_and_a_larger_one_is_not(site: Site, size: int, chunked: bool) -> None:
    body = PUSH + b" " * (size - len(PUSH))
    headers = github.parser.headers_for("push", "guid-1", body) | github.parser.scheme.sign(SECRET.encode(), body, {})

    async def chunks() -> AsyncIterator[bytes]:
        for start in range(0, size, 30_000):
            yield body[start : start + 30_000]

    answer = await site.client.post("/webhooks/github", content=chunks() if chunked else body, headers=headers)
    assert answer.status_code == (202 if size <= LIMIT else 413)
    assert len(await rows(site)) == (size <= LIMIT)


async def test_a_delivery_of_a_moderate_size_goes_past_asgi_and_a_larger_one_does_not(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    through_asgi = Webhooks.__call__

    async def noted(webhooks: Webhooks, scope: Scope, receive: Receive, send: Send) -> None:
        asked.append(scope["path"])
        await through_asgi(webhooks, scope, receive, send)

    monkeypatch.setattr(Webhooks, "__call__", noted)
    assert (await site.push("guid-1", PUSH)).status_code == 202
    assert asked == []
    assert (await site.push("guid-2", PUSH + b" " * 70_000)).status_code == 202
    assert asked == ["/webhooks/github"]


async def test_a_body_that_is_too_large_is_refused_at_once_if_all_of_it_is_there(site: Site) -> None:
    chunk = b"%x\r\n%b\r\n" % (LIMIT + 1, b" " * (LIMIT + 1))
    async with asyncio.timeout(5):
        answer = await site.dial(HEAD + b"Transfer-Encoding: chunked\r\n\r\n" + chunk + b"0\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 413")


async def test_githubs_largest_delivery_is_taken_and_one_byte_more_is_not(dsn: str) -> None:
    padding = 25 * 2**20 - len(PUSH)
    async with on_site(make_app(), dsn) as site:
        assert (await site.push("guid-1", PUSH + b" " * padding)).json()["status"] == "accepted"
        assert (await site.push("guid-2", PUSH + b" " * (padding + 1))).status_code == 413


HEAD = (
    b"POST /webhooks/github HTTP/1.1\r\nHost: here\r\nContent-Type: application/json\r\n"
    b"X-GitHub-Event: push\r\nX-GitHub-Delivery: g\r\n"
)


async def test_a_body_that_drips_is_given_up(site: Site) -> None:
    answer = await site.dial(HEAD + b"Content-Length: 100\r\n\r\n", b'{"ref"')
    assert answer.startswith(b"HTTP/1.1 408")


async def test_a_sender_that_hangs_up_in_mid_body_leaves_no_trace(site: Site) -> None:
    await site.dial(HEAD + b"Content-Length: 100\r\n\r\n", b'{"ref"', hang_up=True)
    assert await rows(site) == []


@pytest.mark.parametrize(
    "request_",
    [
        HEAD + b"Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        HEAD + b"Content-Length: 2\r\nContent-Length: 3\r\n\r\n{}",
        HEAD + b"Content-Length: -2\r\n\r\n{}",
        HEAD + b"X-Folded: a\r\n b\r\nContent-Length: 2\r\n\r\n{}",
    ],
    ids=["two lengths of two kinds", "two lengths", "a negative length", "a folded header"],
)
async def test_what_smuggles_requests_is_refused(site: Site, request_: bytes) -> None:
    assert (await site.dial(request_)).startswith((b"HTTP/1.1 400", b"HTTP/1.1 401"))
    assert await rows(site) == []


async def test_when_too_much_is_in_flight_the_sender_is_told_to_come_again(dsn: str) -> None:
    async with on_site(make_app(), dsn, max_in_flight=1, body_timeout=20) as site:
        reader, writer = await asyncio.open_connection("127.0.0.1", site._port)
        writer.write(HEAD + b"Content-Length: 100\r\nExpect: 100-continue\r\n\r\n")
        assert b"100 Continue" in await reader.readuntil(b"\r\n\r\n")  # it is being read now
        answer = await site.push("guid-1")
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")
        writer.close()


async def test_a_script_starts_any_job_with_the_secret_as_its_token_or_with_a_signature(site: Site) -> None:
    body = json.dumps({"job": "needs_number", "input": {"number": 1}, "scope": "s", "priority": 3}).encode()
    headers = {"Content-Type": "application/json"}
    from hookline_parsers import generic

    by_token = await site.client.post(
        "/webhooks/generic", content=body, headers=headers | {"Authorization": f"Bearer {SECRET}"}
    )
    by_signature = await site.client.post(
        "/webhooks/generic", content=body, headers=headers | generic.parser.scheme.sign(SECRET.encode(), body, {})
    )
    assert [answer.json()["status"] for answer in (by_token, by_signature)] == ["accepted", "accepted"]
    assert [(run["job"], run["scope"], run["priority"]) for run in await rows(site, "runs")] == [
        ("needs_number", "s", 3)
    ] * 2
    kept = dict(json.loads((await rows(site))[0]["headers"]))
    assert kept["authorization"] == "(not kept)"


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ({"job": "nobody"}, "there is no job 'nobody'"),
        ({"job": "needs_number", "input": {"number": "x"}}, "the input does not fit job needs_number"),
        ({"job": "needs_number", "input": {}, "priority": 1000}, "the priority is from -100 to 100"),
        ({"job": "needs_number", "input": {}, "scope": "\0"}, "a scope is 1 to 500 printable characters"),
        ({"job": "needs_number", "input": {}, "delay": -1}, "the delay is from 0 seconds"),
        ({"jobs": "needs_number"}, "unknown field `jobs`"),
    ],
)
async def test_a_trigger_that_does_not_fit_is_kept_with_the_reason(site: Site, body: Any, reason: str) -> None:
    answer = await site.client.post("/webhooks/generic", json=body, headers={"Authorization": f"Bearer {SECRET}"})
    assert (answer.status_code, answer.json()["status"]) == (202, "quarantined")
    assert reason in answer.json()["reason"]


async def test_what_is_wrong_with_a_delivery_is_told_without_what_no_text_holds(site: Site) -> None:
    body = {"job": "needs_number", "input": {"a\0b": "no number"}}
    answer = await site.client.post("/webhooks/generic", json=body, headers={"Authorization": f"Bearer {SECRET}"})
    assert (answer.status_code, answer.json()["status"]) == (202, "quarantined")
    assert "a\N{REPLACEMENT CHARACTER}b" in answer.json()["reason"]


async def test_an_unsigned_source_says_so_aloud(dsn: str) -> None:
    unsigned = SourceSettings("github", "github", (), unsigned=True)
    async with on_site(make_app(), dsn, sources=(unsigned,)) as site:
        headers = github.parser.headers_for("push", "guid-1", PUSH)
        assert (await site.client.post("/webhooks/github", content=PUSH, headers=headers)).status_code == 202
