"""Payloads that rest encrypted: nothing of them is plain in Postgres, all that reads them works, and few are shown."""

from __future__ import annotations

import asyncio
import base64
import json
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from uuid import UUID

import asyncpg
import pytest
from pydantic import SecretStr
from tests import everything
from tests.integration.test_cli import hookline
from tests.support import KEY, OTHER_KEY, PUSH, Site, Watch, on_site, watching

from hookline import App, CallbackFailed, Context, Event
from hookline.codec import Unopened
from hookline.errors import Hold
from hookline.ingress.examination import PING
from hookline.packing import packed
from hookline.payloads import HEAD, MARK, digests
from hookline.store.resealing import TABLES
from hookline.web.access import ROLES, Role
from hookline_parsers import github

MARKER = "kx7-planted-9q"
ADMIN = {"Authorization": "Bearer r00t"}
PLAIN = {"arrivals.types"}
"""JSON that SQL looks into, which holds no payload."""

app = App()


@app.job()
async def secretive(ctx: Context, input: Any) -> Any:
    """Plants the marker wherever a job can."""
    await ctx.set_var("variable", f"{MARKER} variable")
    await ctx.stream({"chunk": f"{MARKER} chunk"})
    word = await ctx.wait_for("word")
    callback = await ctx.callback("paid")
    try:
        await callback
    except CallbackFailed as error:
        word = [word, str(error)]
    child = await ctx.run_job(doubled, {"child": MARKER})
    done = await ctx.map(branch, [MARKER, "fails"], tolerate=1)
    event = await ctx.wait_for(github.check_suite(sha="9fceb02"))
    return [input, word, child, list(done), event.data]


async def echo(value: Any) -> Any:
    return value


async def breaks(value: Any) -> Any:
    raise ValueError(f"cannot do {value}")


async def branch(ctx: Context, value: str) -> Any:
    return await ctx.step(breaks if value == "fails" else echo, MARKER if value == "fails" else value)


@app.job()
async def doubled(ctx: Context, input: Any) -> Any:
    return await ctx.step(echo, [input, input])


@app.job(on_failed="told")
async def fails(ctx: Context, input: Any) -> None:
    ctx.compensate(breaks, MARKER)
    await ctx.step(breaks, f"{MARKER} failure")


@app.job()
async def told(ctx: Context, input: Any) -> None: ...


@app.job()
async def held(ctx: Context, input: Any) -> None:
    raise Hold(f"an operator is to look at {MARKER}")


@app.job(on=github.push())
async def pushed(ctx: Context, event: Event) -> Any:
    return event.data["commits"]


@app.job(on=github.issues(), correlate="{issue.number}")
async def tickets(ctx: Context, event: Event) -> Any:
    following = await ctx.next_event()
    return following.data["title"]


def keys(*given: str) -> dict[str, Any]:
    return {"encryption_keys": tuple(map(SecretStr, given)), "encrypt_payloads": True}


@asynccontextmanager
async def sealed(dsn: str, *given: str, on: App = app, **changes: Any) -> AsyncIterator[Site]:
    async with on_site(on, dsn, tokens=["r00t"], **(keys(*(given or (KEY,))) | changes)) as site:
        site.client.headers.update(ADMIN)
        yield site


async def plain_places(watch: Watch, marker: str = MARKER) -> list[str]:
    """Every column in which a row holds the marker, whatever its type: as text, in bytes, or in either's hex."""
    columns = await watch.connection.fetch(
        "select table_name, column_name, data_type from information_schema.columns where table_schema = 'hookline'"
    )
    found = []
    for table, column, kind in columns:
        text = f"encode({column}, 'escape')" if kind == "bytea" else f"{column}::text"
        query = f"select count(*) from hookline.{table} where position($1 in {text}) > 0"
        if await watch.connection.fetchval(query, marker):
            found.append(f"{table}.{column}")
    return found


def body(**more: Any) -> bytes:
    return json.dumps(json.loads(PUSH) | {"commits": [{"message": MARKER}]} | more).encode()


async def waiting_for(site: Site, run: UUID | str, key: str) -> None:
    await site.house.watch.value(
        "select count(*) from hookline.journal where run_id = $1 and key = $2 and state = 'waiting'", run, key
    )


