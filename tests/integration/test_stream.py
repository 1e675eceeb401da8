"""The stream: whoever watches is told of everything, once and in order, however often it is cut off."""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import AsyncIterator, Collection
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import asyncpg
import httpx
import pytest
from tests.support import Site, on_site

from hookline import App, Context
from hookline.codec import uuid7
from hookline.errors import Unavailable
from hookline.store import events, runs
from hookline.store.database import Database
from hookline.store.runs import NewRun
from hookline.web import listener, standing
from hookline.web.access import Credential, Keyring


def make_app() -> App:
    app = App()

    @app.job()
    async def greet(ctx: Context, name: str) -> str:
        await ctx.stream({"name": name})
        answer = await ctx.step(shout, name)
        await ctx.stream([1, None, "zwei"])
        return answer

    @app.job(scope=str)
    async def wait(ctx: Context, name: str) -> None:
        await ctx.wait_for("go")

    @app.job()
    async def breaks(ctx: Context, _: None) -> None:
        raise ValueError("no secret")

    return app


async def shout(name: str) -> str:
    return name.upper()


@dataclass
class Got:
    """One event, as a browser would have it."""

    id: str
    name: str
    data: Any


class Client:
    """Reads a stream, and remembers the last id, as a browser does."""

    def __init__(self, site: Site, path: str = "/api/stream", last: str | None = None) -> None:
        self.site = site
        self.path = path
        self.last = last
        self.beats = 0

    @asynccontextmanager
    async def connected(self) -> AsyncIterator[AsyncIterator[Got]]:
        headers = {} if self.last is None else {"Last-Event-ID": self.last}
        async with self.site.client.stream("GET", self.path, headers=headers) as answer:
            assert answer.status_code == 200, await answer.aread()
            assert answer.headers["content-type"].startswith("text/event-stream")
            yield self._events(answer)

    async def _events(self, answer: httpx.Response) -> AsyncIterator[Got]:
        name, data, id_ = "", "", self.last
        async for line in answer.aiter_lines():
            field, _, value = line.partition(": ")
            match field:
                case "id":
                    id_ = value
                case "event":
                    name = value
                case "data":
                    data = value
                case "":
                    self.beats += line.startswith(":")
                    if not line:
                        self.last = id_
                        if data:
                            yield Got(str(id_), name, json.loads(data))
                        name = data = ""

    async def read(self, many: int) -> list[Got]:
        """So many events."""
        found: list[Got] = []
        async with asyncio.timeout(60):
            while True:
                async with self.connected() as coming:
                    async for each in coming:
                        found.append(each)
                        if len(found) == many:
                            return found

    async def read_all(self) -> list[Got]:
        """What comes until the service ends the stream."""
        async with asyncio.timeout(20), self.connected() as coming:
            return [each async for each in coming]


@pytest.fixture
async def site(dsn: str) -> AsyncIterator[Site]:
    async with on_site(make_app(), dsn) as found:
        yield found


async def begun(site: Site, path: str = "/api/stream") -> Client:
    """A client that was connected once, so that it is to be told of all that comes from now on."""
    client = Client(site, path)
    async with client.connected() as coming:
        reading = asyncio.ensure_future(anext(coming))
        while client.last is None:
            await asyncio.sleep(0)
        reading.cancel()
    return client


async def kept(site: Site) -> list[int]:
    async with site.house.database.session() as connection:
        rows = await connection.fetch("select seq from hookline.run_events where seq > 0 order by seq")
    return [row["seq"] for row in rows]


def told(found: list[Got]) -> list[tuple[str, str]]:
    return [(each.data["job"], each.data["state"]) for each in found]


async def test_what_becomes_of_a_run_is_told(site: Site) -> None:
    client = await begun(site)
    async with site.house.replica():
        run = await site.house.start("greet", "ada")
        found = await client.read(3)

    assert told(found) == [("greet", "queued"), ("greet", "running"), ("greet", "succeeded")]
    assert {each.name for each in found} == {"run"}
    assert set(found[0].data) == {"id", "job", "scope", "state", "at"}
    assert {each.data["id"] for each in found} == {str(run)}


async def test_why_a_run_failed_is_told_until_its_data_are_deleted(site: Site) -> None:
    client = await begun(site, "/api/stream?state=failed")
    async with site.house.replica():
        run = await site.house.start("breaks")
        (failed,) = await Client(site, client.path, client.last).read(1)
        await site.client.delete(f"/api/runs/{run}/data")
        await site.house.watch.value("select data_deletion = 'done' from hookline.runs where id = $1", run)
    (again,) = await Client(site, client.path, client.last).read(1)

    assert failed.data["reason"] == "ValueError: no secret"
    assert "reason" not in again.data


