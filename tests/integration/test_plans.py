"""No read looks at a whole table that grows: whatever the API, the pages and the engine ask is explained."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any
from uuid import uuid4

import asyncpg
import pytest
from starlette.routing import Mount, Route
from tests import everything
from tests.populated import populate, reads
from tests.support import Site, on_site

from hookline import App, Context
from hookline.store import database as databases
from hookline.store.database import Connection, Database

RUNS = 30_000

MOST = 12_000
"""Rows that one part of a plan may look at: somewhat more than a page of a list, or what is counted exactly."""

GROWING = {"runs", "run_data", "journal", "deliveries", "signals", "run_events", "audit", "scopes", "waits"}


def make_app() -> App:
    app = App()

    async def nothing(ctx: Context, _: object) -> None:
        await ctx.set_var("seen", 1)

    for number in range(11):
        app.job(name=f"job{number}")(nothing)
    return app


class Asked:
    """What Postgres is asked, in sessions that begin while this listens."""

    def __init__(self) -> None:
        self.statements: list[tuple[str, tuple[Any, ...]]] = []

    def note(self, query: asyncpg.connection.LoggedQuery) -> None:
        self.statements.append((query.query, query.args))

    def take(self) -> list[tuple[str, tuple[Any, ...]]]:
        taken, self.statements = self.statements, []
        return taken


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> Asked:
    asked, speak = Asked(), databases._speak_bytes

    async def listening(connection: Connection, *how: Any, **more: Any) -> None:
        await speak(connection, *how, **more)
        connection.add_query_logger(asked.note)

    monkeypatch.setattr(databases, "_speak_bytes", listening)
    return asked


@asynccontextmanager
async def explaining(dsn: str) -> AsyncIterator[Connection]:
    async with Database(dsn) as database, database.session() as connection:
        yield connection


async def complaints(connection: Connection, statements: list[tuple[str, tuple[Any, ...]]]) -> list[str]:
    """Which of `statements` look at a whole table, by the plan that is executed, which fits whatever is asked for."""
    told = []
    for statement, arguments in statements:
        verb = statement.split(None, 1)[0].lower()
        if verb == "set":
            await connection.execute(statement.replace("set local", "set"))
        if verb not in ("select", "with", "insert", "update", "delete"):
            continue
        for node in _nodes(await _plan(connection, statement, arguments)):
            why = _complaint(node)
            told += [f"{why}, asked by: {' '.join(statement.split())[:200]}"] if why else []
    await connection.execute("reset enable_sort; reset enable_bitmapscan")
    return told


async def _plan(connection: Connection, statement: str, arguments: tuple[Any, ...]) -> dict[str, Any]:
    name = f"asked_{uuid4().hex}"
    prepared = await connection.prepare(statement, name=name)
    types = [f"{each.schema}.{each.name}" for each in prepared.get_parameters()]
    literals = ""
    if types:
        texts = ", ".join(f"quote_nullable(${number}::{_castable(each)}::text)" for number, each in enumerate(types, 1))
        row = await connection.fetchrow(f"select {texts}", *arguments)
        assert row is not None
        literals = f"({', '.join(f'{text}::{_castable(each)}' for text, each in zip(row, types, strict=True))})"
    whole = connection.transaction()
    await whole.start()
    try:
        found = await connection.fetchval(f"explain (analyze, timing off, format json) execute {name}{literals}")
    finally:
        await whole.rollback()
    return json.loads(found)[0]["Plan"]  # type: ignore[no-any-return]


def _castable(type_: str) -> str:
    return type_.removesuffix("[]") + "[]" * type_.endswith("[]")


def _nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for each in plan.get("Plans", ()):
        yield from _nodes(each)


def _complaint(node: dict[str, Any]) -> str | None:
    if node.get("Relation Name") not in GROWING:
        return None
    if node["Node Type"] == "Seq Scan":
        return f"all of {node['Relation Name']} is read"
    passed = sum(node.get(f"Rows Removed by {why}", 0) for why in ("Filter", "Index Recheck"))
    looked_at = (node["Actual Rows"] + passed) * node["Actual Loops"]
    if looked_at <= MOST:
        return None
    by = node.get("Index Name", "no index")
    return f"{looked_at:,.0f} rows of {node['Relation Name']} are looked at by way of {by}"


async def explained(site: Site, asked: Asked, dsn: str, asks: dict[str, list[str]]) -> list[str]:
    told = []
    async with explaining(dsn) as connection:
        for route, paths in asks.items():
            for path in paths:
                asked.take()
                answer = await site.client.get(path)
                assert answer.status_code < 500, (path, answer.text)
                told += [f"{route}, {path}: {each}" for each in await complaints(connection, asked.take())]
    return told


def gets(site: Site) -> set[str]:
    """Every path that answers GET, but for those that ask Postgres nothing that grows."""
    found = set()
    for route in site.routes:
        if isinstance(route, Mount):
            found |= {
                f"{route.path}{each.path}"
                for each in route.routes
                if isinstance(each, Route) and "GET" in (each.methods or ())
            }
        elif isinstance(route, Route) and "GET" in (route.methods or ()):
            found.add(route.path)
    quiet = (
        "/healthz",
        "/readyz",
        "/openapi.json",
        "/login",
        "/docs",
        "/problems",
        "/static/",
        "/callbacks/",
        "/api/stream",
    )
    return {path for path in found if not path.startswith(quiet)}


async def test_no_read_looks_at_a_whole_table(dsn: str, asked: Asked) -> None:
    async with Database(dsn) as database, database.session() as connection:
        await populate(connection, RUNS)
        asks = await reads(connection)
    async with on_site(make_app(), dsn) as site:
        assert gets(site) - asks.keys() == set(), "say in tests/populated.py how these are asked"
        assert await explained(site, asked, dsn, asks) == []
        async with Database(dsn) as database, database.session() as connection:
            # What Postgres knows of them is of when very many were queued and waited.
            await connection.execute("alter table hookline.runs disable trigger user")
            await connection.execute(
                "update hookline.runs set state = 'succeeded', finished_at = now(), worker_id = null"
                " where state in ('queued', 'waiting', 'running')"
            )
        told = await explained(site, asked, dsn, {name: asks[name] for name in ("/", "/runs", "/api/runs", "/jobs")})
        assert told == []
        async with Database(dsn) as database, database.session() as connection:
            await connection.execute("drop index hookline.runs_job")
        told = await explained(site, asked, dsn, {"/api/runs": ["/api/runs?job=absent"]})
        assert told
        assert told[0].startswith("/api/runs, /api/runs?job=absent: all of runs is read, asked by: select")


async def test_what_the_engine_asks_looks_at_no_whole_table(dsn: str, asked: Asked) -> None:
    async with Database(dsn) as database, database.session() as connection:
        await populate(connection, RUNS)
    async with on_site(everything.app, dsn, lease=1.0) as site:
        asked.take()
        async with site.house.replica():
            run = await site.house.start("saga")
            await site.house.watch.ended(run)
            await site.push("guid")
        statements = dict(asked.take())
        async with explaining(dsn) as connection:
            assert await complaints(connection, list(statements.items())) == []
        assert any("skip locked" in each for each in statements)