async def send_suite(site: Site, guid: str) -> None:
    suite = json.dumps({**everything.SUITE, "note": MARKER}).encode()
    sent = github.parser.headers_for("check_suite", guid, suite)
    sent |= github.parser.scheme.sign(b"It's a Secret to Everybody", suite, {})
    assert (await site.client.post("/webhooks/github", content=suite, headers=sent)).status_code == 202


async def play(site: Site) -> UUID:
    """A run of `secretive`, once it has ended, with all that comes for it."""
    run = await site.house.start("secretive", {"input": MARKER})
    assert (
        await site.client.post(f"/api/runs/{run}/signals", json={"name": "word", "data": MARKER})
    ).status_code == 202
    await waiting_for(site, run, "paid")
    completed = await site.client.post(f"/api/runs/{run}/callbacks/paid", json={"error": f"{MARKER} refused"})
    assert completed.status_code == 202, completed.text
    await send_suite(site, "g-suite")
    await site.house.watch.ended(run)
    return run


async def test_a_ping_tells_why_it_starts_nothing_though_payloads_rest_encrypted(dsn: str) -> None:
    async with sealed(dsn) as site:
        await site.push("g1", b'{"zen": "Half measures are as bad as nothing at all."}', X_GitHub_Event="ping")
        (told,) = (await site.client.get("/api/deliveries")).json()["deliveries"]
        assert told["reason"] == PING


async def test_a_marker_planted_everywhere_is_nowhere_plain_and_comes_back_to_code_and_readers(dsn: str) -> None:
    async with sealed(dsn) as site, site.house.replica():
        run = await play(site)
        failed = await site.house.start("fails", {"why": MARKER})
        paused = await site.house.start("held", MARKER)
        first = await site.push("g1", body(), X_Note=MARKER)
        assert first.status_code == 202
        again = await site.push("g1", body())
        assert again.json()["status"] == "duplicate"
        other = await site.push("g1", body(other=MARKER))
        assert other.json()["status"] == "conflict"
        same_other = await site.push("g1", body(other=MARKER))
        assert same_other.json()["delivery"] == other.json()["delivery"]
        broken = await site.push("g2", b'{"broken": "' + MARKER.encode())
        assert broken.json()["status"] == "quarantined"
        ended = await site.house.watch.ended(run, failed, paused, *first.json()["runs"])
        assert [row["state"] for row in ended] == ["succeeded", "failed", "paused", "succeeded"]
        retried = (await site.client.post(f"/api/runs/{failed}/retry", json={})).json()
        forked = (await site.client.post(f"/api/runs/{run}/fork", json={"from": "doubled"})).json()
        await send_suite(site, "g-suite-2")
        await site.house.watch.ended(retried["id"], forked["id"])
        replayed = (await site.client.post(f"/api/deliveries/{first.json()['delivery']}/replay", json={})).json()
        await site.house.watch.ended(*replayed["runs"])

        assert await plain_places(site.house.watch) == []

        shown = (await site.client.get(f"/api/runs/{run}")).json()
        assert shown["input"] == {"input": MARKER}
        assert MARKER in shown["output"][1][1]
        assert (await site.client.get(f"/api/runs/{forked['id']}")).json()["output"] == shown["output"]
        debugged = (await site.client.get(f"/api/runs/{run}/debug")).json()
        assert debugged["variables"] == {"variable": f"{MARKER} variable"}
        assert (await site.client.get(f"/api/runs/{failed}")).json()["error"]["message"].endswith("failure")
        assert "look at" in (await site.client.get(f"/api/runs/{paused}")).json()["error"]["message"]
        assert MARKER in (await site.client.get(f"/api/deliveries/{first.json()['delivery']}")).json()["body"]
        rehearsed = await site.client.post(
            f"/api/deliveries/{broken.json()['delivery']}/replay", json={"dry_run": True}
        )
        assert "JSON" in rehearsed.json()["reason"]
        stream = (await site.client.get(f"/api/runs/{run}/stream")).text
        assert f"{MARKER} chunk" in stream
        feed = (await site.client.get("/api/deliveries/feed?since=2020-01-01T00:00:00Z")).json()["deliveries"]
        assert len(feed) == 6
        for path in (f"/runs/{run}", f"/deliveries/{first.json()['delivery']}"):
            page = await site.client.get(path)
            assert page.status_code == 200
            assert MARKER in page.text