async def test_a_delivery_is_told_of_once(site: Site) -> None:
    client = await begun(site, "/api/stream?kind=delivery")
    for _ in range(2):
        answer = await site.push("guid-1")
    await site.push("guid-2", b"{}", X_GitHub_Event="watch")
    first, second = await client.read(2)

    assert first.name == "delivery"
    assert first.data["id"] == answer.json()["delivery"]
    assert {first.data[each] for each in ("source", "type", "status")} == {"github", "github.push", "ignored"}
    assert second.data["type"] == "github.watch"


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("job=wait", [("wait", "blocked"), ("wait", "queued")] * 2),
        ("scope=b", [("wait", "blocked"), ("wait", "queued")]),
        ("state=blocked", [("wait", "blocked")] * 2),
        ("job=wait&scope=a&state=queued", [("wait", "queued")]),
        ("kind=run", [("greet", "queued"), *[("wait", "blocked"), ("wait", "queued")] * 2]),
    ],
)
async def test_only_what_is_asked_for_is_told(site: Site, query: str, expected: list[tuple[str, str]]) -> None:
    client = await begun(site, f"/api/stream?{query}")
    again = Client(site, client.path, client.last)
    async with client.connected() as coming:
        reading = asyncio.create_task(anext(coming))  # type: ignore[arg-type]
        await site.push("guid-1")
        await site.house.start("greet", "ada")
        await site.house.start("wait", "a")
        await site.house.start("wait", "b")
        live = [await reading] + [await anext(coming) for _ in expected[1:]]

    assert told(live) == expected
    assert told(await again.read(len(expected))) == expected, "read again it is the same"


WAITED_FOR = "select count(*) > 0 from pg_stat_activity where query ~ 'virtual[t]ransaction'"
"""Whether it is looked whether somebody still writes."""


async def test_an_event_that_is_committed_late_is_told_in_its_place(site: Site, dsn: str) -> None:
    """Its number was drawn before that of one that was committed before it."""
    client = await begun(site)
    slow = await asyncpg.connect(dsn)
    late = slow.transaction()
    await late.start()
    await slow.execute("select pg_advisory_xact_lock(1)")
    first = await _insert(slow)
    second = await site.house.start("greet", "bob")
    reading = asyncio.create_task(client.read(2))
    await site.house.watch.value(WAITED_FOR)
    assert not reading.done()
    await late.commit()

    assert [each.data["id"] for each in await reading] == [str(first), str(second)]
    await slow.close()


async def test_a_number_that_was_given_back_is_waited_for_by_nobody(site: Site, dsn: str) -> None:
    client = await begun(site)
    connection = await asyncpg.connect(dsn)
    given_up = connection.transaction()
    await given_up.start()
    await _insert(connection)
    await given_up.rollback()
    run = await site.house.start("greet", "bob")

    assert [each.data["id"] for each in await client.read(1)] == [str(run)]
    await connection.close()


async def test_a_long_transaction_of_somebody_else_holds_nothing_back(site: Site, dsn: str) -> None:
    client = await begun(site)
    other = await asyncpg.connect(dsn)
    long = other.transaction()
    await long.start()
    await other.execute("create table public.other ()")
    given_up = site.house.watch.connection.transaction()
    await given_up.start()
    await _insert(site.house.watch.connection)
    await given_up.rollback()
    run = await site.house.start("greet", "bob")

    assert [each.data["id"] for each in await client.read(1)] == [str(run)]
    await long.rollback()
    await other.close()


async def _insert(connection: Any) -> UUID:
    run = uuid7()
    await connection.execute(
        "insert into hookline.runs (id, job, version, state) values ($1, 'greet', 1, 'queued')", run
    )
    return run


