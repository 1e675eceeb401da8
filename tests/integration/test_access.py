"""Who may do what: tokens and their roles, sessions of browsers, and the audit of every change."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from ipaddress import ip_network
from pathlib import Path
from time import monotonic
from typing import Any

import pytest
from starlette.routing import Mount, Route
from tests.integration.test_cli import hookline
from tests.support import Site, on_site

from hookline import App, Context
from hookline.codec import uuid7
from hookline.store import audit, tokens
from hookline.store.database import Connection, Database
from hookline.web.access import PAUSE, ROLES
from hookline.web.sessions import COOKIE
from hookline.web.token import is_one, issue

ADMIN = {"Authorization": "Bearer r00t"}

ROLE = {
    "GET /jobs": "viewer", "GET /jobs/{name}/graph": "viewer", "POST /jobs/{name}/runs": "operator",
    "GET /runs": "viewer", "GET /runs/{id}": "viewer", "GET /runs/{id}/await": "viewer",
    "GET /runs/{id}/debug": "viewer", "POST /runs/{action}": "operator", "POST /runs/{id}/cancel": "operator",
    "POST /runs/{id}/pause": "operator", "POST /runs/{id}/resume": "operator", "POST /runs/{id}/retry": "operator",
    "POST /runs/{id}/fork": "operator", "POST /runs/{id}/signals": "operator",
    "POST /runs/{id}/callbacks/{key:path}": "operator", "DELETE /runs/{id}/data": "admin",
    "GET /definitions": "viewer", "GET /definitions/{name}": "viewer", "PUT /definitions/{name}": "admin",
    "DELETE /definitions/{name}": "admin", "GET /schedules": "viewer", "POST /schedules/{name}/backfill": "operator",
    "POST /schedules/{name}/on": "operator", "POST /schedules/{name}/off": "operator", "GET /connectors": "viewer",
    "GET /workers": "viewer", "GET /deliveries": "viewer", "GET /deliveries/{id}": "viewer",
    "POST /deliveries/{id}/replay": "operator", "GET /sources": "viewer", "GET /sources/{name}": "viewer",
    "PUT /sources/{name}": "admin", "DELETE /sources/{name}": "admin", "POST /sources/{name}/rotate": "admin",
    "POST /sources/reseal": "admin", "GET /tokens": "admin", "POST /tokens": "admin", "DELETE /tokens/{id}": "admin",
    "GET /audit": "admin", "GET /me": "viewer", "GET /deliveries/feed": "viewer", "GET /stream": "viewer",
    "GET /runs/{id}/stream": "viewer", "GET /overview": "viewer", "POST /reseal": "admin",
    "GET /jobs/{name}": "viewer", "GET /schedules/{name}": "viewer", "GET /runs/{id}/logs": "viewer",
}  # fmt: skip
"""What each route asks for, said a second time: whoever changes it changes it here, too."""


def jobs() -> App:
    app = App()

    @app.job()
    async def order(ctx: Context, _: Any) -> None: ...

    return app


@asynccontextmanager
async def guarded(dsn: str) -> AsyncIterator[Site]:
    async with on_site(jobs(), dsn, tokens=["r00t"]) as site:
        yield site


async def token(site: Site, role: str, **more: Any) -> str:
    answer = await site.client.post("/api/tokens", json={"name": f"a {role}", "role": role, **more}, headers=ADMIN)
    assert answer.status_code == 201, answer.text
    return str(answer.json()["token"])


def answered(site: Site) -> Iterator[tuple[str, str]]:
    """Every method and path of the API, as the application has it."""
    for mount in site.routes:
        if isinstance(mount, Mount):
            for route in mount.routes:
                assert isinstance(route, Route)
                yield from ((method, route.path) for method in route.methods or () if method != "HEAD")


async def test_every_route_asks_for_its_role_and_nobody_else_gets_in(dsn: str) -> None:
    async with guarded(dsn) as site:
        assert {f"{method} {path}" for method, path in answered(site)} == set(ROLE)
        held = {role: await token(site, role) for role in ROLES}
        gone = await token(site, "admin", expires_in=3600)
        await site.house.watch.connection.execute(
            "update hookline.tokens set expires_at = now() where expires_at is not null"
        )
        logged_in = (await site.client.post("/login", json={"token": held["admin"]})).cookies[COOKIE]
        forged = logged_in[:-8] + ("AAAAAAA=" if logged_in[-8:] != "AAAAAAA=" else "BBBBBBB=")
        site.client.cookies.clear()
        nobody: list[dict[str, str]] = [
            {},
            {"Authorization": f"Bearer {gone}"},
            {"Authorization": f"Bearer {held['admin']}x"},
            {"Cookie": f"{COOKIE}={forged}"},
            {"Cookie": f"{COOKIE}="},
            {"Cookie": f"{COOKIE}=!!"},
        ]
        page = {"Cookie": f"{COOKIE}={logged_in}"}
        elsewhere = [
            page,
            page | {"X-Hookline": "dashboard"},
            page | {"X-Hookline": "dashboard", "Origin": "https://evil.example"},
            page | {"X-Hookline": "dashboard", "Origin": "null"},
            page | {"Origin": str(site.client.base_url).rstrip("/")},
        ]
        for line, needed in ROLE.items():
            method, path = line.split(" ")
            url = "/api" + re.sub(r"{(\w+)(:path)?}", lambda found: "x" if found[1] != "action" else "cancel", path)
            for headers in nobody:
                assert (await site.client.request(method, url, headers=headers)).status_code == 401, (line, headers)
            for headers in elsewhere if method != "GET" else []:
                assert (await site.client.request(method, url, headers=headers)).status_code == 403, (line, headers)
            for role, bearer in held.items():
                mine = {"Authorization": f"Bearer {bearer}", "Last-Event-ID": "none"}  # with which no stream begins
                answer = await site.client.request(method, url, headers=mine)
                if ROLES.index(role) < ROLES.index(needed):
                    assert answer.status_code == 403, (line, role)
                    assert answer.json()["detail"] == f"this asks for the role {needed}, and a {role} is {role}"
                else:
                    assert answer.status_code in (200, 201, 404, 408, 409, 415, 422), (line, role, answer.text)


async def test_a_token_is_shown_once_kept_as_a_digest_and_ends_when_it_is_revoked(dsn: str) -> None:
    async with guarded(dsn) as site:
        made = (await site.client.post("/api/tokens", json={"name": "ci", "role": "operator"}, headers=ADMIN)).json()
        assert made["token"].startswith("hookline_")
        mine = {"Authorization": f"Bearer {made['token']}"}
        assert (await site.client.get("/api/me", headers=mine)).json() == {"name": "ci", "role": "operator"}
        listed = (await site.client.get("/api/tokens", headers=ADMIN)).json()["tokens"]
        assert [each["name"] for each in listed] == ["ci"]
        kept = await site.house.watch.connection.fetch("select t::text from hookline.tokens t")
        assert made["token"] not in f"{listed}{kept}"
        assert (await site.client.delete(f"/api/tokens/{made['id']}", headers=ADMIN)).status_code == 200

        async def is_out(_: object) -> bool:
            return (await site.client.get("/api/me", headers=mine)).status_code == 401

        await site.house.watch.until(is_out, timeout=5)
        assert (await site.client.delete(f"/api/tokens/{uuid7()}", headers=ADMIN)).status_code == 404


async def test_a_token_that_is_asked_for_again_is_not_made_twice(dsn: str) -> None:
    async with guarded(dsn) as site:
        wanted = {"id": str(uuid7()), "name": "ci", "role": "viewer"}
        assert (await site.client.post("/api/tokens", json=wanted, headers=ADMIN)).status_code == 201
        assert (await site.client.post("/api/tokens", json=wanted, headers=ADMIN)).status_code == 409


@pytest.mark.parametrize(
    "wanted",
    [{}, {"name": "", "role": "viewer"}, {"name": "a", "role": "root"}, {"name": "a\nb", "role": "viewer"},
     {"name": "a\0", "role": "viewer"}, {"name": "a", "role": "viewer", "expires_in": 0}],
)  # fmt: skip
async def test_a_token_that_makes_no_sense_is_refused(dsn: str, wanted: Any) -> None:
    async with guarded(dsn) as site:
        assert (await site.client.post("/api/tokens", json=wanted, headers=ADMIN)).status_code == 422


async def test_a_browser_logs_in_changes_something_and_logs_out(dsn: str) -> None:
    async with guarded(dsn) as site:
        operator = await token(site, "operator")
        answer = await site.client.post("/login", json={"token": operator})
        assert answer.json() == {"name": "a operator", "role": "operator"}
        cookie = answer.headers["set-cookie"]
        assert "HttpOnly" in cookie
        assert "SameSite=lax" in cookie
        assert operator not in cookie
        assert (await site.client.get("/api/me")).json()["role"] == "operator"
        ours = {"X-Hookline": "dashboard", "Origin": str(site.client.base_url).rstrip("/")}
        started = await site.client.post("/api/jobs/order/runs", json={}, headers=ours)
        assert started.status_code == 201
        assert (await site.client.post("/logout")).status_code == 200
        assert (await site.client.get("/api/me")).status_code == 401


async def test_a_session_ends_with_the_token_that_it_began_with_and_by_itself(
    dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with guarded(dsn) as site:
        await site.client.post("/login", json={"token": await token(site, "viewer")})
        assert (await site.client.get("/api/me")).status_code == 200
        await site.house.watch.connection.execute("update hookline.tokens set revoked_at = now()")

        async def is_out(_: object) -> bool:
            return (await site.client.get("/api/me")).status_code == 401

        await site.house.watch.until(is_out, timeout=5)
        await site.client.post("/login", json={"token": await token(site, "viewer")})
        assert (await site.client.get("/api/me")).status_code == 200
        monkeypatch.setattr("hookline.web.cookies.time.time", lambda: 4e9)
        assert (await site.client.get("/api/me")).status_code == 401


async def test_a_log_out_ends_the_session_whoever_still_has_its_cookie(dsn: str) -> None:
    async with guarded(dsn) as site:
        for shown in (await token(site, "viewer"), "r00t"):
            await site.client.post("/login", json={"token": shown})
            kept = {"Cookie": f"{COOKIE}={site.client.cookies[COOKIE]}"}
            assert (await site.client.post("/logout")).status_code == 200
            assert COOKIE not in site.client.cookies

            async def is_out(_: object, kept: dict[str, str] = kept) -> bool:
                return (await site.client.get("/api/me", headers=kept)).status_code == 401

            await site.house.watch.until(is_out, timeout=5)


async def test_a_session_lasts_as_long_as_the_settings_say_and_none_that_has_expired_is_kept(dsn: str) -> None:
    async with on_site(jobs(), dsn, tokens=["r00t"], session_life=600.0) as site:
        for _ in range(2):
            answer = await site.client.post("/login", json={"token": "r00t"})
        assert "Max-Age=600" in answer.headers["set-cookie"]
        ask = site.house.watch.connection
        assert await ask.fetchval(
            "update hookline.sessions set expires_at = now() where id = (select min(id::text)::uuid from "
            "hookline.sessions) returning true"
        )
        await site.client.post("/login", json={"token": "r00t"})
        lives = await ask.fetch("select extract(epoch from expires_at - now()) as left from hookline.sessions")
        assert [590 < row["left"] <= 600 for row in lives] == [True, True]


async def test_a_text_that_cannot_be_a_token_is_refused_without_asking_postgres(
    dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks = counted_looks(monkeypatch)
    async with guarded(dsn) as site:
        good = await token(site, "viewer")
        assert is_one(good)
        for text in ("garbage", good[:-1], good[:-1] + ("0" if good[-1] != "0" else "1"), good[9:], good.upper()):
            assert not is_one(text)
            assert (await site.client.get("/api/me", headers=bearer(text))).status_code == 401
            assert (await site.client.post("/login", json={"token": text})).status_code == 401
        assert looks == []
        assert (await site.client.get("/api/me", headers=bearer(good))).status_code == 200
        assert [len(each) for each in looks] == [1]


async def test_made_up_tokens_however_many_cost_few_questions_and_keep_no_good_one_out(
    dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks = counted_looks(monkeypatch)
    async with guarded(dsn) as site:
        good = await token(site, "viewer")
        began = monotonic()
        answers = await asyncio.gather(
            *(site.client.get("/api/me", headers=bearer(issue())) for _ in range(400)),
            *(site.client.get("/api/me", headers=bearer(good)) for _ in range(10)),
        )
        took = monotonic() - began
        assert [each.status_code for each in answers] == 400 * [401] + 10 * [200]
        assert len({digest for each in looks for digest in each}) == 401
        assert len(looks) <= took / PAUSE + 2


def bearer(text: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {text}"}


def counted_looks(monkeypatch: pytest.MonkeyPatch) -> list[Sequence[bytes]]:
    """The digests of each question for tokens that Postgres is asked."""
    looks, active = [], tokens.active

    async def counted(connection: Connection, digests: Sequence[bytes]) -> list[Any]:
        looks.append(digests)
        return await active(connection, digests)

    monkeypatch.setattr(tokens, "active", counted)
    return looks


async def test_whoever_guesses_has_to_wait(dsn: str) -> None:
    async with guarded(dsn) as site:
        for _ in range(10):
            assert (await site.client.post("/login", json={"token": "guess"})).status_code == 401
        refused = await site.client.post("/login", json={"token": "r00t"})
        assert refused.status_code == 429
        assert 0 < int(refused.headers["retry-after"]) <= 61


async def test_behind_a_proxy_each_is_known_by_an_address_of_its_own(dsn: str) -> None:
    async with on_site(jobs(), dsn, tokens=["r00t"], trusted_proxies=(ip_network("127.0.0.0/8"),)) as site:
        guesser, other = {"X-Forwarded-For": "203.0.113.9"}, {"X-Forwarded-For": "203.0.113.7, 203.0.113.8"}
        for _ in range(10):
            await site.client.post("/login", json={"token": "guess"}, headers=guesser)
        assert (await site.client.post("/login", json={"token": "r00t"}, headers=guesser)).status_code == 429
        assert (await site.client.post("/login", json={"token": "r00t"}, headers=other)).status_code == 200
        await site.client.post("/api/jobs/order/runs", json={}, headers=ADMIN | other)
        told = (await site.client.get("/api/audit", headers=ADMIN)).json()["audit"]
    assert [each["address"] for each in told] == ["203.0.113.8"]


async def test_every_change_is_told_to_the_audit_and_no_look_is(dsn: str) -> None:
    async with guarded(dsn) as site:
        operator = {"Authorization": f"Bearer {await token(site, 'operator')}"}
        await site.client.get("/api/runs", headers=operator)
        run = (await site.client.post("/api/jobs/order/runs", json={}, headers=operator)).json()["id"]
        await site.client.post(f"/api/runs/{run}/cancel", headers=operator)
        await site.client.post(f"/api/runs/{run}/cancel", headers=operator)
        told = (await site.client.get("/api/audit", headers=ADMIN)).json()["audit"]
    assert [(each["who"], each["role"], each["method"], each["path"], each["status"]) for each in told] == [
        ("a operator", "operator", "POST", f"/api/runs/{run}/cancel", 409),
        ("a operator", "operator", "POST", f"/api/runs/{run}/cancel", 200),
        ("a operator", "operator", "POST", "/api/jobs/order/runs", 201),
        ("HOOKLINE_API_TOKENS", "admin", "POST", "/api/tokens", 201),
    ]
    assert {each["address"] for each in told} == {"127.0.0.1"}


async def test_a_change_that_cannot_be_told_to_the_audit_is_not_made(dsn: str, monkeypatch: pytest.MonkeyPatch) -> None:
    async with guarded(dsn) as site:
        monkeypatch.setattr(audit, "BEGIN", "select 1 / 0, $1::uuid, $2::text, $3::text, $4::text, $5::text, $6::text")
        answer = await site.client.post("/api/jobs/order/runs", json={}, headers=ADMIN)
        assert answer.status_code >= 500
        assert await site.house.watch.connection.fetchval("select count(*) from hookline.runs") == 0


async def test_the_first_token_is_made_in_the_database_and_then_others_over_the_api(dsn: str, tmp_path: Path) -> None:
    status, _, told = await hookline("serve", "examples.deploy:app", "--port", "0", DATABASE_URL=dsn)
    assert status == 2
    assert "hookline tokens create NAME --role admin --here" in told
    status, out, _ = await hookline("tokens", "create", "me", "--role", "admin", "--here", DATABASE_URL=dsn)
    assert status == 0
    async with on_site(jobs(), dsn, tokens=["r00t"]) as site:
        service = {"URL": str(site.client.base_url), "TOKEN": out.strip()}
        status, made, _ = await hookline("tokens", "create", "ci", "--expires", "30d", **service)
        assert made.startswith("hookline_")
        _, listed, _ = await hookline("tokens", "list", **service)
        assert re.search(r"me +admin +the command line +revoked by hand", listed)
        assert re.search(r"ci +viewer +me +20\d\d-", listed)
        id_ = listed.splitlines()[-1].split()[0]
        assert (await hookline("tokens", "revoke", id_, **service))[0] == 0
        _, told, _ = await hookline("audit", **service)
        assert re.search(rf"me +admin +127.0.0.1 +DELETE /tokens/{id_} +200", told)
        assert (await hookline("tokens", "create", "x", "--role", "root", **service))[0] == 2
        assert (await hookline("tokens", "create", "x", "--expires", "soon", **service))[0] == 2
    async with Database(dsn) as database, database.session() as connection:
        assert await connection.fetchval("select count(*) from hookline.tokens") == 2