async def test_the_list_of_what_is_sealed_names_every_column_of_json_and_bodies(dsn: str) -> None:
    async with watching(dsn) as watch:
        columns = await watch.connection.fetch(
            "select table_name, column_name from information_schema.columns"
            " where table_schema = 'hookline' and data_type = 'json'"
        )
    named = {f"{name}.{column}" for name, table in TABLES.items() for column in table.columns}
    assert {f"{table}.{column}" for table, column in columns} == named - {"deliveries.body"} | PLAIN


async def test_letters_of_events_for_an_open_run_are_sealed_taken_and_taken_back(dsn: str) -> None:
    async def issue(site: Site, guid: str, title: str) -> Any:
        content = json.dumps({"action": "opened", "issue": {"number": 7}, "title": title}).encode()
        headers = github.parser.headers_for("issues", guid, content)
        headers |= github.parser.scheme.sign(b"It's a Secret to Everybody", content, {})
        return (await site.client.post("/webhooks/github", content=content, headers=headers)).json()

    async with sealed(dsn) as site:
        first = await issue(site, "i1", MARKER)
        for number in range(2):
            assert (await issue(site, f"more{number}", f"{MARKER} {number}"))["runs"] == first["runs"]
        assert await plain_places(site.house.watch) == []
        feed = (await site.client.get("/api/deliveries/feed?since=2020-01-01T00:00:00Z")).json()["deliveries"]
        assert [run["id"] for each in feed for run in each["runs"]] == first["runs"] * 3
        async with site.house.replica():
            (row,) = await site.house.watch.ended(*first["runs"])
            assert row["state"] == "succeeded"
            follower = await site.house.watch.value(
                "select id from hookline.runs where job = 'tickets' and id <> $1", first["runs"][0]
            )
            assert follower


PAYLOADS = {
    "POST /jobs/{name}/runs": "operator", "GET /runs/{id}": "viewer", "GET /runs/{id}/await": "viewer",
    "GET /runs/{id}/debug": "viewer", "GET /deliveries/{id}": "viewer", "GET /deliveries/feed": "viewer",
    "GET /runs/{id}/stream": "viewer", "POST /runs/{id}/retry": "operator", "POST /runs/{id}/fork": "operator",
    "POST /runs/{id}/pause": "operator", "POST /runs/{id}/resume": "operator", "POST /runs/{id}/cancel": "operator",
    "POST /deliveries/{id}/replay": "operator",
}  # fmt: skip
"""The routes whose answers have payload in them, and the least role that they answer."""