async def test_whoever_is_cut_off_again_and_again_is_told_of_everything_once(site: Site, dsn: str) -> None:
    """Written by several at once, some of whom give up; read by several, cut off at random."""
    chance = random.Random(7)
    clients = [await begun(site, "/api/stream?kind=run") for _ in range(5)]
    done = asyncio.Event()

    async def write(number: int) -> None:
        connection = await asyncpg.connect(dsn)
        for _ in range(60):
            whole = connection.transaction()
            await whole.start()
            for _ in range(chance.randint(1, 4)):
                await _insert(connection)
                await asyncio.sleep(chance.random() / 500)  # so that the transactions interleave
            await (whole.rollback() if chance.random() < 0.2 else whole.commit())
        await connection.close()

    async def read(client: Client) -> list[int]:
        found: list[int] = []
        while not (done.is_set() and found[-1:] == (await kept(site))[-1:]):
            try:
                async with asyncio.timeout(chance.random() / 4), client.connected() as coming:
                    async for each in coming:
                        found.append(int(each.id))  # noqa: PERF401 - what came before the cut counts
            except TimeoutError:
                continue
        return found

    async with asyncio.TaskGroup() as together:
        reading = [together.create_task(read(each)) for each in clients]
        async with asyncio.TaskGroup() as writers:
            for number in range(4):
                writers.create_task(write(number))
        done.set()

    everything = await kept(site)
    assert len(everything) > 200
    assert everything != list(range(1, len(everything) + 1)), "some numbers were given back"
    for each in reading:
        assert each.result() == everything


async def test_a_stream_goes_on_at_another_replica(dsn: str) -> None:
    async with on_site(make_app(), dsn) as first:
        client = await begun(first)
        await first.house.start("greet", "ada")
        before = await client.read(1)
    async with on_site(make_app(), dsn) as second:
        await second.house.start("greet", "bob")
        after = await Client(second, last=client.last).read(1)
        assert [int(each.id) for each in before + after] == await kept(second)


async def test_a_snapshot_comes_first_and_nothing_is_missing_behind_it(site: Site) -> None:
    """Whatever state the snapshot does not know of, an event behind it tells."""
    ids = [await site.house.start("greet", str(number)) for number in range(20)]
    async with site.house.replica():
        client = Client(site, "/api/stream?snapshot=true&kind=run")
        states: dict[str, str] = {}
        async with asyncio.timeout(20), client.connected() as coming:
            snapshot = await anext(coming)
            assert snapshot.name == "snapshot"
            states |= {each["id"]: each["state"] for each in snapshot.data["runs"]}
            while set(states.values()) != {"succeeded"}:
                each = await anext(coming)
                states[each.data["id"]] = each.data["state"]
    assert set(states) == {str(run) for run in ids}


async def test_a_snapshot_waits_for_what_was_told_before_it_and_is_not_committed(site: Site, dsn: str) -> None:
    slow = await asyncpg.connect(dsn)
    late = slow.transaction()
    await late.start()
    first = await _insert(slow)
    second = await site.house.start("greet", "ada")
    client = Client(site, "/api/stream?snapshot=true&kind=run")
    reading = asyncio.create_task(client.read(1))
    await site.house.watch.value(WAITED_FOR)
    await late.commit()
    (snapshot,) = await reading
    third = await site.house.start("greet", "bob")

    assert {each["id"] for each in snapshot.data["runs"]} == {str(first), str(second)}
    assert [each.data["id"] for each in await client.read(1)] == [str(third)]
    await slow.close()


async def test_a_snapshot_has_what_is_asked_for(site: Site) -> None:
    await site.push("guid-1")
    run = await site.house.start("greet", "ada")
    await site.house.start("wait", "ada")

    async def snapshot(query: str) -> dict[str, Any]:
        (found,) = await Client(site, f"/api/stream?snapshot=true&{query}").read(1)
        return {name: len(rows) for name, rows in found.data.items() if name in ("runs", "deliveries")}

    assert await snapshot("") == {"runs": 2, "deliveries": 1}
    assert await snapshot("job=greet") == {"runs": 1}
    assert await snapshot(f"run={run}") == {"runs": 1}
    assert await snapshot("kind=delivery") == {"deliveries": 1}
    assert await snapshot("state=failed") == {"runs": 0}


async def retire(site: Site) -> None:
    """Let a day pass, and delete all events that may be deleted."""
    async with site.house.database.session() as connection:
        await connection.execute("update hookline.runs set created_at = created_at - interval '1 day'")
        await connection.execute("update hookline.run_events set at = at - interval '1 day'")
        while await events.retire(connection, 3600):
            pass


async def test_whoever_was_away_for_too_long_is_told_to_start_again(site: Site) -> None:
    client = await begun(site)
    for name in ("ada", "bob"):
        await site.house.start("greet", name)
    await retire(site)
    assert len(await kept(site)) == 1

    reset, snapshot = await Client(site, "/api/stream?snapshot=true", client.last).read(2)
    assert (reset.name, snapshot.name) == ("reset", "snapshot")
    assert len(snapshot.data["runs"]) == 2
    run = await site.house.start("greet", "eve")
    assert [each.data["id"] for each in await Client(site, last=reset.id).read(1)] == [str(run)]


