"""Sources over the API: known everywhere at once, rotated without a gap, kept sealed, and held to their limits."""

from __future__ import annotations

import asyncio
import base64
import os
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from ipaddress import ip_network
from typing import Any

import httpx
import pytest
from pydantic import SecretStr
from structlog.testing import capture_logs
from tests.support import PUSH, SECRET, Site, on_site

from hookline import App, Context, Event
from hookline.errors import Unavailable
from hookline.ingress import register
from hookline.ingress.schemes import fingerprint
from hookline.settings import load
from hookline.source_settings import Rate, SourceLimits, SourceSettings
from hookline.store import sources
from hookline.web.head import MOST_BYTES
from hookline_parsers import github

KEY, OTHER_KEY = (base64.b64encode(os.urandom(32)).decode() for _ in range(2))


def make_app() -> App:
    app = App()

    @app.job(on=github.push())
    async def deploy(ctx: Context, event: Event) -> None: ...

    return app


@asynccontextmanager
async def keyed(dsn: str, *keys: str, **changes: Any) -> AsyncIterator[Site]:
    async with on_site(make_app(), dsn, encryption_keys=tuple(map(SecretStr, keys)), **changes) as site:
        yield site


@pytest.fixture
async def two(dsn: str) -> AsyncIterator[tuple[Site, Site]]:
    async with AsyncExitStack() as stack:
        first, second = [await stack.enter_async_context(keyed(dsn, KEY)) for _ in range(2)]
        yield first, second


@pytest.fixture
async def site(dsn: str) -> AsyncIterator[Site]:
    async with keyed(dsn, KEY) as site:
        yield site


async def put(site: Site, name: str = "shop", **body: Any) -> httpx.Response:
    return await site.client.put(f"/api/sources/{name}", json={"parser": "github"} | body)


async def rotate(site: Site, name: str = "shop", **body: Any) -> httpx.Response:
    return await site.client.post(f"/api/sources/{name}/rotate", json=body)


async def push(site: Site, guid: str, secret: str, name: str = "shop", **headers: str) -> httpx.Response:
    signed = github.parser.headers_for("push", guid, PUSH) | github.parser.scheme.sign(secret.encode(), PUSH, {})
    return await site.client.post(f"/webhooks/{name}", content=PUSH, headers=signed | headers)


async def proven_by(site: Site, guid: str) -> str:
    found = await site.house.watch.connection.fetchval("select secret from hookline.deliveries where key = $1", guid)
    assert isinstance(found, str)
    return found