@pytest.mark.parametrize("is_keyed", [False, True], ids=["bare", "with a key"])
@pytest.mark.parametrize("least", ROLES)
async def test_payload_is_shown_to_the_role_that_may_and_to_no_other(dsn: str, least: Role, is_keyed: bool) -> None:
    async with sealed(dsn, payload_role=least) as site:
        async with site.house.replica():
            run = await play(site)
            failed = await site.house.start("fails", {"why": MARKER})
            delivery = (await site.push("g1", body())).json()
            await site.house.watch.ended(failed, *delivery["runs"])
        for role in ROLES:
            made = await site.client.post("/api/tokens", json={"name": role, "role": role})
            bearer = {"Authorization": f"Bearer {made.json()['token']}"}
            sees = ROLES.index(role) >= ROLES.index(least)
            new = str(await site.house.start("doubled", {"why": MARKER}))
            asked = {
                "POST /jobs/{name}/runs": ("/jobs/doubled/runs", {"input": MARKER}),
                "GET /deliveries/{id}": (f"/deliveries/{delivery['delivery']}", None),
                "GET /deliveries/feed": ("/deliveries/feed?since=2020-01-01T00:00:00Z", None),
                "POST /deliveries/{id}/replay": (f"/deliveries/{delivery['delivery']}/replay", {"dry_run": True}),
                "POST /runs/{id}/retry": (f"/runs/{failed}/retry", {}),
                "POST /runs/{id}/fork": (f"/runs/{failed}/fork", {}),
                "GET /runs/{id}/await": (f"/runs/{run}/await", None),
            }
            for line, needed in PAYLOADS.items():
                method, pattern = line.split()
                id_ = run if method == "GET" else new
                path, sent = asked.get(line, (re.sub("{id}", str(id_), pattern), None))
                key = {"Idempotency-Key": f"{role} {line}"} if is_keyed and method == "POST" else {}
                answer = await site.client.request(method, f"/api{path}", json=sent, headers=bearer | key)
                if ROLES.index(role) < ROLES.index(needed):
                    assert answer.status_code == 403
                    continue
                text = answer.text.replace("github_", "")
                if line == "GET /deliveries/feed":
                    assert answer.status_code == (200 if sees else 403), answer.text
                elif line.endswith("/replay"):
                    assert (answer.json()["bindings"] != []) == sees
                else:
                    assert answer.status_code in (200, 201, 202), (line, answer.text)
                    assert (MARKER in text) == sees, (role, line, text)
                    assert ("[encrypted]" in text) != sees, (role, line, text)
            for page in (f"/runs/{run}", f"/runs/{failed}", f"/deliveries/{delivery['delivery']}", "/", "/runs"):
                shown = await site.client.get(page, headers=bearer)
                assert shown.status_code == 200, shown.text
                assert (MARKER in shown.text) == (sees and page not in ("/", "/runs")), (role, page)


async def test_keys_are_rotated_while_runs_go_on_and_the_old_one_can_be_dropped(dsn: str) -> None:
    async with sealed(dsn) as site, site.house.replica():
        run = await play(site)
        delivery = (await site.push("g1", body())).json()
        await site.house.watch.ended(*delivery["runs"])
        await site.house.watch.connection.execute("update hookline.deliveries set id = id")  # as another's change
    async with sealed(dsn, OTHER_KEY, KEY) as site, site.house.replica():
        await aged(site)
        waiting = await site.house.start("secretive", {"input": MARKER})
        await asyncio.gather(resealed(site), resealed(site))
        told = await resealed(site)
        assert sum(each["changed"] for each in told) == 0
        assert not any(each["unreadable"] for each in told)
    async with sealed(dsn, OTHER_KEY) as site, site.house.replica():
        assert (await site.client.get(f"/api/runs/{run}")).json()["input"] == {"input": MARKER}
        feed = (await site.client.get("/api/deliveries/feed?since=1970-01-01T00:00:00Z")).json()["deliveries"]
        assert len(feed) == 2
        assert MARKER in (await site.client.get(f"/api/runs/{waiting}")).text
        assert (await site.push("g1", body())).json()["status"] == "duplicate"


async def aged(site: Site) -> None:
    """Make all deliveries so old that no reader of the feed could be told of them twice."""
    for place in ("deliveries.id", "run_data.body_from", "runs.delivery_id", "signals.delivery_id"):
        table, column = place.split(".")
        await site.house.watch.connection.execute(
            f"update hookline.{table} set {column} = ('00000000-0000-7000-8000-' || right({column}::text, 12))::uuid"
        )


async def resealed(site: Site) -> list[dict[str, Any]]:
    told, after = [], None
    while True:
        answer = await site.client.post("/api/reseal", json={"after": after})
        assert answer.status_code == 200, answer.text
        told.append(answer.json())
        if (after := told[-1]["next"]) is None:
            return told


async def test_what_was_plain_is_sealed_and_opened_again_when_the_option_is_turned(dsn: str) -> None:
    async with sealed(dsn, encrypt_payloads=False) as site, site.house.replica():
        run = await play(site)
        delivery = (await site.push("g1", body())).json()
        await site.house.watch.ended(*delivery["runs"])
        await aged(site)
        assert {"deliveries.body", "run_data.input", "journal.output", "signals.data"} <= {
            *(await plain_places(site.house.watch))
        }
    async with sealed(dsn) as site:
        assert (await site.client.get(f"/api/runs/{run}")).json()["input"] == {"input": MARKER}
        done = await resealed(site)
        assert {each["table"] for each in done} == set(TABLES)
        left = await plain_places(site.house.watch)
        assert [each for each in left if not each.endswith(".reason")] == []
    async with sealed(dsn, encrypt_payloads=False) as site:
        await resealed(site)
        assert "deliveries.body" in await plain_places(site.house.watch)
        assert await resting(site) == 0
        assert (await site.push("g1", body())).json()["status"] == "duplicate"


