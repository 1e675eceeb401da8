"""Signed 18 KB webhooks per second, stored with their runs, against a bare starlette that only reads them."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from hashlib import sha1
from itertools import count
from pathlib import Path
from time import perf_counter, process_time
from typing import Any

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
from hookline.web.server import listen
from hookline_parsers import github

ROOT = Path(__file__).parents[2]
SECRET = b"s3cret"
FEW, MANY = 32, 128
"""Connections over which as much is sent as is answered: by one busy sender, and by a load balancer."""

TURNS, SECONDS, WARM_UP = 6, 1.5, 2.0
SIZE = 18_000

GUIDS = count()

app = App()


@app.job(on=github.push())
async def on_push(ctx: Context, event: Event) -> None: ...


def payload(size: int = SIZE) -> bytes:
    """A push of so many bytes or a little more, whose commits differ as commits do."""
    push = json.loads((ROOT / "examples" / "payloads" / "push.json").read_bytes())
    first = push["commits"][0]
    while len(body := json.dumps(push).encode()) < size:
        id_ = sha1(body, usedforsecurity=False).hexdigest()
        push["commits"].append(first | {"id": id_, "tree_id": id_[::-1], "url": first["url"].replace(first["id"], id_)})
    return body


@dataclass
class Stormed:
    """What a server has answered with 202, as often as it was its turn.

    Args:
        seconds: that these took together.
        cpu: seconds of it that the server took.
    """

    accepted: int = 0
    seconds: float = 0.0
    cpu: float = 0.0

    @property
    def rate(self) -> float:
        """How many in a second."""
        return self.accepted / self.seconds

    @property
    def cost(self) -> float:
        """Microseconds of CPU for each."""
        return self.cpu / self.accepted * 1e6


async def signed_pushes(dsn: str) -> list[Measured]:
    """Accepted per second; every one counted has its run. Both servers are up, and have their turns."""
    async with (
        fresh(dsn, "bench_webhooks") as own,
        receiving(own) as ours,
        serving(sys.executable, "-m", "tests.benchmarks.webhooks") as bare,
    ):
        return [
            _against(await in_turns((own, ours), (None, bare), over=connections), connections, wanted)
            for connections, wanted in ((FEW, "ratio 0.35"), (MANY, "ratio 0.4"))
        ]


def _against(turns: list[tuple[float, Stormed]], connections: int, wanted: str) -> Measured:
    (stored, found), (_, floor) = turns
    also = f"{found.cost:.0f} us of CPU each, bare {floor.cost:.0f}; {stored:.0f} KB of disk"
    return Measured(f"signed 18 KB webhooks over {connections}", found.rate, "/s", wanted, floor.rate, also)


async def sealed_pushes(dsn: str, **sealing: str) -> Measured:
    """The same with payloads encrypted as the settings `sealing` say, against those that are not."""
    async with (
        fresh(dsn, "bench_sealed") as one,
        fresh(dsn, "bench_plain") as other,
        receiving(one, **sealing) as sealed,
        receiving(other) as plain,
    ):
        (more, found), (size, floor) = await in_turns((one, sealed), (other, plain))
    also = f"{found.cost:.0f} us of CPU each, plain {floor.cost:.0f}; {more:.0f} KB of disk, plain {size:.0f}"
    return Measured("signed 18 KB webhooks, encrypted", found.rate, "/s", "ratio 0.8", floor.rate, also)


@asynccontextmanager
async def receiving(own: str, **more: str) -> AsyncIterator[tuple[int, int]]:
    """A replica that only receives."""
    async with serving(
        sys.executable, "-m", "hookline", "serve", "--no-engine",
        HOOKLINE_DATABASE_URL=own, HOOKLINE_APP="tests.benchmarks.webhooks:app", HOOKLINE_API_TOKENS="t",
        HOOKLINE_GITHUB_SECRETS=SECRET.decode(), HOOKLINE_LOG_LEVEL="error", **more,
    ) as found:  # fmt: skip
        yield found


async def in_turns(*servers: tuple[str | None, tuple[int, int]], over: int = FEW) -> list[tuple[float, Stormed]]:
    """What each has answered `over` so many connections, and the KB of disk that each of these takes, if it stores any.

    They take turns, as this machine is slower at one time than at another.
    """
    found = [Stormed() for _ in servers]
    for turn in range(-1, TURNS):
        for each, (_, (port, pid)) in zip(found, servers, strict=True):
            await _storm(port, pid, over, *((each, SECONDS) if turn >= 0 else (Stormed(), WARM_UP)))
    return [(await _disk(own, each), each) for each, (own, _) in zip(found, servers, strict=True)]


async def _disk(own: str | None, found: Stormed) -> float:
    if own is None:
        return 0.0
    connection = await asyncpg.connect(own)
    stored = await connection.fetchval("select count(*) from hookline.runs")
    size = await connection.fetchval("select pg_database_size(current_database())")
    await connection.close()
    assert stored >= found.accepted, f"{found.accepted} accepted, {stored} stored"
    return float(size / stored / 1000)


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
    body = payload(25_000)
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
    also = f"{cost(busy.latest):.0f} with a filter on the paths of {len(json.loads(body)['commits'])} commits besides"
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


async def _storm(port: int, pid: int, connections: int, stormed: Stormed, seconds: float) -> None:
    """Post over several connections, as much as is answered in so many seconds."""
    server = psutil.Process(pid)
    before = server.cpu_times()
    body = payload()
    headers = github.parser.headers_for("push", "%s", body) | github.parser.scheme.sign(SECRET, body, {})
    head = "POST /webhooks/github HTTP/1.1\r\nHost: bench\r\n" + "".join(f"{k}: {v}\r\n" for k, v in headers.items())
    template = f"{head}Content-Length: {len(body)}\r\n\r\n"
    loop, began = asyncio.get_running_loop(), perf_counter()
    senders = [_Sender(template, body, began + seconds) for _ in range(connections)]
    for each in senders:
        await loop.create_connection(lambda each=each: each, "127.0.0.1", port)  # type: ignore[misc]
    for each in senders:
        stormed.accepted += await each.ended
    after = server.cpu_times()
    stormed.cpu += after.user + after.system - before.user - before.system
    stormed.seconds += perf_counter() - began


class _Sender(asyncio.Protocol):
    """Posts one after the other on one connection until a moment; light, as it is on the machine that it measures."""

    def __init__(self, template: str, body: bytes, until: float) -> None:
        self._template, self._body, self._until = template, body, until
        self._answer = b""
        self._accepted = 0
        self.ended: asyncio.Future[int] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: Any) -> None:
        self._transport: asyncio.Transport = transport
        self._post()

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.ended.done():
            self.ended.set_exception(exc or ConnectionError("the server has closed the connection"))

    def _post(self) -> None:
        self._transport.write((self._template % next(GUIDS)).encode() + self._body)

    def data_received(self, data: bytes) -> None:
        self._answer += data
        head, ended, content = self._answer.partition(b"\r\n\r\n")
        if not ended or len(content) < int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0]):
            return
        if not head.startswith(b"HTTP/1.1 202"):
            self.ended.set_exception(AssertionError(self._answer))
            return
        self._answer = b""
        self._accepted += 1
        if perf_counter() < self._until:
            self._post()
        else:
            self._transport.close()
            self.ended.set_result(self._accepted)


async def _read(request: Request) -> Response:
    body = await request.body()
    return JSONResponse({"bytes": len(body)}, 202)


async def _ready(_: Request) -> Response:
    return Response()


if __name__ == "__main__":
    bare = Starlette(
        routes=[Route("/webhooks/github", _read, methods=["POST"]), Route("/readyz", _ready, methods=["GET"])]
    )
    uvicorn.run(bare, port=int(os.environ["HOOKLINE_PORT"]), http="httptools", loop="uvloop", log_level="error")
