"""Clients that watch a stream, in a process of their own: `python -m tests.benchmarks.watchers PORT CLIENTS`."""

from __future__ import annotations

import asyncio
import resource
import sys


async def watch(port: int, clients: int) -> None:
    """Be so many clients, until a line comes."""
    counts = [0] * clients
    ready = asyncio.Semaphore(0)

    async def one(number: int) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"GET /api/stream HTTP/1.1\r\nHost: localhost\r\n\r\n")
        await reader.readuntil(b"id: ")
        ready.release()
        while data := await reader.read(2**16):
            counts[number] += data.count(b"\nevent: ")

    async with asyncio.TaskGroup() as together:
        tasks = [together.create_task(one(number)) for number in range(clients)]
        for _ in range(clients):
            await ready.acquire()
        print("ready", flush=True)
        await asyncio.to_thread(sys.stdin.readline)
        ended = sum(task.done() for task in tasks)
        for each in tasks:
            each.cancel()
    print(f"clients saw {min(counts, default=0)} to {max(counts, default=0)} events, {ended} were dropped")


if __name__ == "__main__":
    resource.setrlimit(resource.RLIMIT_NOFILE, (resource.getrlimit(resource.RLIMIT_NOFILE)[1],) * 2)
    asyncio.run(watch(int(sys.argv[1]), int(sys.argv[2])))