async def resting(site: Site) -> int:
    """How many values rest encrypted."""
    total = 0
    for name, table in TABLES.items():
        for column, kind in table.columns.items():
            text = f"encode({column}, 'escape')" if kind == "bytea" else f"{column}::text"
            begin = MARK.decode() if kind == "json" else r"\377\000hkln"
            total += await site.house.watch.connection.fetchval(
                f"select count(*) from hookline.{name} where starts_with({text}, $1)", begin
            )
    return total


async def test_a_replica_without_the_key_gives_runs_back_and_says_which_is_missing(dsn: str) -> None:
    async with sealed(dsn) as site:
        run = await site.house.start("doubled", MARKER)
        delivery = (await site.push("g1", body())).json()
    async with sealed(dsn, OTHER_KEY) as site:
        async with site.house.replica():
            rows = await site.house.watch.until(lambda connection: all_given_back(connection, [run, *delivery["runs"]]))
        for row in rows:
            assert row["state"] == "queued"
            assert re.search(r"the key [0-9a-f]{8}, which HOOKLINE_ENCRYPTION_KEYS has not", row["reason"])
            assert row["attempt"] == 1
        shown = (await site.client.get(f"/api/runs/{run}")).json()
        assert "HOOKLINE_ENCRYPTION_KEYS has not" in shown["input"]
        refused = await site.client.post(f"/api/deliveries/{delivery['delivery']}/replay", json={})
        assert refused.status_code == 503
        assert "HOOKLINE_ENCRYPTION_KEYS has not" in refused.json()["detail"]
        assert (await site.push("g1", body())).json()["status"] == "duplicate"
        await aged(site)
        assert any(each["unreadable"] for each in await resealed(site))
    async with sealed(dsn) as site, site.house.replica():
        await site.house.watch.connection.execute("update hookline.runs set due_at = now()")
        ended = await site.house.watch.ended(run, *delivery["runs"])
        assert [row["state"] for row in ended] == ["succeeded", "succeeded"]
        assert (await site.house.read(run))["output"] == json.dumps([MARKER, MARKER], separators=(",", ":")).encode()


async def all_given_back(connection: Any, runs: list[Any]) -> list[asyncpg.Record] | None:
    rows = await connection.fetch("select * from hookline.runs where id = any($1) and reason is not null", runs)
    return rows if len(rows) == len(runs) else None


async def test_a_signal_that_cannot_be_opened_is_kept_for_a_replica_that_can(dsn: str) -> None:
    async with sealed(dsn) as site, site.house.replica():
        run = await site.house.start("secretive", MARKER)
        await waiting_for(site, run, "word")
        await site.house.watch.value("select state = 'waiting' from hookline.runs where id = $1", run)
    async with sealed(dsn, OTHER_KEY) as site:
        assert (
            await site.client.post(f"/api/runs/{run}/signals", json={"name": "word", "data": MARKER})
        ).status_code == 202
    async with sealed(dsn) as site, site.house.replica():
        (row,) = await site.house.watch.until(lambda connection: all_given_back(connection, [run])) or [None]
        assert row is not None
        assert row["state"] == "queued"
    async with sealed(dsn, KEY, OTHER_KEY) as site, site.house.replica():
        await site.house.watch.connection.execute("update hookline.runs set due_at = now() where state = 'queued'")
        await waiting_for(site, run, "paid")
        found = await site.house.read(run)
        assert next(each["output"] for each in found["journal"] if each["key"] == "word") == b'"%b"' % MARKER.encode()


