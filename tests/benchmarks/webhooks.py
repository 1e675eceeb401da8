"""Signed 18 KB webhooks per second, stored with their runs, against a bare starlette that only reads them."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from itertools import count
from pathlib import Path
from time import perf_counter, process_time

import asyncpg
import httpx
import psutil
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from tests.benchmarks.measured import Measured, fresh

from hookline import App, Context, Event
from hookline.ingress.examination import examine
from hookline.ingress.schemes import Received
from hookline.ingress.signatures import as_headers
from hookline.ingress.sources import Source
from hookline.jobs.job import Job
from hookline.web.server import Server, listen
from hookline_parsers import github

ROOT = Path(__file__).parents[2]
SECRET = b"s3cret"
CONNECTIONS = 32
SECONDS = 6.0
WARM_UP = 2.0
SIZE = 18_000

app = App()


@app.job(on=github.push())
async def on_push(ctx: Context, event: Event) -> None: ...


def payload() -> bytes:
    """A push of 18 KB."""
    push = (ROOT / "examples" / "payloads" / "push.json").read_bytes().rstrip()
    filler = b', "filler": "' + b"x" * (SIZE - len(push) - 16) + b'"}'
    return push[:-1].rstrip() + filler


async def signed_pushes(dsn: str) -> list[Measured]:
    """Accepted per second; every one counted has its run."""
    rate, cost, size = await stored_pushes(dsn)
    async with serving(sys.executable, "-m", "tests.benchmarks.webhooks") as (port, pid):
        floor, _, bare = await _storm(port, pid)
    also = f"{cost:.0f} us of CPU each, bare {bare:.0f}; {size:.0f} KB of disk"
    return [Measured("signed 18 KB webhooks", rate, "/s", "ratio 0.35", floor, also)]


async def stored_pushes(dsn: str, **more: str) -> tuple[float, float, float]:
    """Accepted per second, and of each the microseconds of CPU and the KB of disk, with `more` settings."""
    async with fresh(dsn, "bench_webhooks") as own:
        async with serving(
            sys.executable, "-m", "hookline", "serve", "--no-engine",
            HOOKLINE_DATABASE_URL=own, HOOKLINE_APP="tests.benchmarks.webhooks:app", HOOKLINE_API_TOKENS="t",
            HOOKLINE_GITHUB_SECRETS=SECRET.decode(), HOOKLINE_LOG_LEVEL="error", **more,
        ) as (port, pid):  # fmt: skip
            rate, accepted, cost = await _storm(port, pid)
        connection = await asyncpg.connect(own)
        stored = await connection.fetchval("select count(*) from hookline.runs")
        size = await connection.fetchval("select pg_database_size(current_database())")
        await connection.close()
    assert stored >= accepted, f"{accepted} accepted, {stored} stored"
    return rate, cost, size / stored / 1000


async def examined_pushes(_: str) -> list[Measured]:
    """What it takes to verify, identify and bind a push of 25 KB, for an application of a few jobs with filters."""
    busy = App()
    for name, pattern in {
        "main": github.push(branches=["main"]),
        "release": github.push(branches=["release/*"], repository="octo/*"),
        "author": github.event("push", **{"head_commit.author.name": "[A-M]*"}),
        "labelled": github.pull_request(actions=["opened", "labeled"], labels=["urgent"]),
        "checked": github.check_suite(actions="completed"),
    }.items():
        busy.job(name=name, on=pattern, scope="{repository}")(_nothing)
    push = json.loads((ROOT / "examples" / "payloads" / "push.json").read_bytes())
    while len(body := json.dumps(push).encode()) < 25_000:
        push["commits"] = [*push["commits"], push["commits"][0]]
    source = Source("github", github.parser, github.parser.scheme, (SECRET,))
    headers = github.parser.headers_for("push", "guid", body) | github.parser.scheme.sign(SECRET, body, {})
    received = Received(as_headers(headers), body)

    def cost(jobs: Mapping[str, Job]) -> float:
        """The least of several, in microseconds of CPU: what others do on this machine is not of interest."""
        took = []
        for _ in range(20):
            began = process_time()
            for _ in range(200):
                examine(source, received, jobs)
            took.append((process_time() - began) / 200 * 1e6)
        return min(took)

    each = cost(busy.latest)
    busy.job(name="source", on=github.push(paths=["src/**", "setup.*"]))(_nothing)
    also = f"{cost(busy.latest):.0f} with a filter on the paths of {len(push['commits'])} commits besides"
    return [Measured(f"a push of {len(body) // 1000} KB examined", each, "us", "under 250", also=also)]


async def _nothing(ctx: Context, event: Event) -> None: ...


@asynccontextmanager
async def serving(*command: str, **environment: str) -> AsyncIterator[tuple[int, int]]:
    """A process that serves: its port, and its id."""
    with listen("127.0.0.1", 0) as found:
        port = int(found.getsockname()[1])
    process = await asyncio.create_subprocess_exec(
        *command, cwd=ROOT, env=os.environ | {"HOOKLINE_PORT": str(port)} | environment
    )
    try:
        async with httpx.AsyncClient() as client:
            for _ in range(200):
                try:
                    if (await client.get(f"http://127.0.0.1:{port}/readyz")).status_code == 200:
                        break
                except httpx.TransportError:
                    pass
                await asyncio.sleep(0.1)
        yield port, process.pid
    finally:
        process.terminate()
        await process.wait()


async def _storm(port: int, pid: int) -> tuple[float, int, float]:
    """Posts over several connections.

    Returns the accepted per second, all that were accepted, and the microseconds of CPU that the server took for each.
    """
    server = psutil.Process(pid)
    before = server.cpu_times()
    body = payload()
    headers = github.parser.headers_for("push", "%s", body) | github.parser.scheme.sign(SECRET, body, {})
    head = "POST /webhooks/github HTTP/1.1\r\nHost: bench\r\n" + "".join(f"{k}: {v}\r\n" for k, v in headers.items())
    template = f"{head}Content-Length: {len(body)}\r\n\r\n"
    guids, accepted, counted = count(), 0, 0
    began = perf_counter()

    async def post() -> None:
        nonlocal accepted, counted
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        while (now := perf_counter() - began) < WARM_UP + SECONDS:
            writer.write((template % next(guids)).encode() + body)
            answer = await reader.readuntil(b"\r\n\r\n")
            length = int(answer.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
            await reader.readexactly(length)
            assert answer.startswith(b"HTTP/1.1 202"), answer
            accepted += 1
            counted += now > WARM_UP
        writer.close()

    await asyncio.gather(*(post() for _ in range(CONNECTIONS)))
    after = server.cpu_times()
    spent = after.user + after.system - before.user - before.system
    return counted / SECONDS, accepted, spent / accepted * 1e6


async def _read(request: Request) -> Response:
    body = await request.body()
    return JSONResponse({"bytes": len(body)}, 202)


async def _ready(_: Request) -> Response:
    return Response()


if __name__ == "__main__":
    bare = Starlette(
        routes=[Route("/webhooks/github", _read, methods=["POST"]), Route("/readyz", _ready, methods=["GET"])]
    )
    server = Server(bare, listen("127.0.0.1", int(os.environ["HOOKLINE_PORT"])), drain=1)
    uvicorn.Server.run(server, [server._listening])