async def test_whoever_missed_nothing_is_not_told_to_start_again(site: Site) -> None:
    await site.house.start("greet", "ada")
    client = await begun(site)
    await retire(site)
    run = await site.house.start("greet", "bob")

    assert [each.data["id"] for each in await client.read(1)] == [str(run)]


async def test_a_number_from_another_time_is_told_to_start_again(site: Site) -> None:
    (reset,) = await Client(site, last="1000000").read(1)
    assert reset.name == "reset"


async def test_who_listens_while_events_are_lost_is_cut_off_and_told(site: Site) -> None:
    client = await begun(site)
    async with client.connected() as coming:
        reading = asyncio.ensure_future(anext(coming, None))
        async with site.house.database.session() as connection, connection.transaction():
            await connection.execute(MANY, 5)
            await connection.execute(
                "delete from hookline.run_events where seq < (select max(seq) from hookline.run_events)"
            )
        async with asyncio.timeout(10):
            assert await reading is None
    (reset,) = await client.read(1)
    assert reset.name == "reset"


CUT = """
select count(pg_terminate_backend(pid)) from pg_stat_activity
 where query ~ 'where seq > .1 order' and pid <> pg_backend_pid()
"""


async def test_a_stream_goes_on_when_its_connection_to_postgres_is_lost(site: Site) -> None:
    client = Client(site)
    async with client.connected() as coming:
        reading = asyncio.ensure_future(anext(coming))
        await site.house.start("greet", "ada")
        found = [await reading]
        assert await site.house.watch.value(CUT)
        await site.house.start("greet", "bob")
        found.append(await anext(coming))
    assert [int(each.id) for each in found] == await kept(site)


MANY = """
insert into hookline.run_events (run_id, job, state)
select gen_random_uuid(), repeat('x', 200), 'queued' from generate_series(1, $1)
"""