async def test_a_webhook_that_cannot_be_sealed_is_refused_and_nothing_is_stored(
    dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with sealed(dsn) as site:

        def broken(*_: object) -> bytes:
            raise RuntimeError("no randomness")

        with monkeypatch.context() as patched:
            patched.setattr(type(site.house.database.payloads.seal), "seal", broken)
            refused = await site.push("g1", body())
        assert refused.status_code >= 500
        assert await site.house.watch.connection.fetchval("select count(*) from hookline.deliveries") == 0
        assert (await site.push("g1", body())).status_code == 202


async def test_what_looks_sealed_and_is_not_comes_back_as_it_was(dsn: str) -> None:
    for change in ({"encrypt_payloads": False}, {}):
        async with sealed(dsn, **change) as site, site.house.replica():
            told = f"{MARK[1:].decode()}00000000:AAAA"
            found = await site.house.finish("doubled", told)
            assert json.loads(found["output"]) == [told, told]
            assert not isinstance(found["input"], Unopened)
            assert (await site.client.get(f"/api/runs/{found['id']}")).json()["input"] == told
    pushed = github.parser.parse  # a body that begins like a sealed one is no JSON: it is quarantined, and kept
    assert pushed is not None
    async with sealed(dsn, encrypt_payloads=False) as site:
        strange = HEAD + b"\x01" + b"x" * 100
        answer = await site.push("g9", strange)
        assert answer.json()["status"] == "quarantined"
        row = await site.house.watch.connection.fetchrow(
            "select hookline.body_size(body) as size, hookline.body_digest(body) = sha256($1) as same"
            " from hookline.deliveries where key = 'g9'",
            strange,
        )
        assert (row["size"], row["same"]) == (len(strange), True)
        assert (await site.push("g9", strange)).json()["status"] == "duplicate"


async def test_what_another_version_has_packed_differently_is_the_same(
    dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with sealed(dsn, encrypt_payloads=False) as site:
        sent = json.dumps({"told": [f"commit {number}" for number in range(500)]}).encode()
        first, now = (await site.push("g1", sent)).json(), packed(sent)
        monkeypatch.setattr("hookline.packing.HASTE", 50)
        assert packed(sent) != now
        again = (await site.push("g1", sent)).json()
        assert (again["status"], again["delivery"]) == ("duplicate", first["delivery"])
        assert (await site.push("g1", sent.replace(b"7", b"8"))).json()["status"] == "conflict"


@pytest.mark.parametrize("size", [10, 5_000, 700_000])
@pytest.mark.parametrize("encrypt", [True, False])
async def test_however_a_body_rests_its_size_its_digest_and_its_beginning_are_known(
    dsn: str, size: int, encrypt: bool
) -> None:
    async with sealed(dsn, encrypt_payloads=encrypt) as site:
        sent = json.dumps({"told": "".join(f"commit {n} by somebody; " for n in range(size))[:size]}).encode()
        delivery = (await site.push("g1", sent)).json()["delivery"]
        row = await site.house.watch.connection.fetchrow(
            "select hookline.body_size(body) as size, hookline.body_digest(body) = any($1) as same,"
            " octet_length(body) as rests, hookline.body_excerpt(body, 262144) as excerpt from hookline.deliveries",
            digests(sent),
        )
        assert (row["size"], row["same"]) == (len(sent), True)
        assert encrypt or size < 1000 or row["rests"] < size * 0.9
        shown = site.house.database.payloads.shown_bytes(row["excerpt"])
        assert shown == (sent if encrypt else sent[:262_144])
        assert (await site.client.get(f"/api/deliveries/{delivery}")).json()["body"] == sent.decode()
        assert (await site.push("g1", sent)).json()["status"] == "duplicate"
        assert (await site.push("g1", sent + b" ")).json()["status"] == "conflict"
        assert (await site.push("g1", sent + b" ")).json()["status"] == "conflict"
        assert await site.house.watch.connection.fetchval("select count(*) from hookline.deliveries") == 2


async def test_the_tags_of_a_run_are_found_where_payloads_are_sealed(dsn: str) -> None:
    app = App()

    @app.job(on=github.push(), tags=["{repository}"])
    async def tagged(ctx: Context, _: Event) -> None:
        await ctx.tag("seen")

    async with sealed(dsn, on=app) as site, site.house.replica():
        (run,) = (await site.push("g1", body())).json()["runs"]
        await site.house.watch.ended(run)
        found = (await site.client.get("/api/runs", params={"tag": "seen"})).json()["runs"]
        assert [each["id"] for each in found] == [run]


async def test_the_data_of_a_sealed_run_are_deleted(dsn: str) -> None:
    async with sealed(dsn) as site, site.house.replica():
        delivery = (await site.push("g1", body())).json()
        await site.house.watch.ended(*delivery["runs"])
        (run,) = delivery["runs"]
        assert (await site.client.delete(f"/api/runs/{run}/data")).status_code == 202
        await site.house.watch.value("select data_deletion = 'done' from hookline.runs where id = $1", run)
        assert (await site.client.get(f"/api/deliveries/{delivery['delivery']}")).json()["body"] == ""


async def test_the_command_line_reseals_and_tells_how_it_stands(dsn: str) -> None:
    async with sealed(dsn, encrypt_payloads=False) as site, site.house.replica():
        await play(site)
        await aged(site)
    async with sealed(dsn) as site:
        status, out, err = await hookline("reseal", URL=str(site.client.base_url), TOKEN="r00t")
        assert (status, err) == (0, "")
        assert re.search("all payloads rest encrypted by the key [0-9a-f]{8}", out)
        assert re.search(r"run_data: [1-9]\d* rows encrypted", out)
        await site.push("g7", body())
    async with sealed(dsn, OTHER_KEY, KEY) as site:
        status, _, err = await hookline("reseal", URL=str(site.client.base_url), TOKEN="r00t")
        assert status == 1
        assert "1 deliveries are too new" in err


async def test_what_is_redacted_is_shown_to_nobody_and_stays_for_code_and_for_who_verifies(dsn: str) -> None:
    hidden = {"redact": ("note", "commits.*.message", "**.chunk", "word", "x-note")}
    content = body(note=MARKER)
    async with on_site(app, dsn, tokens=["r00t"], **hidden) as site, site.house.replica():
        site.client.headers.update(ADMIN)
        run = await site.house.start("secretive", {"note": MARKER})
        await site.client.post(f"/api/runs/{run}/signals", json={"name": "word", "data": "w"})
        await waiting_for(site, run, "paid")
        delivery = (await site.push("g1", content, X_Note=MARKER)).json()
        (pushed_run,) = delivery["runs"]
        await site.house.watch.ended(pushed_run)
        made = (await site.client.post("/api/tokens", json={"name": "o", "role": "operator"})).json()
        operator = {"Authorization": f"Bearer {made['token']}"}
        feed = "/api/deliveries/feed?since=2020-01-01T00:00:00Z"
        for headers in (ADMIN, operator):
            for path in (
                f"/api/deliveries/{delivery['delivery']}",
                f"/api/runs/{pushed_run}",
                f"/runs/{pushed_run}",
                f"/deliveries/{delivery['delivery']}",
            ):
                shown = await site.client.get(path, headers=headers)
                assert shown.status_code == 200
                text = shown.text.replace('[{\\"message\\":', "")
                if not path.startswith("/api/runs") and not path.startswith("/runs"):
                    assert MARKER not in text, path
                assert "[redacted]" in text, path
            debugged = (await site.client.get(f"/api/runs/{run}/debug", headers=headers)).json()
            assert debugged["input"] == {"note": "[redacted]"}
            async with site.client.stream("GET", f"/api/runs/{run}/stream", headers=headers) as stream:
                async for line in stream.aiter_lines():
                    if line.startswith("data:") and "chunk" in line:
                        assert json.loads(line[5:])["data"] == {"chunk": "[redacted]"}
                        break
        (told,) = (await site.client.get(feed, headers=operator)).json()["deliveries"]
        assert MARKER not in base64.b64decode(told["body_base64"]).decode()
        assert ["x-note", "[redacted]"] in told["headers"]
        (told,) = (await site.client.get(feed)).json()["deliveries"]
        assert base64.b64decode(told["body_base64"]) == content
        assert json.loads((await site.house.read(UUID(pushed_run)))["output"]) == [{"message": MARKER}]
