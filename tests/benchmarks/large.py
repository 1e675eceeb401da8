"""What a delivery of 20 MB costs others: how long it keeps a small request waiting, and how much memory it takes."""

from __future__ import annotations

import asyncio
import json
import socket
import sys
import threading
from collections.abc import AsyncIterator, Iterable, Mapping
from pathlib import Path
from time import perf_counter, sleep

import psutil
from tests.benchmarks.measured import Measured, fresh
from tests.benchmarks.shapes import Large, deliveries
from tests.benchmarks.webhooks import serving
from tests.senders import SENDERS, Sender

from hookline import App, Context, Event, Pattern

SIZE = 20_000_000
TIMES = 3
"""Of the waits the least is told beside the worst: others disturb it less."""

app = App()


@app.job(on=Pattern(["*"], {"more.no": ["*"]}))
async def never(ctx: Context, event: Event) -> None: ...


@app.job(on=Pattern(["*"]), scope="all")
async def always(ctx: Context, event: Event) -> None: ...


async def large_bodies(dsn: str) -> list[Measured]:
    """Of each parser each shape, taken in, taken in again and replayed, by a process that serves others meanwhile."""
    return [each async for each in measured(dsn, deliveries(SIZE))]


async def measured(dsn: str, sent: Iterable[Large]) -> AsyncIterator[Measured]:
    """The cost of each delivery that is `sent`."""
    settings = {
        "HOOKLINE_APP": "tests.benchmarks.large:app", "HOOKLINE_API_TOKENS": "t", "HOOKLINE_LOG_LEVEL": "error",
        "HOOKLINE_INTAKE_TIMEOUT": "60",
    }  # fmt: skip
    for sender in SENDERS:
        settings |= {f"HOOKLINE_{source(sender).upper()}_{name}": value for name, value in
                     {"PARSER": sender.parser, "SECRETS": sender.secret}.items()}  # fmt: skip
    async with fresh(dsn, "bench_large") as own:
        serve = serving(sys.executable, "-m", "hookline", "serve", "--no-engine", HOOKLINE_DATABASE_URL=own, **settings)
        async with serve as (port, pid):
            asker = Asker(port, pid)
            for large in sent:
                yield await asyncio.to_thread(_all_of_it, asker, large)


def source(sender: Sender) -> str:
    """The source that takes what `sender` sends."""
    return f"{sender.parser}{SENDERS.index(sender)}".replace("_", "")


def _all_of_it(asker: Asker, large: Large) -> Measured:
    token = {"Authorization": "Bearer t", "Content-Type": "application/json"}
    path = f"/webhooks/{source(large.sender)}"
    told: dict[str, list[tuple[float, float]]] = {"taken in": [], "again": [], "replayed": []}
    for number in range(TIMES):
        headers = large.signed(f"{large.shape}-{large.carrier}-{number}".replace(" ", "_"))
        answer, cost = asker.ask("POST", path, headers, large.body)
        told["taken in"].append(cost)
        told["again"].append(asker.ask("POST", path, headers, large.body)[1])
        if b"delivery" in answer:  # people are shown nothing
            delivery = json.loads(answer)["delivery"]
            told["replayed"].append(asker.ask("POST", f"/api/deliveries/{delivery}/replay", token, b"{}")[1])
    costs = [cost for each in told.values() for cost in each]
    also = "; ".join(
        f"{what} {min(waited for waited, _ in each):.0f} ms, {max(grown for _, grown in each) / len(large.body):.1f} times"
        for what, each in told.items() if each
    )  # fmt: skip
    what = f"{large.carrier}: {large.shape}, {len(large.body) / 1e6:.0f} MB"
    return Measured(what, max(waited for waited, _ in costs), "ms", "50 ms, 5 times", also=also)


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
