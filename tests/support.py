"""What the tests stand on: a service in this process or in others, and a way to wait for what happens in Postgres."""

from __future__ import annotations

import asyncio
import base64
import os
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from functools import partial
from typing import Any, TypeVar
from uuid import UUID

import asyncpg
import httpx
from pydantic import SecretStr
from starlette.routing import BaseRoute, Match, Mount
from typer.testing import CliRunner

from hookline import App, Trigger
from hookline.cli import commands
from hookline.engine.replica import Replica
from hookline.ingress.intake import Intake
from hookline.ingress.register import Register
from hookline.payloads import Payloads
from hookline.settings import Settings, load
from hookline.source_settings import SourceSettings
from hookline.store import migrate, views
from hookline.store.database import Connection, Database
from hookline.store.runs import NewRun
from hookline.web import problems
from hookline.web.faults import BY_SLUG, WHERE
from hookline.web.routes import application
from hookline.web.server import Server, listen
from hookline_parsers import github

T = TypeVar("T")
ENDED = ("succeeded", "failed", "cancelled", "paused")

SECRET = "It's a Secret to Everybody"
KEY = base64.b64encode(bytes(range(32))).decode()
OTHER_KEY = base64.b64encode(bytes(range(1, 33))).decode()

SEALED: dict[str, Any] = (
    {"encrypt_payloads": True, "encryption_keys": (SecretStr(KEY),)} if os.environ.get("TESTS_SEALED") else {}
)
"""With `TESTS_SEALED` in the environment every House keeps its payloads encrypted."""

PUSH = b'{"ref": "refs/heads/main", "after": "9fceb02", "repository": {"full_name": "octo/site"}}'

FEED = """
create function hookline.tell_the_tests() returns trigger language plpgsql as $$
begin perform pg_notify('tests', ''); return null; end $$;
create trigger told after insert or update or delete on hookline.runs
    for each statement execute function hookline.tell_the_tests();
create trigger told after insert or update or delete on hookline.journal
    for each statement execute function hookline.tell_the_tests();
create trigger told after insert or delete on hookline.workers
    for each statement execute function hookline.tell_the_tests();
create trigger told after insert or update on hookline.deliveries
    for each statement execute function hookline.tell_the_tests();
"""
"""Makes Postgres say when anything changes, so that a test waits for that and not for time to pass."""


class Watch:
    """Waits until something holds in the database, looking again whenever anything changes there."""

    def __init__(self, connection: asyncpg.Connection[Any]) -> None:
        self.connection = connection
        self._changed = asyncio.Event()

    async def until(self, look: Callable[[Connection], Awaitable[T]], timeout: float = 30) -> T:
        """The first true thing that `look` finds; raises `TimeoutError`."""
        async with asyncio.timeout(timeout):
            while True:
                self._changed.clear()
                if found := await look(self.connection):
                    return found
                try:
                    async with asyncio.timeout(1):  # a change of the clock alone tells nobody
                        await self._changed.wait()
                except TimeoutError:
                    continue

    async def ended(self, *runs: UUID | str, timeout: float = 30) -> list[asyncpg.Record]:
        """The rows of `runs` once each is over or paused."""

        async def look(connection: Connection) -> list[asyncpg.Record] | None:
            rows = await connection.fetch("select * from hookline.runs where id = any($1) order by seq", runs)
            over = [row for row in rows if row["state"] in ENDED]
            return rows if len(over) == len(runs) else None

        return (await self.until(look, timeout)) or []

    async def value(self, query: str, *arguments: Any, timeout: float = 30) -> Any:
        """The first true value of a one-row, one-column `query`."""
        return await self.until(lambda connection: connection.fetchval(query, *arguments), timeout)


@asynccontextmanager
async def watching(dsn: str) -> AsyncIterator[Watch]:
    """A Watch on the database at `dsn`."""
    connection = await asyncpg.connect(dsn)
    watch = Watch(connection)
    await connection.add_listener("tests", lambda *_: watch._changed.set())
    try:
        yield watch
    finally:
        await connection.close()


class House:
    """A service within the test's own process: database, intake and, when it is started, a replica."""

    def __init__(self, app: App, database: Database, watch: Watch, settings: Settings) -> None:
        self.app = app
        self.database = database
        self.watch = watch
        self.settings = settings
        self.intake = Intake(app, database, timeout=10)

    async def start(self, job: str, input: Any = None, **options: Any) -> UUID:
        """A new run of `job`."""
        run, _ = await self.intake.start(Trigger(job, input, **options))
        return run

    async def finish(self, job: str, input: Any = None, **options: Any) -> dict[str, Any]:
        """A run of `job`, once it has ended: as `read` gives it."""
        run = await self.start(job, input, **options)
        await self.watch.ended(run)
        return await self.read(run)

    async def read(self, run: UUID) -> dict[str, Any]:
        """A run with its data, and its journal as a list of dicts under `journal`."""
        async with self.database.session() as connection:
            found = await views.run(connection, run)
        assert found is not None
        return dict(found[0]) | {"journal": [dict(each) for each in found[1]]}

    async def journal(self, run: UUID) -> list[str]:
        """The keys and states of a run's journal, in order: `build succeeded`."""
        return [f"{each['key']} {each['state']}" for each in (await self.read(run))["journal"]]

    async def run_replica(self) -> None:
        """A replica, until this is cancelled, which it does not survive to say farewell."""
        await Replica(self.app, self.database, self.settings).run()

    @asynccontextmanager
    async def replica(self, **changes: Any) -> AsyncIterator[Replica]:
        """A replica at work within the block."""
        replica = Replica(self.app, self.database, self.settings.model_copy(update=changes))
        async with asyncio.TaskGroup() as together:
            task = together.create_task(replica.run())
            try:
                yield replica
            finally:
                replica.stop()
                await task


