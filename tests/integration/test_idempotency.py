"""Idempotency keys: whatever dies between a change and its answer, the same request again has the effect once."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any
from uuid import UUID

import asyncpg
import httpx
import pytest
from pydantic import SecretStr
from starlette.types import Message, Receive, Scope, Send
from tests.integration.test_access import ROLE
from tests.support import Site, on_site

from hookline import App, Context
from hookline.errors import Unavailable
from hookline.store import idempotency
from hookline.store.database import Database

ADMIN = {"Authorization": "Bearer r00t"}
SETTINGS = {"encryption_keys": (SecretStr(base64.b64encode(b"k" * 32).decode()),)}
DEFINITION = "tasks: {only: {step: double}}"

Request = tuple[str, str, Any]


def jobs() -> App:
    app = App()

    @app.job(schedule="@daily")
    async def order(ctx: Context, _: Any) -> None:
        await ctx.callback("sign")
        await ctx.wait_for("go")

    @app.step
    def double(n: int) -> int:
        return n * 2

    @app.job()
    async def fails(ctx: Context, _: Any) -> None:
        raise ValueError("as asked")

    return app


async def waiting(site: Site) -> UUID:
    run = await site.house.start("order")
    await site.house.watch.value("select state = 'waiting' from hookline.runs where id = $1", run)
    return run


async def paused(site: Site) -> UUID:
    run = await waiting(site)
    assert (await site.client.post(f"/api/runs/{run}/pause", headers=ADMIN)).status_code == 200
    return run


async def failed(site: Site) -> UUID:
    run = await site.house.start("fails")
    await site.house.watch.ended(run)
    return run


async def delivered(site: Site) -> str:
    return str((await site.push("guid-1")).json()["delivery"])


async def sourced(site: Site) -> str:
    answer = await site.client.put("/api/sources/shop", json={"parser": "generic"}, headers=ADMIN)
    assert answer.status_code == 201, answer.text
    return "shop"


async def declared(site: Site) -> None:
    await site.house.watch.value("select count(*) > 0 from hookline.schedules")


async def defined(site: Site) -> None:
    answer = await site.client.put("/api/definitions/told", content=DEFINITION, headers=ADMIN | YAML)
    assert answer.status_code == 201, answer.text


async def held(site: Site) -> str:
    answer = await site.client.post("/api/tokens", json={"name": "ci", "role": "viewer"}, headers=ADMIN)
    return str(answer.json()["id"])


YAML = {"Content-Type": "application/yaml"}
TICKS = {"since": "2026-01-01T00:00:00Z", "until": "2026-01-04T00:00:00Z", "dry_run": False}

Prepare = Callable[[Site], Awaitable[Any]]

WRITES: dict[str, tuple[Prepare | None, str, Any]] = {
    "POST /jobs/{name}/runs": (None, "/jobs/order/runs", {"input": 1}),
    "POST /runs/{action}": (failed, "/runs/retry", {"filter": {"job": "fails"}, "dry_run": False}),
    "DELETE /runs/{id}/data": (failed, "/runs/{it}/data", None),
    "POST /runs/{id}/retry": (failed, "/runs/{it}/retry", {}),
    "POST /runs/{id}/fork": (failed, "/runs/{it}/fork", {}),
    "POST /runs/{id}/signals": (waiting, "/runs/{it}/signals", {"name": "heard"}),
    "POST /runs/{id}/callbacks/{key:path}": (waiting, "/runs/{it}/callbacks/sign", {"data": 1}),
    "POST /runs/{id}/cancel": (waiting, "/runs/{it}/cancel", None),
    "POST /runs/{id}/pause": (waiting, "/runs/{it}/pause", None),
    "POST /runs/{id}/resume": (paused, "/runs/{it}/resume", None),
    "PUT /definitions/{name}": (None, "/definitions/told", DEFINITION),
    "DELETE /definitions/{name}": (defined, "/definitions/told", None),
    "POST /schedules/{name}/backfill": (declared, "/schedules/order/backfill", TICKS),
    "POST /schedules/{name}/on": (declared, "/schedules/order/on", None),
    "POST /schedules/{name}/off": (declared, "/schedules/order/off", None),
    "POST /sources/reseal": (sourced, "/sources/reseal", None),
    "POST /reseal": (None, "/reseal", {}),
    "PUT /sources/{name}": (None, "/sources/shop", {"parser": "generic"}),
    "DELETE /sources/{name}": (sourced, "/sources/{it}", None),
    "POST /sources/{name}/rotate": (sourced, "/sources/{it}/rotate", {}),
    "POST /deliveries/{id}/replay": (delivered, "/deliveries/{it}/replay", {}),
    "POST /tokens": (None, "/tokens", {"name": "ci", "role": "viewer"}),
    "DELETE /tokens/{id}": (held, "/tokens/{it}", None),
}
"""Every write: what there must be for it, which address it then has, and its body."""

ONE_MORE = {
    "POST /jobs/{name}/runs", "POST /runs/{action}", "POST /runs/{id}/retry", "POST /runs/{id}/fork",
    "POST /runs/{id}/signals", "POST /sources/{name}/rotate", "POST /deliveries/{id}/replay", "POST /tokens",
}  # fmt: skip
"""Those that do something more when they are asked for again."""


def test_every_write_of_the_api_is_tried() -> None:
    assert set(WRITES) == {line for line in ROLE if not line.startswith("GET")}


async def changed(site: Site) -> dict[str, Any]:
    """All that is kept, except for who asked, and what was answered."""
    found = {}
    connection = site.house.watch.connection
    for (table,) in await connection.fetch("select tablename from pg_tables where schemaname = 'hookline'"):
        if table not in ("audit", "idempotency", "workers", "worker_offers"):
            rows = await connection.fetch(f"select (t.*)::text from hookline.{table} t order by 1")
            found[table] = [row[0] for row in rows]
    return found


async def ask(site: Site, client: httpx.AsyncClient, line: str, it: Any, key: str) -> httpx.Response:
    _, path, body = WRITES[line]
    headers = ADMIN | {"Idempotency-Key": key} | (YAML if isinstance(body, str) else {})
    if body is not None and not isinstance(body, str):
        headers["Content-Type"] = "application/json"
    content = body if isinstance(body, str) or body is None else json.dumps(body)
    url = "/api" + path.replace("{it}", str(it))
    return await client.request(line.partition(" ")[0], url, content=content, headers=headers)


@asynccontextmanager
async def prepared(dsn: str, line: str) -> AsyncIterator[tuple[Site, Any]]:
    """A site on which a write can be asked for, and nothing else goes on."""
    async with on_site(jobs(), dsn, tokens=["r00t"], **SETTINGS) as site:
        async with site.house.replica():
            prepare = WRITES[line][0]
            it = None if prepare is None else await prepare(site)
        yield site, it


class Lost(Exception):
    """An answer that nobody gets."""


@pytest.mark.parametrize("line", WRITES)
async def test_a_write_whose_answer_was_lost_has_its_effect_once(
    dsn: str, line: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The connection to Postgres breaks before the commit, then behind it, then that to whoever asked."""
    is_in_parts = line == "POST /runs/{action}"
    async with prepared(dsn, line) as (site, it):

        async def again(key: str, client: httpx.AsyncClient = site.client) -> httpx.Response:
            return await ask(site, client, line, it, key)

        before = await changed(site)
        with monkeypatch.context() as during:
            during.setattr(idempotency, "keep", dying)
            assert (await again("a")).status_code == 503
        assert await changed(site) == before
        with monkeypatch.context() as during:
            during.setattr(Database, "whole", dying_behind(Database.whole))
            assert (await again("a")).status_code == 503
        then = await changed(site)
        assert (then == before) == (line in INDIFFERENT or is_in_parts)
        with pytest.raises(Lost):
            await again("a", cut_off(site))
        after = await changed(site)
        assert (after == then) != is_in_parts
        told = await again("a")
        assert told.status_code in (200, 201, 202), told.text
        assert told.headers.get("idempotent-replayed") == (None if is_in_parts else "true")
        assert (await again("a")).content == told.content
        assert await changed(site) == after
        if line in ONE_MORE:
            await again("another")
            assert await changed(site) != after


