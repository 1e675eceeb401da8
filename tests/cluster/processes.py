"""Real replicas in processes of their own, to be killed, frozen and watched."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

ROOT = Path(__file__).parents[2]
TOKEN = "t0ken"
SECRET = "s3cret"


@dataclass
class Process:
    """One `hookline serve`: `url` is where it answers."""

    process: asyncio.subprocess.Process
    url: str
    lines: list[dict[str, Any]]

    @property
    def pid(self) -> int:
        return self.process.pid

    def send(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    async def ended(self, timeout: float = 30) -> int:
        """The exit status, negative for a signal."""
        async with asyncio.timeout(timeout):
            return await self.process.wait()

    async def start(self, job: str, **body: Any) -> str:
        """Start a run over the API; returns its id."""
        async with httpx.AsyncClient() as client:
            response = await client.post(
                f"{self.url}/api/jobs/{job}/runs", json=body, headers={"Authorization": f"Bearer {TOKEN}"}
            )
        assert response.status_code == 201, response.text
        return str(response.json()["id"])


@asynccontextmanager
async def serving(*options: str, ready: bool = True, **environment: str) -> AsyncIterator[Process]:
    """A replica that is ready; killed when the block ends, if it still runs."""
    settings = {
        "HOOKLINE_APP": "tests.cluster.app:app",
        "HOOKLINE_API_TOKENS": TOKEN,
        "HOOKLINE_GITHUB_SECRETS": SECRET,
        "HOOKLINE_PORT": "0",
        "HOOKLINE_LEASE": "1",
        "HOOKLINE_DRAIN": "5",
        "EFFECTS_DSN": environment.get("HOOKLINE_DATABASE_URL", ""),
    }
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "hookline", "serve", *options,
        cwd=ROOT, env=os.environ | settings | environment, stderr=asyncio.subprocess.PIPE, limit=2**20,
    )  # fmt: skip
    lines: list[dict[str, Any]] = []
    known: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    reading = asyncio.create_task(_read(process, lines, known))
    try:
        async with asyncio.timeout(30):
            url = await known
            if ready:
                await _ready(url)
        yield Process(process, url, lines)
    finally:
        if process.returncode is None:
            process.kill()  # workers of its own notice, and end too
        await process.wait()
        await reading


async def _read(process: asyncio.subprocess.Process, lines: list[dict[str, Any]], url: asyncio.Future[str]) -> None:
    assert process.stderr is not None
    async for line in process.stderr:
        sys.stdout.write(f"[{process.pid}] {line.decode()}")
        try:
            lines.append(json.loads(line))
        except ValueError:
            continue
        if lines[-1].get("event") == "http.listening" and not url.done():
            url.set_result(lines[-1]["url"])
    if not url.done():
        url.set_exception(RuntimeError("it ended before it listened"))


async def _ready(url: str) -> None:
    async with httpx.AsyncClient() as client:
        while (await client.get(f"{url}/readyz")).status_code != 200:
            await asyncio.sleep(0.02)  # readiness has no event to wait on
