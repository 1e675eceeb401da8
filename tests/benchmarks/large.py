"""What a delivery of 20 MB costs others: how long it keeps a small request waiting, and how much memory it takes."""

from __future__ import annotations

import asyncio
import json
import socket
import sys
import threading
from collections.abc import Mapping
from pathlib import Path
from time import perf_counter, sleep
from uuid import UUID

import psutil
from tests.benchmarks.measured import Measured, fresh
from tests.benchmarks.webhooks import SECRET, serving

from hookline import App, Context, Event
from hookline_parsers import github

SIZE = 20_000_000
TIMES = 5
"""Of each the worst is told, since that is what is promised; beside it the least, which others disturb less."""

app = App()


@app.job(on=github.push(branches=["main"], paths=["src/**"]), scope="{repository}")
async def on_push(ctx: Context, event: Event) -> None: ...


def bodies() -> dict[str, bytes]:
    """A push of many commits, and what somebody might send instead."""
    commit = {
        "id": "9fceb02d0ae598e95dc970b74767f19372d61af8", "message": "Fix \"it\"\n\nand more", "distinct": True,
        "author": {"name": "Mona", "email": "mona@example.com", "username": "mona"},
        "added": [f"src/package/module_{number}.py" for number in range(10)], "removed": [], "modified": ["docs/x.md"],
    }  # fmt: skip
    start = b'{"ref": "refs/heads/main", "repository": {"full_name": "octo/site"}, '
    commits = [commit] * (SIZE // len(json.dumps(commit)))
    return {
        "push": start + b'"commits": ' + json.dumps(commits).encode() + b"}",
        "one text": start + b'"ref2": "' + b"x" * SIZE + b'"}',
        "[{},{},...]": start + b'"action": [' + b"{}," * (SIZE // 3) + b"{}]}",
        "[[[[...": start + b'"commits": [' + b",".join([b"[" * 500 + b"]" * 500] * (SIZE // 1001)) + b"]}",
    }


async def large_bodies(dsn: str) -> list[Measured]:
    """Each body taken in, taken in again, replayed and shown, by a process that serves others meanwhile."""
    found: list[Measured] = []
    settings = {
        "HOOKLINE_APP": "tests.benchmarks.large:app", "HOOKLINE_API_TOKENS": "t", "HOOKLINE_LOG_LEVEL": "error",
        "HOOKLINE_GITHUB_SECRETS": SECRET.decode(), "HOOKLINE_INTAKE_TIMEOUT": "60",
    }  # fmt: skip
    async with fresh(dsn, "bench_large") as own:
        serve = serving(sys.executable, "-m", "hookline", "serve", "--no-engine", HOOKLINE_DATABASE_URL=own, **settings)
        async with serve as (port, pid):
            for name, body in bodies().items():
                found += await asyncio.to_thread(_all_of_it, Asker(port, pid), name, body)
    return found


def _all_of_it(asker: Asker, name: str, body: bytes) -> list[Measured]:
    told: dict[str, list[tuple[float, float]]] = {"stored": [], "again": [], "replayed": [], "shown": []}
    token = {"Authorization": "Bearer t", "Content-Type": "application/json"}
    for number in range(TIMES):
        headers = github.parser.headers_for("push", f"{name}-{number}", body)
        headers |= github.parser.scheme.sign(SECRET, body, {})
        answer, cost = asker.ask("POST", "/webhooks/github", headers, body)
        delivery = UUID(json.loads(answer)["delivery"])
        told["stored"].append(cost)
        told["again"].append(asker.ask("POST", "/webhooks/github", headers, body)[1])
        told["replayed"].append(asker.ask("POST", f"/api/deliveries/{delivery}/replay", token, b"{}")[1])
        told["shown"].append(asker.ask("GET", f"/api/deliveries/{delivery}", token, b"")[1])
    return [
        Measured(
            f"20 MB, {name}, {what}", max(blocked for blocked, _ in costs), "ms", "under 50 ms, 5 times",
            also=f"at least {min(blocked for blocked, _ in costs):.0f} ms; "
            f"at most {max(grown for _, grown in costs) / len(body):.1f} times its size in memory",
        )
        for what, costs in told.items()
    ]  # fmt: skip


class Asker:
    """Asks a process something, and asks it small things meanwhile."""

    def __init__(self, port: int, pid: int) -> None:
        self._port = port
        self._process = psutil.Process(pid)

    def ask(self, method: str, path: str, headers: Mapping[str, str], body: bytes) -> tuple[bytes, tuple[float, float]]:
        """The answer; the milliseconds for which a small request had to wait at most; the bytes that memory grew by."""
        Path(f"/proc/{self._process.pid}/clear_refs").write_text("5")  # its peak begins anew
        before = self._process.memory_info().rss
        waited, over = [0.0], threading.Event()
        beside = threading.Thread(target=self._ask_small_things, args=(waited, over))
        beside.start()
        try:
            answer = self._exchange(method, path, headers, body)
        finally:
            over.set()
            beside.join()
        peak = int(Path(f"/proc/{self._process.pid}/status").read_text().partition("VmHWM:")[2].split()[0]) * 1024
        return answer, (max(waited), peak - before)

    def _ask_small_things(self, waited: list[float], over: threading.Event) -> None:
        with socket.create_connection(("127.0.0.1", self._port)) as line:
            while not over.is_set():
                began = perf_counter()
                line.sendall(b"GET /healthz HTTP/1.1\r\nHost: bench\r\n\r\n")
                line.recv(4096)
                waited.append((perf_counter() - began) * 1000)
                sleep(0.001)

    def _exchange(self, method: str, path: str, headers: Mapping[str, str], body: bytes) -> bytes:
        told = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        told += f"Connection: close\r\nContent-Length: {len(body)}\r\n"
        head = f"{method} {path} HTTP/1.1\r\nHost: bench\r\n{told}\r\n"
        with socket.create_connection(("127.0.0.1", self._port)) as line:
            line.sendall(head.encode())
            line.sendall(body)
            answer = bytearray()
            while part := line.recv(1 << 20):
                answer += part
        assert answer.startswith(b"HTTP/1.1 20"), bytes(answer[:500])
        return bytes(answer).partition(b"\r\n\r\n")[2]