INDIFFERENT = {"POST /reseal", "POST /sources/reseal", "POST /schedules/{name}/on"}
"""Which find nothing to change here."""


def cut_off(site: Site) -> httpx.AsyncClient:
    """A client that is gone when it is answered."""
    application = site.server.config.app

    async def losing(scope: Scope, receive: Receive, send: Send) -> None:
        async def gone(_: Message) -> None:
            raise Lost

        await application(scope, receive, gone)  # type: ignore[operator, arg-type, call-arg, misc]

    return httpx.AsyncClient(transport=httpx.ASGITransport(losing), base_url="http://127.0.0.1")


async def dying(*_: Any) -> None:
    raise asyncpg.ConnectionDoesNotExistError("lost before the commit")


def dying_behind(whole: Callable[[Database], Any]) -> Callable[[Database], Any]:
    @asynccontextmanager
    async def broken(self: Database) -> AsyncIterator[Any]:
        async with whole(self) as connection:
            yield connection
        raise Unavailable("lost behind the commit")

    return broken


async def test_while_the_first_is_being_answered_the_second_is_told_to_wait(
    dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    began, go = asyncio.Event(), asyncio.Event()
    keep = idempotency.keep

    async def slow(*given: Any) -> None:
        began.set()
        await go.wait()
        await keep(*given)

    monkeypatch.setattr(idempotency, "keep", slow)
    async with on_site(jobs(), dsn, tokens=["r00t"]) as site:
        first = asyncio.create_task(ask(site, site.client, "POST /jobs/{name}/runs", None, "a"))
        await began.wait()
        second = await ask(site, site.client, "POST /jobs/{name}/runs", None, "a")
        assert (second.status_code, second.json()["type"]) == (409, "/problems/request-in-progress")
        assert int(second.headers["retry-after"]) > 0
        go.set()
        assert (await first).status_code == 201
        assert (await ask(site, site.client, "POST /jobs/{name}/runs", None, "a")).content == (await first).content
        assert len((await site.client.get("/api/runs", headers=ADMIN)).json()["runs"]) == 1


async def test_a_key_is_good_for_one_request_of_one_principal_and_for_a_day(dsn: str) -> None:
    async with on_site(jobs(), dsn, tokens=["r00t"]) as site:
        made = await site.client.post("/api/tokens", json={"name": "ci", "role": "operator"}, headers=ADMIN)
        other = {"Authorization": f"Bearer {made.json()['token']}"}
        key = {"Idempotency-Key": '"8e03978e-40d5-43dd-bc93-6894a57f9324"'}

        async def start(who: dict[str, str], body: Any) -> httpx.Response:
            return await site.client.post("/api/jobs/order/runs", json=body, headers=who | key)

        first = await start(ADMIN, {"input": 1})
        assert (await start(ADMIN, {"input": 1})).json()["id"] == first.json()["id"]
        refused = await start(ADMIN, {"input": 2})
        assert (refused.status_code, refused.json()["type"]) == (422, "/problems/idempotency-key-reused")
        assert (await start(other, {"input": 2})).status_code == 201
        bare = ADMIN | {"Idempotency-Key": "8e03978e-40d5-43dd-bc93-6894a57f9324"}
        again = await site.client.post("/api/jobs/order/runs", json={"input": 1}, headers=bare)
        assert again.json()["id"] == first.json()["id"]
        await site.house.watch.connection.execute("update hookline.idempotency set at = at - interval '25 hours'")
        assert (await start(ADMIN, {"input": 2})).status_code == 201
        assert await retired(site) == 1


async def retired(site: Site) -> int:
    async with site.house.database.session() as connection:
        before = await connection.fetchval("select count(*) from hookline.idempotency")
        while await idempotency.retire(connection):
            pass
        return int(before - await connection.fetchval("select count(*) from hookline.idempotency"))


async def test_what_was_refused_is_looked_at_anew(dsn: str) -> None:
    async with on_site(jobs(), dsn, tokens=["r00t"]) as site:
        run = await site.house.start("order")
        key = ADMIN | {"Idempotency-Key": "a"}
        assert (await site.client.post(f"/api/runs/{run}/resume", headers=key)).status_code == 409
        assert (await site.client.post(f"/api/runs/{run}/pause", headers=ADMIN)).status_code == 200
        assert (await site.client.post(f"/api/runs/{run}/resume", headers=key)).status_code == 200


@pytest.mark.parametrize("key", ["", '""', "a" * 256, "caf\xe9", "a\tb"])
async def test_a_key_that_is_none_is_refused(dsn: str, key: str) -> None:
    async with on_site(jobs(), dsn, tokens=["r00t"]) as site:
        headers = [(b"Authorization", b"Bearer r00t"), (b"Idempotency-Key", key.encode("latin-1"))]
        answer = await site.client.post("/api/jobs/order/runs", json={}, headers=headers)
        assert (answer.status_code, answer.json()["type"]) == (400, "/problems/idempotency-key-unreadable")


async def test_a_secret_that_was_shown_once_is_shown_again_and_rests_nowhere(dsn: str) -> None:
    async with on_site(jobs(), dsn, tokens=["r00t"]) as site:
        first = await ask(site, site.client, "POST /tokens", None, "a-key-that-nobody-guesses")
        again = await ask(site, site.client, "POST /tokens", None, "a-key-that-nobody-guesses")
        assert again.json()["token"] == first.json()["token"]
        kept = await site.house.watch.connection.fetch("select id, answer from hookline.idempotency")
        for row in kept:
            assert first.json()["token"].encode() not in bytes(row["answer"])
            assert b"a-key-that" not in bytes(row["id"]) + bytes(row["answer"])


async def test_a_repeated_bulk_action_goes_on_where_it_broke_off_and_leaves_out_what_came_since(
    dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    keep, kept = idempotency.keep, 0

    async def breaking(*given: Any) -> None:
        nonlocal kept
        kept += 1
        if kept == 3:  # the runs that fit, one of them, and then
            raise asyncpg.ConnectionDoesNotExistError("lost")
        await keep(*given)

    async with on_site(jobs(), dsn, tokens=["r00t"]) as site:
        runs = [str(await site.house.start("order")) for _ in range(3)]
        body = {"filter": {"job": "order"}, "dry_run": False}
        key = ADMIN | {"Idempotency-Key": "a"}
        monkeypatch.setattr(idempotency, "keep", breaking)
        assert (await site.client.post("/api/runs/cancel", json=body, headers=key)).status_code == 503
        states = "select state from hookline.runs order by seq"
        assert [row[0] for row in await site.house.watch.connection.fetch(states)] == ["cancelled", "queued", "queued"]
        since = await site.house.start("order")
        again = (await site.client.post("/api/runs/cancel", json=body, headers=key)).json()
        assert (again["fitting"], again["done"], again["refused"]) == (3, 3, {})
        ended = "select id::text from hookline.runs where state = 'cancelled' order by seq"
        assert [row[0] for row in await site.house.watch.connection.fetch(ended)] == runs
        assert str(since) not in runs
