"""What a delivery of 20 MB costs others: how long it keeps a small request waiting, and how much memory it takes."""

from __future__ import annotations

import asyncio
import json
import socket
import sys
import threading
from collections.abc import AsyncIterator, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter, sleep

from tests.benchmarks.measured import Measured, fresh
from tests.benchmarks.shapes import Large, deliveries
from tests.benchmarks.webhooks import serving
from tests.senders import SENDERS, Sender

from hookline import App, Context, Event, Pattern

SIZE = 20_000_000
TIMES = 1
"""How often each is sent: there are many."""

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
    told: dict[str, list[Cost]] = {"taken in": [], "again": [], "replayed": []}
    for number in range(TIMES):
        headers = large.signed(f"{large.shape}-{large.carrier}-{number}".replace(" ", "_"))
        answer, cost = asker.ask("POST", path, headers, large.body)
        told["taken in"].append(cost)
        told["again"].append(asker.ask("POST", path, headers, large.body)[1])
        if delivery := json.loads(answer or b"{}").get("delivery"):  # people are shown nothing
            told["replayed"].append(asker.ask("POST", f"/api/deliveries/{delivery}/replay", token, b"{}")[1])
    costs = [cost for each in told.values() for cost in each]
    grown = {what: max(cost.grown for cost in each) / len(large.body) for what, each in told.items() if each}
    also = "; ".join(f"{what} {times:.1f} times" for what, times in grown.items())
    what = f"{large.carrier}: {large.shape}, {len(large.body) / 1e6:.0f} MB"
    also += f"; by the clock {max(cost.waited for cost in costs):.0f} ms"
    return Measured(what, max(cost.blocked for cost in costs), "ms", "50 ms, 5 times", also=also)


@dataclass(frozen=True)
class Cost:
    """What a request cost others.

    Args:
        blocked: milliseconds of CPU that the process took while a small request waited, at most: what else keeps it
            waiting is not this process's doing.
        waited: the same by the clock.
        grown: bytes by which its memory grew.
    """

    blocked: float
    waited: float
    grown: int


class Asker:
    """Asks a process something, and asks it small things meanwhile."""

    def __init__(self, port: int, pid: int) -> None:
        self._port = port
        self._of = Path(f"/proc/{pid}")

    def ask(self, method: str, path: str, headers: Mapping[str, str], body: bytes) -> tuple[bytes, Cost]:
        """The answer, and what it cost."""
        (self._of / "clear_refs").write_text("5")  # its peak begins anew
        before = self._status("VmRSS:")
        waited, over = [(0.0, 0.0)], threading.Event()
        beside = threading.Thread(target=self._ask_small_things, args=(waited, over))
        beside.start()
        try:
            answer = self._exchange(method, path, headers, body)
        finally:
            over.set()
            beside.join()
        blocked, by_the_clock = (max(each) for each in zip(*waited, strict=True))
        return answer, Cost(blocked, by_the_clock, self._status("VmHWM:") - before)

    def _ask_small_things(self, waited: list[tuple[float, float]], over: threading.Event) -> None:
        with socket.create_connection(("127.0.0.1", self._port)) as line:
            while not over.is_set():
                began, spent = perf_counter(), self._spent()
                line.sendall(b"GET /healthz HTTP/1.1\r\nHost: bench\r\n\r\n")
                line.recv(4096)
                took = perf_counter() - began
                waited.append(((self._spent() - spent) * 1000, took * 1000))
                sleep(0.001)

    def _spent(self) -> float:
        """Seconds of CPU that all threads of the process have taken."""
        return sum(int(each.read_text().split()[0]) for each in self._of.glob("task/*/schedstat")) / 1e9

    def _status(self, name: str) -> int:
        """A size in bytes, as the kernel tells it of the process."""
        return int((self._of / "status").read_text().partition(name)[2].split()[0]) * 1024

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
        answered = (b"HTTP/1.1 20", b"HTTP/1.1 401")  # of Linear, whose moment stands in what nobody can read
        assert answer.startswith(answered), bytes(answer[:500])
        return bytes(answer).partition(b"\r\n\r\n")[2]