def always_look(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(register, "FRESH", 0.0)


def never_look_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(register, "FRESH", 1e9)


async def test_a_source_that_is_made_on_one_replica_is_taken_on_the_other_at_once(two: tuple[Site, Site]) -> None:
    one, other = two
    assert (await push(other, "guid-0", "x")).status_code == 404  # so it has just looked
    made = await put(one)
    assert (made.status_code, made.json()["origin"], made.json()["problem"]) == (201, "api", None)
    secret = made.json()["secret"]

    taken = await push(other, "guid-1", secret)
    assert (taken.status_code, taken.json()["status"]) == (202, "accepted")
    assert await proven_by(other, "guid-1") == made.json()["secrets"][0]["id"] == fingerprint(secret.encode())
    assert (await push(other, "guid-2", secret + "x")).status_code == 401
    again = await put(one)
    assert (again.status_code, "secret" in again.json()) == (200, False)


async def test_a_rotated_secret_overlaps_and_then_ends(two: tuple[Site, Site], monkeypatch: pytest.MonkeyPatch) -> None:
    one, other = two
    old = (await put(one)).json()["secret"]
    assert (await push(other, "guid-1", old)).status_code == 202
    always_look(monkeypatch)
    rotated = (await rotate(one, overlap=600)).json()
    new = rotated["secret"]
    assert [each["id"] for each in rotated["secrets"]] == [fingerprint(each.encode()) for each in (new, old)]
    assert [each["expires_at"] is None for each in rotated["secrets"]] == [True, False]

    assert [(await push(other, f"guid-{each}", each)).status_code for each in (old, new)] == [202, 202]
    assert await proven_by(other, f"guid-{old}") == fingerprint(old.encode())
    assert await proven_by(other, f"guid-{new}") == fingerprint(new.encode())

    await one.house.watch.connection.execute(
        "update hookline.source_secrets set expires_at = now() where expires_at is not null"
    )
    assert [(await push(other, f"later-{each}", each)).status_code for each in (old, new)] == [401, 202]
    assert len((await one.client.get("/api/sources/shop")).json()["secrets"]) == 1


async def test_the_old_secret_ends_at_once_if_nothing_is_to_overlap(site: Site) -> None:
    old = (await put(site)).json()["secret"]
    told = (await rotate(site, secret="chosen", overlap=0)).json()
    assert ("secret" in told, len(told["secrets"])) == (False, 1)
    assert [(await push(site, each, each)).status_code for each in (old, "chosen")] == [401, 202]
    assert await site.house.watch.connection.fetchval("select count(*) from hookline.source_secrets") == 1


async def test_the_same_rotation_again_changes_nothing(site: Site) -> None:
    await put(site)
    first = (await rotate(site, secret="chosen", overlap=600)).json()
    again = (await rotate(site, secret="chosen", overlap=900)).json()
    assert [(e["id"], e["expires_at"]) for e in again["secrets"]] == [
        (e["id"], e["expires_at"]) for e in first["secrets"]
    ]


async def test_more_secrets_than_are_looked_at_are_not_kept(site: Site) -> None:
    await put(site)
    answers = [(await rotate(site)).status_code for _ in range(sources.MOST_SECRETS)]
    assert answers == [200] * (sources.MOST_SECRETS - 1) + [409]
    assert (await rotate(site, overlap=0)).status_code == 200


async def test_a_removed_source_is_taken_no_more_but_what_came_stays(
    two: tuple[Site, Site], monkeypatch: pytest.MonkeyPatch
) -> None:
    one, other = two
    secret = (await put(one)).json()["secret"]
    delivery = (await push(other, "guid-1", secret)).json()["delivery"]
    assert (await one.client.post(f"/api/deliveries/{delivery}/replay", json={})).status_code == 202

    never_look_again(monkeypatch)
    assert (await one.client.delete("/api/sources/shop")).status_code == 200
    assert (await push(other, "guid-2", secret)).status_code == 202  # what it knows is as old as it may be
    monkeypatch.setattr(register, "FRESH", 0.0)
    assert (await push(other, "guid-3", secret)).status_code == 404
    assert (await one.client.post(f"/api/deliveries/{delivery}/replay", json={})).status_code == 409
    assert (await one.client.delete("/api/sources/shop")).status_code == 404


async def test_a_secret_that_is_removed_while_a_body_comes_proves_nothing(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    always_look(monkeypatch)
    for overlap, status in ((600, b"202"), (0, b"401")):
        secret = (await rotate(site) if overlap == 0 else await put(site)).json()["secret"]
        signed = github.parser.headers_for("push", "guid-1", PUSH)
        reader, writer = await hold(site, signed | github.parser.scheme.sign(secret.encode(), PUSH, {}), len(PUSH))
        assert (await rotate(site, overlap=overlap)).status_code == 200
        writer.write(PUSH)
        assert (await reader.readuntil(b"\r\n")).startswith(b"HTTP/1.1 " + status)
        writer.close()


async def test_nothing_is_asked_of_postgres_for_fixed_sources_and_once_a_second_for_others(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks = 0
    look = sources.look

    async def counted(connection: Any) -> Any:
        nonlocal looks
        looks += 1
        return await look(connection)

    monkeypatch.setattr(sources, "look", counted)
    assert (await site.push("guid-1")).status_code == 202
    assert looks == 0
    secret = (await put(site)).json()["secret"]
    never_look_again(monkeypatch)
    assert (await push(site, "guid-1", secret)).status_code == 202
    looks = 0
    assert [(await push(site, f"guid-{each}", secret)).status_code for each in range(2, 7)] == [202] * 5
    assert looks == 0
    monkeypatch.setattr(register, "SPACE", 0.5)
    answers = await asyncio.gather(*(push(site, "g", "x", f"made-up-{each}") for each in range(50)))
    assert {each.status_code for each in answers} == {404}
    assert looks <= 3


async def test_while_postgres_is_away_nobody_proves_anything(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    secret = (await put(site)).json()["secret"]
    always_look(monkeypatch)

    async def away(_: Any) -> Any:
        raise Unavailable("Postgres does not answer")

    with monkeypatch.context() as patch:
        patch.setattr(sources, "look", away)
        assert [(await push(site, "guid-1", secret, name)).status_code for name in ("shop", "nobody")] == [503, 503]
        assert (await site.push("guid-2")).status_code == 202
    assert (await push(site, "guid-1", secret)).status_code == 202


async def test_a_secret_is_shown_nowhere_and_rests_encrypted(
    site: Site, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    always_look(monkeypatch)
    known: list[register.Register] = []
    look = register.Register._look

    async def noticed(self: register.Register, *given: Any, **how: Any) -> None:
        known.append(self)
        await look(self, *given, **how)

    monkeypatch.setattr(register.Register, "_look", noticed)
    with capture_logs() as logs:
        hush = "hunter2-hunter2"
        assert (await put(site, secrets=[hush])).status_code == 201
        made = (await rotate(site)).json()["secret"]
        await push(site, "guid-1", hush)
        await push(site, "guid-2", "forged")
        answers = [
            await site.client.get("/api/sources"),
            await site.client.get("/api/sources/shop"),
            await put(site, secrets=[hush, 7]),
            await put(site, secrets=[hush], unsigned=True),
            await put(site, secrets=[hush], rate="x"),
            await put(site, secrets=[hush] * 11),
            await rotate(site, secret=hush),
            await site.client.put("/api/sources/github", json={"secrets": [hush]}),
            await site.client.put("/api/sources/svix", json={"secrets": [hush]}),
        ]
    tables = [
        str([dict(row) for row in await site.house.watch.connection.fetch(f"select * from hookline.{table}")])
        for table in ("sources", "source_secrets", "deliveries")
    ]
    seen = repr((logs, [each.text for each in answers], tables, known[-1]._kept, known[-1].fixed, capfd.readouterr()))
    assert "guid-1" in seen
    for secret in (hush, made, SECRET):
        assert secret not in seen


async def test_under_another_key_a_source_answers_503_says_why_and_can_be_mended(dsn: str) -> None:
    async with keyed(dsn, KEY) as site:
        secret = (await put(site)).json()["secret"]
    async with keyed(dsn, OTHER_KEY) as site:
        with capture_logs() as logs:
            answers = [(await push(site, f"guid-{each}", secret)).status_code for each in range(3)]
            told = (await site.client.get("/api/sources/shop")).json()
        assert answers == [503] * 3
        (line,) = (each for each in logs if each["event"] == "source.unusable")
        assert line["source"] == "shop"
        assert "cannot be decrypted: it is sealed by the key" in line["problem"]
        assert told["problem"] == line["problem"]
        assert (await rotate(site, secret="new", overlap=0)).json()["problem"] is None
        assert (await push(site, "guid-4", "new")).status_code == 202


async def test_after_resealing_the_old_key_can_be_given_up(dsn: str) -> None:
    async with keyed(dsn, KEY) as site:
        secret = (await put(site)).json()["secret"]
    async with keyed(dsn, OTHER_KEY, KEY) as site:
        assert (await push(site, "guid-1", secret)).status_code == 202
        for resealed in (1, 0):
            told = (await site.client.post("/api/sources/reseal")).json()
            assert told == {"resealed": resealed, "unreadable": []}
    async with keyed(dsn, OTHER_KEY) as site:
        assert (await push(site, "guid-2", secret)).status_code == 202
    async with keyed(dsn, KEY) as site:
        told = (await site.client.post("/api/sources/reseal")).json()
        assert (told["resealed"], len(told["unreadable"])) == (0, 1)


async def test_sealed_secrets_cannot_be_moved_to_another_source(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    always_look(monkeypatch)
    mine = (await put(site)).json()["secret"]
    await put(site, "other")
    await site.house.watch.connection.execute(
        "update hookline.source_secrets set (id, sealed) = "
        "(select id, sealed from hookline.source_secrets where source = 'shop') where source = 'other'"
    )
    assert (await push(site, "guid-1", mine, "shop")).status_code == 202
    assert (await push(site, "guid-1", mine, "other")).status_code == 503


async def test_a_row_that_cannot_be_read_closes_only_its_own_source(site: Site, monkeypatch: Any) -> None:
    secret = (await put(site)).json()["secret"]
    await put(site, "other", secrets=["x"])
    always_look(monkeypatch)
    await site.house.watch.connection.execute("update hookline.sources set allow = '{all}' where name = 'other'")
    assert [(await push(site, "g", secret)).status_code, (await push(site, "g", "x", "other")).status_code] == [
        202,
        503,
    ]
    await site.house.watch.connection.execute(
        "update hookline.sources set allow = '{}', parser = 'nobody' where name = 'other'"
    )
    assert (await push(site, "g", "x", "other")).status_code == 503
    await site.house.watch.connection.execute("delete from hookline.source_secrets where source = 'shop'")
    assert (await push(site, "g-2", secret)).status_code == 503


async def test_a_name_that_the_settings_declare_is_theirs(dsn: str) -> None:
    only = (SourceSettings("other", "github", (SecretStr(SECRET),)),)
    async with keyed(dsn, KEY, sources=only) as before:
        kept = (await put(before, "github")).json()["secret"]
    async with keyed(dsn, KEY) as site:
        for answer in (await put(site, "github"), await rotate(site, "github")):
            assert (answer.status_code, "declared in the settings" in answer.json()["detail"]) == (409, True)
        told = (await site.client.get("/api/sources")).json()["sources"]
        assert [(each["name"], each["origin"]) for each in told] == [
            ("generic", "settings"), ("github", "settings"), ("github", "api"),
        ]  # fmt: skip
        assert "declared in the settings too" in told[2]["problem"]
        assert [(await push(site, each, each, "github")).status_code for each in (SECRET, kept)] == [202, 401]
        assert (await site.client.delete("/api/sources/github")).status_code == 200
        assert (await site.client.delete("/api/sources/github")).status_code == 409


async def test_a_source_of_the_code_is_shown_and_is_not_changed_over_the_api(dsn: str, monkeypatch: Any) -> None:
    monkeypatch.setenv("SHOP_SECRETS", "new,old")
    app = make_app()
    app.source("shop", parser="github", secrets="SHOP_SECRETS", rate="6000/m")
    async with on_site(app, dsn, public_url="https://hooks.example.com/") as site:
        assert (await put(site)).status_code == 409
        assert (await push(site, "guid-1", "old")).status_code == 202
        told = (await site.client.get("/api/sources/shop")).json()
    assert (told["origin"], told["secrets_from"], told["rate"]) == ("code", ["SHOP_SECRETS"], "6000/m")
    assert told["url"] == "https://hooks.example.com/webhooks/shop"
    assert [each["id"] for each in told["secrets"]] == [fingerprint(b"new"), fingerprint(b"old")]


async def test_without_a_key_no_secret_is_kept(dsn: str) -> None:
    async with keyed(dsn) as site:
        refused = await put(site)
        assert (refused.status_code, "HOOKLINE_ENCRYPTION_KEYS" in refused.json()["detail"]) == (409, True)
        assert (await site.client.post("/api/sources/reseal")).status_code == 409
        assert (await put(site, unsigned=True)).status_code == 201
        assert (await push(site, "guid-1", "whatever")).status_code == 202
        assert (await rotate(site)).status_code == 409


@pytest.mark.parametrize(
    ("name", "body", "status", "detail"),
    [
        ("Shop", {}, 422, "a source's name is up to 64 of a-z"),
        ("s" * 65, {}, 422, "a source's name is up to 64 of a-z"),
        ("shop%00", {}, 422, "a source's name is up to 64 of a-z"),
        ("shop", {"parser": "nobody"}, 422, "there is no parser 'nobody'"),
        ("shop", {"parser": "svix", "secrets": ["plain"]}, 422, "secret 1 of 1 is of no use: a secret is whsec_"),
        ("shop", {"secrets": []}, 422, "Expected `array` of length >= 1"),
        ("shop", {"secrets": [""]}, 422, "Expected `str` of length >= 1"),
        ("shop", {"secrets": ["x"], "unsigned": True}, 422, "an unsigned source has no secrets"),
        ("shop", {"rate": "100"}, 422, "rate is like 100/s"),
        ("shop", {"allow": ["everywhere"]}, 422, "allow is a list of networks such as"),
        ("shop", {"max_body": 10}, 422, "max_body is from 1024"),
        ("shop", {"max_in_flight": -1}, 422, "max_in_flight is from 1"),
        ("shop", {"wait": 1e9}, 422, "wait is from 0 to 60 seconds"),
        ("shop", {"secret": "x"}, 422, "Object contains unknown field `secret`"),
    ],
)
async def test_a_declaration_that_does_not_fit_is_refused_and_nothing_is_kept(
    site: Site, name: str, body: dict[str, Any], status: int, detail: str
) -> None:
    answer = await put(site, name, **body)
    assert (answer.status_code, answer.json()["detail"][: len(detail)]) == (status, detail)
    assert await site.house.watch.connection.fetchval("select count(*) from hookline.sources") == 0


KILL = "select pg_terminate_backend(pg_backend_pid()) where "

KILLS = {
    "KEEP_ONLY": KILL + "$1::text is not null and $2::text[] is not null",
    "ADD": KILL + "$1::text is not null and $2::text[] is not null and $3::bytea[] is not null",
    "END_OTHERS": KILL + "$1::text is not null and $2::text is not null and $3::float8 is not null",
    "SWEEP": KILL + "$1::text is not null",
    "ACTIVE": KILL + "$1::text is not null",
}


@pytest.mark.parametrize("statement", KILLS)
async def test_a_change_is_made_whole_or_not_at_all(
    site: Site, monkeypatch: pytest.MonkeyPatch, statement: str
) -> None:
    secret = (await put(site)).json()["secret"]
    with monkeypatch.context() as patch:
        patch.setattr(sources, statement, KILLS[statement])
        if statement != "END_OTHERS":
            assert (
                await put(site, secrets=["other"] if statement != "ACTIVE" else None, rate="1/h")
            ).status_code == 503
        if statement != "KEEP_ONLY":
            assert (await rotate(site, overlap=0)).status_code == 503
    told = (await site.client.get("/api/sources/shop")).json()
    assert (told["rate"], [each["id"] for each in told["secrets"]]) == (None, [fingerprint(secret.encode())])
    assert (await push(site, "guid-1", secret)).status_code == 202


async def test_of_two_that_make_a_source_at_once_one_is_told_its_secret(two: tuple[Site, Site]) -> None:
    answers = [each.json() for each in await asyncio.gather(*(put(each) for each in two * 3))]
    (secret,) = (each["secret"] for each in answers if "secret" in each)
    assert (await push(two[0], "guid-1", secret)).status_code == 202


def limited(**limits: Any) -> tuple[SourceSettings, ...]:
    return tuple(
        SourceSettings(name, "github", (SecretStr(SECRET),), limits=SourceLimits(**given))
        for name, given in (("shop", limits), ("github", {}))
    )


async def test_a_source_has_its_own_largest_body(dsn: str) -> None:
    async with keyed(dsn, max_body=2048, sources=limited(max_body=4096)) as site:

        async def sent(name: str, size: int) -> int:
            body = PUSH + b" " * (size - len(PUSH))
            headers = github.parser.headers_for("push", f"{name}-{size}", body)
            headers |= github.parser.scheme.sign(SECRET.encode(), body, {})
            return (await site.client.post(f"/webhooks/{name}", content=body, headers=headers)).status_code

        assert [await sent("shop", 4096), await sent("shop", 4097)] == [202, 413]
        assert [await sent("github", 2048), await sent("github", 2049)] == [202, 413]


async def test_a_source_that_is_full_leaves_room_for_the_others(dsn: str) -> None:
    async with keyed(dsn, sources=limited(max_in_flight=1), body_timeout=20) as site:
        _, writer = await hold(site)
        answer = await push(site, "guid-1", SECRET)
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")
        assert (await site.push("guid-1")).status_code == 202
        writer.close()


async def hold(
    site: Site, headers: dict[str, str] | None = None, length: int = 100
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """A delivery of `shop` whose body does not come yet."""
    reader, writer = await asyncio.open_connection("127.0.0.1", site._port)
    sent = (headers or {"Content-Type": "application/json"}) | {
        "Host": "here", "Content-Length": str(length), "Expect": "100-continue",
    }  # fmt: skip
    lines = ["POST /webhooks/shop HTTP/1.1", *(f"{name}: {value}" for name, value in sent.items()), "", ""]
    writer.write("\r\n".join(lines).encode())
    assert b"100 Continue" in await reader.readuntil(b"\r\n\r\n")  # it is being read now
    return reader, writer


async def test_a_rate_holds_for_what_is_authentic_and_forgeries_use_none_of_it_up(dsn: str) -> None:
    async with keyed(dsn, sources=limited(rate=Rate(2, 3600))) as site:
        forged = [(await push(site, f"forged-{each}", "other")).status_code for each in range(5)]
        taken = [await push(site, f"guid-{each}", SECRET) for each in range(4)]
        assert forged == [401] * 5
        assert [each.status_code for each in taken] == [202, 202, 429, 429]
        assert 1700 <= int(taken[-1].headers["retry-after"]) <= 1800
        assert taken[-1].headers["content-type"] == "application/problem+json"
        assert (await site.push("guid-1")).status_code == 202


async def test_what_a_source_has_taken_in_counts_though_its_secret_was_rotated(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    always_look(monkeypatch)
    secret = (await put(site, rate="1/h")).json()["secret"]
    assert (await push(site, "guid-1", secret)).status_code == 202
    secret = (await rotate(site)).json()["secret"]
    assert (await push(site, "guid-2", secret)).status_code == 429
    await put(site, rate="2/h")
    assert (await push(site, "guid-2", secret)).status_code == 202


@pytest.mark.parametrize(
    ("allow", "trusted", "forwarded", "status"),
    [
        ("127.0.0.0/8", (), None, 202),
        ("203.0.113.0/24", (), None, 403),
        ("203.0.113.0/24", (), "203.0.113.7", 403),
        ("203.0.113.0/24", ("127.0.0.1/32",), "203.0.113.7", 202),
        ("203.0.113.0/24", ("127.0.0.1/32",), "203.0.113.7, 198.51.100.1", 403),
        ("203.0.113.0/24", ("127.0.0.1/32",), "203.0.113.7, nonsense", 403),
        ("203.0.113.0/24", ("127.0.0.1/32",), None, 403),
    ],
)
async def test_only_the_networks_that_are_allowed_may_send(
    dsn: str, allow: str, trusted: tuple[str, ...], forwarded: str | None, status: int
) -> None:
    proxies = tuple(map(ip_network, trusted))
    async with keyed(dsn, sources=limited(allow=(ip_network(allow),)), trusted_proxies=proxies) as site:
        headers = {} if forwarded is None else {"X-Forwarded-For": forwarded}
        answer = await push(site, "guid-1", SECRET, **headers)
        assert answer.status_code == status
        asked = await site.client.request("OPTIONS", "/webhooks/shop", headers=headers)
        assert asked.status_code == (200 if status == 202 else 403)


HEADS = {
    "a header that never ends": (b"GET / HTTP/1.1\r\nHost: here\r\nX: " + b"x" * MOST_BYTES)[: MOST_BYTES + 1],
    "headers that never end": (b"GET / HTTP/1.1\r\nHost: here\r\n" + b"X: x\r\n" * MOST_BYTES)[: MOST_BYTES + 1],
    "an address that never ends": (b"GET /" + b"x" * MOST_BYTES)[: MOST_BYTES + 1],
    "a long address": b"GET /" + b"x" * MOST_BYTES + b" HTTP/1.1\r\nHost: here\r\n\r\n",
    "empty lines that never end": b"\r\n" * (MOST_BYTES // 2) + b"\r",
    "too many headers": b"GET /healthz HTTP/1.1\r\nHost: here\r\n" + b"X: x\r\n" * 100 + b"\r\n",
    "too many, behind a request": (
        b"GET /healthz HTTP/1.1\r\nHost: here\r\nContent-Length: 2\r\n\r\n{}GET /healthz HTTP/1.1\r\n"
        + b"X: x\r\n" * 101
        + b"\r\n"
    ),
}


@pytest.mark.parametrize("head", HEADS.values(), ids=HEADS)
async def test_a_head_that_is_too_large_is_given_up_before_it_ends(site: Site, head: bytes) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", site._port)
    writer.write(head)
    async with asyncio.timeout(20):
        answer = await reader.read()
    assert b"HTTP/1.1 431 Request Header Fields Too Large" in answer
    assert b"application/problem+json" in answer
    writer.close()


async def test_a_large_body_behind_a_small_head_is_none_of_it(site: Site) -> None:
    body = PUSH + b" " * 1_000_000
    async with httpx.AsyncClient(base_url=site.client.base_url) as client:
        for each in range(2):
            headers = github.parser.headers_for("push", f"guid-{each}", body)
            headers |= github.parser.scheme.sign(SECRET.encode(), body, {})
            assert (await client.post("/webhooks/github", content=body, headers=headers)).status_code == 202


def test_the_settings_hide_keys_and_show_networks(monkeypatch: pytest.MonkeyPatch) -> None:
    from hookline.settings import listing

    monkeypatch.setenv("HOOKLINE_ENCRYPTION_KEYS", f"{KEY},{OTHER_KEY}")
    monkeypatch.setenv("HOOKLINE_TRUSTED_PROXIES", "10.0.0.0/8,fd00::/8")
    rows = {row.name: row.value for row in listing(load())}
    assert rows["HOOKLINE_ENCRYPTION_KEYS"] == "******** (2)"
    assert rows["HOOKLINE_TRUSTED_PROXIES"] == "10.0.0.0/8, fd00::/8"
    assert KEY not in repr(load())
