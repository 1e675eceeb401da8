"""Clients that watch a stream, in a process of their own: `python -m tests.benchmarks.watchers PORT CLIENTS`."""

from __future__ import annotations

import asyncio
import resource
import sys
from typing import Any

import uvloop


class Watcher(asyncio.Protocol):
    """Counts what it is told; light, as it is on the machine that it measures.

    Attributes:
        told: how many events.
        ready: done when it has been told where the stream stands.
    """

    def __init__(self) -> None:
        self.told = 0
        self.is_over = False
        self.ready: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: Any) -> None:
        """Ask for the stream."""
        transport.write(b"GET /api/stream HTTP/1.1\r\nHost: localhost\r\n\r\n")

    def data_received(self, data: bytes) -> None:
        """Count the events."""
        if not self.ready.done() and b"id: " in data:
            self.ready.set_result(None)
        self.told += data.count(b"\nevent: ")

    def connection_lost(self, exc: Exception | None) -> None:
        """Note that it was dropped; nobody waits for one that was never let in."""
        if not self.ready.done():
            self.ready.set_exception(exc or ConnectionError("the stream was refused"))
        self.is_over = True


async def watch(port: int, clients: int) -> None:
    """Be so many clients, until a line comes."""
    loop = asyncio.get_running_loop()
    watchers = [(await loop.create_connection(Watcher, "127.0.0.1", port))[1] for _ in range(clients)]
    await asyncio.gather(*(each.ready for each in watchers))
    print("ready", flush=True)
    await asyncio.to_thread(sys.stdin.readline)
    counts = [each.told for each in watchers]
    dropped = sum(each.is_over for each in watchers)
    print(f"clients saw {min(counts, default=0)} to {max(counts, default=0)} events, {dropped} were dropped")


if __name__ == "__main__":
    resource.setrlimit(resource.RLIMIT_NOFILE, (resource.getrlimit(resource.RLIMIT_NOFILE)[1],) * 2)
    uvloop.run(watch(int(sys.argv[1]), int(sys.argv[2])))
