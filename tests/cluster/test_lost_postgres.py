"""Postgres is killed and comes back under load: what got 2xx has its run, the rest was told to come again."""

from __future__ import annotations

import asyncio
import os
import signal
from collections import Counter
from pathlib import Path
from typing import Any

import asyncpg
import httpx
import pytest
from tests.cluster.processes import SECRET, Process, serving

from hookline import embedded
from hookline_parsers import github

pytestmark = pytest.mark.cluster

BODY = b'{"ref": "refs/heads/main", "after": "9fceb02", "repository": {"full_name": "octo/site"}}'
SIGNED = github.parser.scheme.sign(SECRET.encode(), BODY, {})


class Sender:
    """Posts deliveries without pause and remembers what it was told of each."""

    def __init__(self) -> None:
        self.told: dict[str, tuple[int, Any]] = {}
        self.statuses: Counter[int] = Counter()
        self.changed = asyncio.Condition()

    async def post(self, process: Process, client: httpx.AsyncClient, name: str) -> None:
        number = 0
        while True:
            number += 1
            guid = f"{name}-{number}"
            headers = github.parser.headers_for("push", guid, BODY) | SIGNED
            response = await client.post(f"{process.url}/webhooks/github", content=BODY, headers=headers)
            self.told[guid] = response.status_code, response.json()
            async with self.changed:
                self.statuses[response.status_code] += 1
                self.changed.notify_all()

    async def seen(self, status: int, more: int) -> None:
        """Wait until `more` further answers have been `status`."""
        wanted = self.statuses[status] + more
        async with asyncio.timeout(60), self.changed:
            await self.changed.wait_for(lambda: self.statuses[status] >= wanted)


async def test_everything_that_got_2xx_has_its_run_after_postgres_was_killed_twice(tmp_path: Path) -> None:
    data = tmp_path / "pg"
    options = ("--data", str(data))
    settings = {"HOOKLINE_INTAKE_TIMEOUT": "0.2", "HOOKLINE_LEASE": "5"}
    sender = Sender()
    async with serving(*options, **settings) as one, serving(*options, **settings) as two:
        async with httpx.AsyncClient(timeout=30) as client:
            senders = [asyncio.create_task(sender.post((one, two)[each % 2], client, f"s{each}")) for each in range(16)]
            for _ in range(2):
                await sender.seen(202, more=200)
                os.kill(int((data / "postmaster.pid").read_text().split("\n")[0]), signal.SIGKILL)
                await sender.seen(503, more=1)
            await sender.seen(202, more=200)
            for each in senders:
                each.cancel()
            await asyncio.gather(*senders, return_exceptions=True)

        assert set(sender.statuses) == {202, 503}
        accepted = {guid: told for guid, (status, told) in sender.told.items() if status == 202}
        promised = {run for told in accepted.values() for run in told["runs"]}
        assert len(promised) == len(accepted)
        with embedded.running(data) as dsn:
            connection = await asyncpg.connect(dsn)
            async with asyncio.timeout(60):
                while await connection.fetchval("select exists (select from hookline.runs where finished_at is null)"):
                    await asyncio.sleep(0.1)  # the listener would have died with Postgres
            rows = await connection.fetch("select id, state, claims from hookline.runs")
            workers = await connection.fetchval("select count(*) from hookline.workers")
            await connection.close()

    assert promised <= {str(row["id"]) for row in rows}
    assert {row["state"] for row in rows} == {"succeeded"}
    assert workers == 2


async def test_a_postgres_that_stands_still_costs_no_worker_and_no_delivery(tmp_path: Path) -> None:
    data = tmp_path / "pg"
    settings = {"HOOKLINE_INTAKE_TIMEOUT": "0.2", "HOOKLINE_LEASE": "3"}
    sender = Sender()
    async with (
        serving("--data", str(data), **settings) as one,
        serving("--data", str(data), **settings) as two,
        httpx.AsyncClient(timeout=30) as client,
    ):
        senders = [asyncio.create_task(sender.post((one, two)[each % 2], client, f"s{each}")) for each in range(16)]
        await sender.seen(202, more=200)
        frozen = processes_of(data)
        for each in frozen:
            os.kill(each, signal.SIGSTOP)
        await sender.seen(503, more=16 * 5 * 7)  # each took a fifth of a second: longer than two leases
        for each in frozen:
            os.kill(each, signal.SIGCONT)
        await sender.seen(202, more=200)
        for each in senders:
            each.cancel()
        await asyncio.gather(*senders, return_exceptions=True)
        accepted = {guid: told for guid, (status, told) in sender.told.items() if status in (200, 202)}
        promised = {run for told in accepted.values() for run in told["runs"]}
        with embedded.running(data) as dsn:
            connection = await asyncpg.connect(dsn)
            async with asyncio.timeout(60):
                while await connection.fetchval("select exists (select from hookline.runs where finished_at is null)"):
                    await asyncio.sleep(0.1)  # nobody listens to this Postgres
            rows = await connection.fetch("select id, state, losses from hookline.runs")
            await connection.close()
        assert not [line for line in (*one.lines, *two.lines) if line.get("event") == "worker.lost"]

    assert promised <= {str(row["id"]) for row in rows}
    assert {(row["state"], row["losses"]) for row in rows} == {("succeeded", 0)}


def processes_of(data: Path) -> list[int]:
    """The postmaster of a data directory and all of its children."""
    postmaster = int((data / "postmaster.pid").read_text().split("\n")[0])
    children = Path(f"/proc/{postmaster}/task/{postmaster}/children").read_text().split()
    return [postmaster, *map(int, children)]
