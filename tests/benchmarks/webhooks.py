"""Signed 18 KB webhooks per second, stored with their runs, against a bare starlette that only reads them."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import count
from pathlib import Path
from time import perf_counter

import asyncpg
import httpx
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from tests.benchmarks.measured import Measured, fresh

from hookline import App, Context, Event
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
    async with fresh(dsn, "bench_webhooks") as own:
        async with _serving(
            sys.executable, "-m", "hookline", "serve", "--no-engine",
            HOOKLINE_DATABASE_URL=own, HOOKLINE_APP="tests.benchmarks.webhooks:app", HOOKLINE_API_TOKENS="t",
            HOOKLINE_GITHUB_SECRETS=SECRET.decode(), HOOKLINE_LOG_LEVEL="error",
        ) as port:  # fmt: skip
            rate, accepted = await _storm(port)
        connection = await asyncpg.connect(own)
        stored = await connection.fetchval("select count(*) from hookline.runs")
        size = await connection.fetchval("select pg_database_size(current_database())")
        await connection.close()
    assert stored >= accepted, f"{accepted} accepted, {stored} stored"
    async with _serving(sys.executable, "-m", "tests.benchmarks.webhooks") as port:
        floor, _ = await _storm(port)
    also = f"{size / stored / 1000:.0f} KB of disk each"
    return [Measured("signed 18 KB webhooks", rate, "/s", "ratio 0.35", floor, also)]


@asynccontextmanager
async def _serving(*command: str, **environment: str) -> AsyncIterator[int]:
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
        yield port
    finally:
        process.terminate()
        await process.wait()


async def _storm(port: int) -> tuple[float, int]:
    """Posts over several connections; returns the accepted per second, and all that were accepted."""
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
    return counted / SECONDS, accepted


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