async def test_a_slow_client_is_dropped_and_resumes(site: Site) -> None:
    quick = await begun(site)
    many = 40_000  # more than what the sockets between them hold
    reader, writer = await asyncio.open_connection("127.0.0.1", site.client.base_url.port, limit=2**10)
    try:
        writer.write(b"GET /api/stream HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        await reader.readuntil(b"retry: ")
        async with site.house.database.session() as connection:
            await connection.execute(MANY, many)
        everything = [int(each.id) for each in await quick.read(many)]
        async with asyncio.timeout(30):
            sent = await reader.read()
    finally:
        writer.close()

    told = [int(line[4:]) for line in sent.splitlines() if line.startswith(b"id: ")][1:]
    assert 0 < len(told) < many, "it was dropped"
    assert sent.endswith(b"0\r\n\r\n"), "and was told that there is no more"
    rest = await Client(site, last=str(told[-1])).read(many - len(told))
    assert told + [int(each.id) for each in rest] == everything == await kept(site)


async def test_silence_is_broken_by_beats_that_tell_how_far_it_is(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listener, "BEAT", 0.05)
    client = Client(site, "/api/stream?job=other")
    async with asyncio.timeout(10), client.connected() as coming:
        reading = asyncio.ensure_future(anext(coming))
        await site.house.start("greet", "ada")
        while client.last != str((await kept(site))[-1]) or client.beats < 2:
            await asyncio.sleep(0)
        assert not reading.done()
        reading.cancel()


WAYS_OUT = {
    "its token is revoked": "update hookline.tokens set revoked_at = now()",
    "its token expires": "update hookline.tokens set expires_at = now()",
    "its session is logged out": "",
    "its session expires": "update hookline.sessions set expires_at = now()",
    "the token of its session is revoked": "update hookline.tokens set revoked_at = now()",
}


@pytest.mark.parametrize("why", WAYS_OUT)
async def test_a_stream_ends_when(dsn: str, monkeypatch: pytest.MonkeyPatch, why: str) -> None:
    monkeypatch.setattr(standing, "EVERY", 0.05)
    looks = counted_looks(monkeypatch)
    admin = {"Authorization": "Bearer r00t"}
    async with on_site(make_app(), dsn, tokens=["r00t"]) as site:
        answer = await site.client.post("/api/tokens", json={"name": "a", "role": "viewer"}, headers=admin)
        mine = {"Authorization": f"Bearer {answer.json()['token']}"}
        if "session" in why:
            await site.client.post("/login", json={"token": answer.json()["token"]})
            mine = {}
        async with (
            site.client.stream("GET", "/api/stream", headers=mine) as ends,
            site.client.stream("GET", "/api/stream", headers=admin) as stays,
        ):
            ending = asyncio.ensure_future(ends.aread())
            staying = asyncio.ensure_future(stays.aread())
            await many(looks, 3)
            assert not ending.done()
            if WAYS_OUT[why]:
                await site.house.watch.connection.execute(WAYS_OUT[why])
            else:
                await site.client.post("/logout")
            async with asyncio.timeout(5):
                await ending
            assert not staying.done()
            staying.cancel()
        async with asyncio.timeout(5):
            while (await site.client.get("/api/stream", headers=mine)).status_code != 401:
                pass


def counted_looks(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """About how many credentials each look was."""
    looks, good = [], Keyring.good

    async def counted(keyring: Keyring, credentials: Collection[Credential]) -> set[Credential]:
        looks.append(len(credentials))
        return await good(keyring, credentials)

    monkeypatch.setattr(Keyring, "good", counted)
    return looks


async def many(looks: list[int], number: int) -> None:
    """Wait for so many looks more."""
    until = len(looks) + number
    async with asyncio.timeout(10):
        while len(looks) < until:
            await asyncio.sleep(0)


async def test_the_credentials_of_all_who_listen_are_one_question(dsn: str, monkeypatch: pytest.MonkeyPatch) -> None:
    looks = counted_looks(monkeypatch)
    monkeypatch.setattr(standing, "EVERY", 0.2)
    async with on_site(make_app(), dsn, tokens=["r00t"]) as site, AsyncExitStack() as streams:
        for _ in range(20):
            await site.client.post("/login", json={"token": "r00t"})
            await streams.enter_async_context(site.client.stream("GET", "/api/stream"))
        await many(looks, 3)
    assert looks[-2:] == [20, 20]


async def test_streams_end_when_nobody_can_be_looked_up_for_long(dsn: str, monkeypatch: pytest.MonkeyPatch) -> None:
    looks: list[int] = []

    async def away(_: Keyring, credentials: Collection[Credential]) -> set[Credential]:
        looks.append(len(credentials))
        raise Unavailable("Postgres does not answer")

    monkeypatch.setattr(standing, "EVERY", 0.05)
    monkeypatch.setattr(Keyring, "good", away)
    admin = {"Authorization": "Bearer r00t"}
    async with (
        on_site(make_app(), dsn, tokens=["r00t"]) as site,
        site.client.stream("GET", "/api/stream", headers=admin) as answer,
    ):
        reading = asyncio.ensure_future(answer.aread())
        await many(looks, 3)
        assert not reading.done()
        monkeypatch.setattr(standing, "PATIENCE", 0)
        async with asyncio.timeout(5):
            await reading


async def test_the_service_stops_though_somebody_watches(dsn: str) -> None:
    async with on_site(make_app(), dsn) as site:
        client = Client(site)
        async with client.connected() as coming:
            reading = asyncio.ensure_future(anext(coming, None))
            while client.last is None:
                await asyncio.sleep(0)
            site.server.stop()
            async with asyncio.timeout(5):
                assert await reading is None


async def test_nobody_is_asked_when_nobody_watches(site: Site) -> None:
    await begun(site)
    await site.house.watch.until(_nobody_listens)


async def _nobody_listens(connection: Any) -> bool:
    listening = "select count(*) from pg_stat_activity where query ~* '^listen|run_events' and pid <> pg_backend_pid()"
    return not await connection.fetchval(listening)


async def test_there_are_only_so_many_streams(dsn: str) -> None:
    async with on_site(make_app(), dsn, max_streams=1) as site:
        client = Client(site)
        async with client.connected():
            answer = await site.client.get("/api/stream")
            assert answer.status_code == 503
            assert "retry-after" in answer.headers


async def test_streams_need_a_token(dsn: str) -> None:
    async with on_site(make_app(), dsn, tokens=["key"]) as site:
        run = await site.house.start("greet", "ada")
        for path in ("/api/stream", f"/api/runs/{run}/stream"):
            assert (await site.client.get(path)).status_code == 401
        site.client.headers["Authorization"] = "Bearer key"
        await begun(site)


@pytest.mark.parametrize("query", ["kind=runs", "state=done", "run=1", "snapshot=yes", "colour=red", "job=%00"])
async def test_what_cannot_be_asked_for_is_refused(site: Site, query: str) -> None:
    assert (await site.client.get(f"/api/stream?{query}")).status_code == 422


@pytest.mark.parametrize("last", ["-1", "abc", "9" * 19, "1.5"])
async def test_what_is_no_id_is_refused(site: Site, last: str) -> None:
    assert (await site.client.get("/api/stream", headers={"Last-Event-ID": last})).status_code == 422


async def test_a_head_is_answered_at_once(site: Site) -> None:
    answer = await site.client.head("/api/stream")
    assert (answer.status_code, answer.headers["content-type"]) == (200, "text/event-stream; charset=utf-8")


# A run's own stream


async def test_a_run_tells_what_it_publishes_from_the_beginning_to_its_end(site: Site) -> None:
    run = await site.house.start("greet", "ada")
    path = f"/api/runs/{run}/stream"
    live = asyncio.create_task(Client(site, path).read_all())
    async with site.house.replica():
        await site.house.watch.ended(run)
        found = await live

    assert [(each.name, each.data.get("state") or each.data.get("data")) for each in found] == [
        ("run", "queued"),
        ("run", "running"),
        ("data", {"name": "ada"}),
        ("data", [1, None, "zwei"]),
        ("run", "succeeded"),
        ("end", "succeeded"),
    ]
    assert await Client(site, path).read_all() == found, "who comes later is told the same"
    for number, each in enumerate(found[:-1], 1):
        assert await Client(site, path, each.id).read_all() == found[number:]
    answer = await site.client.get(path, headers={"Last-Event-ID": found[-1].id})
    assert answer.status_code == 204


async def test_what_was_published_is_told_though_the_events_are_gone(site: Site) -> None:
    async with site.house.replica():
        run = await site.house.start("greet", "ada")
        await site.house.watch.ended(run)
    await site.house.start("wait", "ada")
    await retire(site)

    found = await Client(site, f"/api/runs/{run}/stream").read_all()
    assert [each.name for each in found] == ["reset", "end"]
    shown = (await site.client.get(f"/api/runs/{run}")).json()["journal"]
    assert [each["output"] for each in shown if each["kind"] == "stream"] == [{"name": "ada"}, [1, None, "zwei"]]


async def test_what_a_run_published_is_published_once_however_often_it_is_replayed(dsn: str) -> None:
    async with on_site(make_app(), dsn, always_replay=True) as site:
        run = await site.house.start("greet", "ada")
        async with site.house.replica():
            found = await Client(site, f"/api/runs/{run}/stream").read_all()
    assert [each.data["data"] for each in found if each.name == "data"] == [{"name": "ada"}, [1, None, "zwei"]]


async def test_what_is_published_much_and_fast_comes_whole_and_in_order(dsn: str) -> None:
    app = App()

    @app.job()
    async def chatter(ctx: Context, _: None) -> None:
        for number in range(500):
            await ctx.stream(number)

    async with on_site(app, dsn) as site:
        run = await site.house.start("chatter")
        reading = asyncio.create_task(Client(site, f"/api/runs/{run}/stream").read_all())
        async with site.house.replica():
            found = await reading
    assert [each.data["data"] for each in found if each.name == "data"] == list(range(500))


async def test_too_much_at_once_is_refused(dsn: str) -> None:
    app = App()

    @app.job()
    async def boast(ctx: Context, _: None) -> None:
        await ctx.stream("x" * 65_536)

    async with on_site(app, dsn) as site, site.house.replica():
        found = await site.house.finish("boast")
    assert (found["state"], found["reason"]) == (
        "failed",
        "ValueError: what is streamed at once has 65538 bytes of JSON; 65536 is the most",
    )


async def test_there_is_no_stream_of_a_run_that_is_not_there(site: Site) -> None:
    assert (await site.client.get(f"/api/runs/{uuid7()}/stream")).status_code == 404


# The feed


async def test_old_events_are_deleted_in_batches_and_the_last_of_them_stays(dsn: str) -> None:
    async with Database(dsn) as database, database.session() as connection:
        await runs.create(connection, [NewRun(uuid7(), "greet", 1, b"1") for _ in range(12_000)])
        await connection.execute("update hookline.run_events set at = at - interval '1 day' where seq <= 11_000")
        batches = 1
        while await events.retire(connection, 3600):
            batches += 1
        assert batches == 3
        assert await connection.fetchval("select min(seq) from hookline.run_events") == 11_000
