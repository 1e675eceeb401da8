"""While Postgres is away people and scripts are told so, and once it is back the same does what it was to do, once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import parse_qs, urlsplit

import asyncpg
import httpx
import pytest
from tests.everything import app
from tests.integration.test_cli import hookline
from tests.integration.test_oidc import log_in, refused, sent_back, with_provider
from tests.integration.test_sealed import aged, body, plain_places, play, sealed
from tests.support import Site, on_site

from hookline.store import audit, idempotency, resealing, sessions
from hookline.web.api.bulk import Bulk


class Line:
    """A way to Postgres that can be cut.

    Args:
        dsn: of the database, by this way.
    """

    def __init__(self, path: str) -> None:
        self.dsn = ""
        self.is_cut = False
        self._path = path
        self._open: set[asyncio.StreamWriter] = set()

    def cut(self) -> None:
        """Break all connections, and take no others."""
        self.is_cut = True
        for each in self._open:
            each.transport.abort()

    def mend(self) -> None:
        """Take connections again."""
        self.is_cut = False

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Pass on what comes on a connection, and what is answered."""
        if self.is_cut:
            writer.transport.abort()
            return
        beyond, onward = await asyncio.open_unix_connection(self._path)
        self._open |= {writer, onward}
        await asyncio.gather(self._pump(reader, onward), self._pump(beyond, writer))
        self._open -= {writer, onward}

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while data := await reader.read(65_536):
                writer.write(data)
        except OSError:
            pass
        finally:
            writer.close()


@pytest.fixture
async def line(dsn: str) -> AsyncIterator[Line]:
    address = urlsplit(dsn)
    line = Line(f"{parse_qs(address.query)['host'][0]}/.s.PGSQL.5432")
    async with await asyncio.start_server(line.serve, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        line.dsn = f"postgresql://{address.username}@127.0.0.1:{port}{address.path}?sslmode=disable"
        yield line
        line.cut()


def cutting(line: Line, monkeypatch: pytest.MonkeyPatch, where: Any, name: str, *, number: int = 1) -> None:
    """Have the line cut when a function is called so often."""
    does, called = getattr(where, name), 0

    async def cut(*given: Any, **also: Any) -> Any:
        nonlocal called
        called += 1
        if called == number:
            line.cut()
        return await does(*given, **also)

    monkeypatch.setattr(where, name, cut)


@pytest.mark.parametrize(("where", "name"), [(audit, "begin"), (audit, "end"), (sessions, "begin")])
async def test_who_comes_back_from_the_provider_is_told_and_gets_in_when_postgres_is_back(
    line: Line, where: Any, name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    async with with_provider(line.dsn) as (site, _):
        back = await sent_back(site)
        cutting(line, monkeypatch, where, name)
        refused(site, await site.client.get(back), 503, "Postgres does not answer: nobody can log in right now.")
        refused(site, await log_in(site), 503, "Postgres does not answer")
        line.mend()
        answer = await log_in(site)
        assert (answer.status_code, answer.headers["location"]) == (303, "/runs?state=failed")
        assert (await site.client.get("/api/me")).json()["role"] == "operator"
    assert "Traceback" not in "".join(capsys.readouterr())


async def test_a_reseal_that_loses_postgres_says_so_and_can_be_run_again(
    dsn: str, line: Line, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with sealed(dsn, encrypt_payloads=False) as site, site.house.replica():
        await play(site)
        await site.push("g1", body())
        await aged(site)
    async with sealed(line.dsn) as site:
        told = {"URL": str(site.client.base_url), "TOKEN": "r00t"}
        cutting(line, monkeypatch, resealing, "step", number=3)
        status, out, err = await hookline("reseal", **told)
        assert (status, out) == (3, "")
        assert err.count("\n") == 1, err
        assert err.startswith("hookline: ")
        assert "try again" in err
        line.mend()
        status, out, err = await hookline("reseal", **told)
        assert (status, err) == (0, "")
        assert "all payloads rest encrypted" in out
    async with sealed(dsn) as site:
        assert [each for each in await plain_places(site.house.watch) if not each.endswith(".reason")] == []


@asynccontextmanager
async def with_ended_runs(dsn: str, through: str) -> AsyncIterator[tuple[Site, asyncpg.Connection[Any]]]:
    async with on_site(app, through) as site:
        for _ in range(4):
            run = (await site.client.post("/api/jobs/saga/runs", json={"tags": ["t"]})).json()["id"]
            assert (await site.client.post(f"/api/runs/{run}/cancel")).status_code in (200, 202)
        beside = await asyncpg.connect(dsn)
        try:
            yield site, beside
        finally:
            await beside.close()


@pytest.mark.parametrize(("where", "name", "number", "done"), [(Bulk, "_do", 3, 2), (idempotency, "keep", 4, 2)])
async def test_a_write_of_many_with_a_key_that_loses_postgres_is_done_once_when_it_is_asked_for_again(
    dsn: str, line: Line, where: Any, name: str, number: int, done: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is lost before the third of them is retried, or behind that, before what came of it is kept."""
    async with with_ended_runs(dsn, line.dsn) as (site, beside):

        async def retry() -> httpx.Response:
            asked = {"filter": {"tag": "t"}, "dry_run": False}
            return await site.client.post("/api/runs/retry", json=asked, headers={"Idempotency-Key": "a"})

        async def new() -> Any:
            return await beside.fetchval("select count(*) from hookline.runs where state = 'queued'")

        cutting(line, monkeypatch, where, name, number=number)
        assert (await retry()).status_code == 503
        assert (await retry()).status_code == 503
        assert await new() == done
        line.mend()
        answer = await retry()
        assert (answer.status_code, answer.json()["done"], answer.json()["refused"]) == (200, 4, {})
        assert await new() == 4
        assert (await retry()).json() == answer.json()
        assert await new() == 4