@asynccontextmanager
async def at_home(app: App, dsn: str, **changes: Any) -> AsyncIterator[House]:
    """A House on the database at `dsn`, its intake at work."""
    settings = load().model_copy(update={"lease": 5.0, "drain": 2.0, "slots": 50} | SEALED | changes)
    payloads = Payloads.of(settings)
    async with Database(dsn, patience=settings.lease / 2, payloads=payloads) as database, watching(dsn) as watch:
        house = House(app, database, watch, settings)
        async with asyncio.TaskGroup() as together:
            task = together.create_task(house.intake.run())
            try:
                yield house
            finally:
                task.cancel()


def no_hooks(_row: asyncpg.Record, _state: str) -> tuple[NewRun, ...]:
    """Of jobs that have none."""
    return ()


def states(rows: Sequence[asyncpg.Record]) -> list[str]:
    """The states of `rows`, in their order."""
    return [row["state"] for row in rows]


class Site:
    """A House that answers over HTTP: `client` asks it, `dial` talks to its socket."""

    def __init__(
        self, house: House, client: httpx.AsyncClient, port: int, routes: Sequence[BaseRoute], server: Server
    ) -> None:
        self.house = house
        self.client = client
        self.routes = routes
        self._port = port
        self.server = server

    async def dial(self, *parts: bytes, hang_up: bool = False) -> bytes:
        """What it answers to raw bytes, until it closes the connection or has sent one whole answer."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self._port)
        try:
            for part in parts:
                writer.write(part)
                await writer.drain()
            if hang_up:
                writer.write_eof()
            async with asyncio.timeout(20):
                head = await reader.readuntil(b"\r\n\r\n")
                length = re.search(rb"content-length: (\d+)", head, re.IGNORECASE)
                return head + await reader.readexactly(int(length[1]) if length else 0)
        except asyncio.IncompleteReadError as error:
            return error.partial
        finally:
            writer.close()

    async def hookline(self, *words: str) -> str:
        """What a command prints that asks this service, and succeeds."""
        asked = [*words, "--url", str(self.client.base_url)]
        ended = await asyncio.to_thread(CliRunner().invoke, commands, asked)
        assert ended.exit_code == 0, ended.output
        return ended.stdout

    async def push(self, guid: str, body: bytes = PUSH, secret: str = SECRET, **headers: str) -> httpx.Response:
        """A push, signed as GitHub signs; further headers replace those that it has."""
        sent = github.parser.headers_for("push", guid, body) | github.parser.scheme.sign(secret.encode(), body, {})
        return await self.client.post(
            "/webhooks/github", content=body, headers=sent | {k.replace("_", "-"): v for k, v in headers.items()}
        )


async def check_problem(routes: Sequence[BaseRoute], answer: httpx.Response) -> None:
    """Fails if `answer` is a problem that is not declared, or not as one of those that its route answers with."""
    if answer.status_code < 400 or answer.headers.get("content-type") != problems.MEDIA:
        return
    await answer.aread()
    told = answer.json()
    fault = BY_SLUG[told["type"].removeprefix(WHERE)]
    assert (told["title"], told["status"], answer.status_code) == (fault.title, fault.status, fault.status), told
    assert told["detail"]
    asked = answer.request
    scope = {"type": "http", "method": asked.method, "path": asked.url.path, "root_path": "", "headers": []}
    for mount in routes:
        for route in mount.routes or () if isinstance(mount, Mount) else ():
            matched, child = mount.matches(scope)  # type: ignore[union-attr]
            if matched == Match.FULL and route.matches({**scope, **child})[0] == Match.FULL:
                if not isinstance(route.endpoint, partial):  # type: ignore[attr-defined]
                    return
                endpoint = route.endpoint.func.__self__  # type: ignore[attr-defined]
                assert fault in endpoint.faults, f"{endpoint.line} answers {fault}, which the document does not tell"
                return


@asynccontextmanager
async def on_site(
    app: App, dsn: str, *, tokens: Sequence[str] = (), public: bool = False, **changes: Any
) -> AsyncIterator[Site]:
    """A Site with the sources `github` and `generic`, whose secret is `SECRET`.

    Args:
        public: whether it is told its own address.
    """
    secrets = (SecretStr(SECRET),)
    sources = tuple(SourceSettings(name, name, secrets, unsigned=False) for name in ("generic", "github"))
    changes = {"sources": sources, "api_tokens": tuple(map(SecretStr, tokens))} | changes
    listening = listen("127.0.0.1", 0)
    port = listening.getsockname()[1]
    changes |= {"public_url": f"http://127.0.0.1:{port}"} if public else {}
    async with at_home(app, dsn, **changes) as house:
        answering = application(
            app, house.settings, house.database, house.intake, Register(app, house.database, house.settings),
            schema=migrate.known(), slack=None, local=True,
        )  # fmt: skip
        server = Server(answering, listening, drain=1)
        serving = asyncio.create_task(server.run())
        try:
            hooks = {"response": [partial(check_problem, answering.routes)]}
            async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=30, event_hooks=hooks) as client:
                yield Site(house, client, port, answering.routes, server)
        finally:
            server.stop()
            await serving
