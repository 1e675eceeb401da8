"""What a deployed service receives comes to one on a laptop, each delivery once, whichever of them dies meanwhile."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import asyncpg
import httpx
import pytest
from tests.cluster.processes import ROOT, SECRET, TOKEN, serving

from hookline.ingress.schemes import fingerprint
from hookline.web.server import listen
from hookline_parsers import github

pytestmark = pytest.mark.cluster

OURS = "a secret of this laptop"


class Tail:
    """A `hookline tail` that is at work."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process

    async def told(self) -> dict[str, Any]:
        """What it tells next of a delivery."""
        assert self.process.stdout is not None
        async with asyncio.timeout(60):
            line = await self.process.stdout.readline()
        found: dict[str, Any] = json.loads(line)
        return found

    async def noted(self, words: str) -> None:
        """Return once it has said so."""
        assert self.process.stderr is not None
        async with asyncio.timeout(60):
            while words not in (line := (await self.process.stderr.readline()).decode()):
                assert line, "it has ended"


@asynccontextmanager
async def tailing(url: str, to: str, *options: str, **environment: str) -> AsyncIterator[Tail]:
    settings = {"HOOKLINE_TOKEN": TOKEN, "HOOKLINE_GITHUB_SECRETS": OURS} | environment
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "hookline", "tail", "--url", url, "--to", to, "--json", *options,
        cwd=ROOT, env=os.environ | {name: value for name, value in settings.items() if value},
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE, limit=2**20,
    )  # fmt: skip
    try:
        yield Tail(process)
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


@asynccontextmanager
async def developing(dsn: str, port: int) -> AsyncIterator[asyncio.subprocess.Process]:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "hookline", "dev", "tests.cluster.app:app", "--port", str(port), cwd=ROOT,
        env=os.environ | {"HOOKLINE_DATABASE_URL": dsn, "HOOKLINE_GITHUB_SECRETS": OURS, "EFFECTS_DSN": dsn},
        stderr=asyncio.subprocess.DEVNULL,
    )  # fmt: skip
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


def free_port() -> int:
    with listen("127.0.0.1", 0) as found:
        return int(found.getsockname()[1])


def body(commit: str) -> bytes:
    return json.dumps({"ref": "refs/heads/main", "after": commit, "repository": {"full_name": "octo/site"}}).encode()


async def push(url: str, guid: str, content: bytes) -> None:
    headers = github.parser.headers_for("push", guid, content)
    headers |= github.parser.scheme.sign(SECRET.encode(), content, headers) | {"X-Request-Id": guid}
    async with httpx.AsyncClient(timeout=60) as client:
        answer = await client.post(f"{url}/webhooks/github", content=content, headers=headers)
    assert answer.status_code in (200, 202), answer.text


async def kept(dsn: str) -> list[tuple[Any, ...]]:
    connection = await asyncpg.connect(dsn)
    rows = await connection.fetch(
        "select key, body, type, subject, secret, headers from hookline.deliveries order by id"
    )
    await connection.close()
    return [tuple(row) for row in rows]


async def test_each_delivery_comes_once_as_it_was_and_is_verified_here_whoever_is_killed(
    dsn: str, other_dsn: str
) -> None:
    port, here = free_port(), free_port()
    url, ours = f"http://127.0.0.1:{port}", f"http://127.0.0.1:{here}"
    deployed = {"HOOKLINE_DATABASE_URL": dsn, "HOOKLINE_PORT": str(port)}
    async with tailing(url, ours) as early:
        assert await early.process.wait() == 3
        _, said = await early.process.communicate()
        assert said.decode().startswith(f"hookline: {url} does not answer")
    async with serving(**deployed) as service:
        await push(url, "before", body("0"))
        async with tailing(url, ours) as tail:
            await tail.noted(f"what {url} receives goes to {ours}")
            await push(url, "guid-1", body("1"))
            await tail.noted(f"{ours} does not take it")
            async with developing(other_dsn, here) as laptop:
                first = await tail.told()
                assert (first["key"], first["answer"]["status"], len(first["answer"]["runs"])) == (
                    "guid-1",
                    "accepted",
                    1,
                )
                await push(url, "guid-1", body("1"))
                laptop.kill()
                await laptop.wait()
            await push(url, "guid-2", body("2"))
            await tail.noted(f"{ours} does not take it")
            async with developing(other_dsn, here):
                assert (await tail.told())["key"] == "guid-2"
                service.send(signal.SIGKILL)
                await service.ended()
                await tail.noted("trying again")
                async with serving(**deployed):
                    for number in (3, 4):
                        await push(url, f"guid-{number}", body(str(number)))
                    assert [(await tail.told())["key"] for _ in range(2)] == ["guid-3", "guid-4"]
                    large = json.dumps({"after": "5", "x": "y" * 25_000_000}).encode()
                    await push(url, "guid-5", large)
                    fifth = await tail.told()
                    assert (fifth["key"], fifth["answer"]["status"]) == ("guid-5", "accepted")
                    tail.process.send_signal(signal.SIGINT)
                    assert await tail.process.wait() == 0
                    out, said = await tail.process.communicate()
                    assert (out, said.decode().splitlines()[-1]) == (b"", "hookline: ended")
    there, here_kept = (await kept(dsn))[1:], await kept(other_dsn)
    assert [row[:4] for row in here_kept] == [row[:4] for row in there]
    assert {row[4] for row in here_kept} == {fingerprint(OURS.encode())} != {row[4] for row in there}
    assert all(["x-request-id", row[0]] in json.loads(row[5]) for row in here_kept)
    signatures = [[value for name, value in json.loads(row[5]) if name == "x-hub-signature-256"] for row in here_kept]
    assert [len(each) for each in signatures] == [1] * 5


async def test_what_came_before_is_sent_on_and_a_secret_or_a_source_that_is_missing_is_told(
    dsn: str, other_dsn: str
) -> None:
    here = free_port()
    async with serving(HOOKLINE_DATABASE_URL=dsn) as service, developing(other_dsn, here):
        await push(service.url, "guid-1", body("1"))
        past, ours = ("--since", "2026-01-01T00:00Z", "--type", "github.push"), f"http://127.0.0.1:{here}"
        for secret in (OURS, OURS, "another"):
            async with tailing(service.url, ours, *past, HOOKLINE_GITHUB_SECRETS=secret) as tail:
                answer = (await tail.told())["answer"]
                if secret == OURS:
                    assert answer["code"] in (200, 202), answer
                else:
                    assert answer["problem"].startswith("401 ")
        async with tailing(service.url, ours, *past, HOOKLINE_GITHUB_SECRETS="") as tail:
            problem = (await tail.told())["answer"]["problem"]
            assert problem.startswith("there is no source github here: set HOOKLINE_GITHUB_SECRETS")
        async with tailing(service.url, ours, "--type", "github.issues", "--subject", "octo/site", *past[:2]) as tail:
            await tail.noted("goes to")
            tail.process.terminate()
            assert await tail.process.wait() == 0
            assert (await tail.process.communicate())[0] == b""
        async with tailing(service.url, ours, *past, HOOKLINE_TOKEN="wrong") as tail:
            assert await tail.process.wait() == 4
        async with tailing(service.url, service.url) as tail:
            assert await tail.process.wait() == 2
            _, said = await tail.process.communicate()
            assert b"cannot be sent what it has received itself" in said
        assert len(await kept(other_dsn)) == 1
