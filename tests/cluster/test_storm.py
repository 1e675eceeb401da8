"""Replicas are killed in a storm of webhooks: each is stored once, starts its runs once, and all of them end."""

from __future__ import annotations

import asyncio
import os
import signal
from collections import Counter, defaultdict
from contextlib import AsyncExitStack
from random import Random
from uuid import UUID

import asyncpg
import pytest
from tests.cluster.processes import serving
from tests.cluster.storm import Sender, storm
from tests.support import watching

pytestmark = pytest.mark.cluster

COUNT = int(os.environ.get("STORM", "1500"))
"""Deliveries; each is sent up to three times. `make storm` sends 20,000."""

APP = "tests.cluster.storm:app"
KILLS = 5
PATIENCE = 20 + COUNT / 100
"""Seconds within which the storm, and then its runs, have to end."""

ALL_ENDED = "select not exists (select from hookline.runs where finished_at is null)"
DELIVERIES = "select id, key, sha256(body) as digest, status, conflict_of from hookline.deliveries"
RUNS = "select id, delivery_id, event_index, job, state from hookline.runs"


async def test_every_delivery_is_stored_once_and_starts_its_runs_once_though_replicas_are_killed(dsn: str) -> None:
    seed = int(os.environ.get("SEED", Random().randrange(10**6)))
    print(f"SEED={seed}")
    chance = Random(seed)
    deliveries = storm(COUNT, chance)
    sender = Sender(deliveries)
    async with AsyncExitStack() as stack:

        async def join() -> None:
            process = await stack.enter_async_context(serving(HOOKLINE_DATABASE_URL=dsn, HOOKLINE_APP=APP))
            await sender.joined(process)

        await join()
        await join()
        async with asyncio.timeout(2 * PATIENCE):
            sending = asyncio.create_task(sender.send())
            for number in range(1, KILLS + 1):
                await sender.answered(len(deliveries) * number // (KILLS + 2))
                doomed = [sender.replicas.pop(0) for _ in range(2 if number == KILLS else 1)]
                for each in doomed:
                    each.send(signal.SIGKILL)
                for each in doomed:
                    await each.ended()
                    await join()
            await sending
            async with watching(dsn) as watch:
                await watch.value(ALL_ENDED, timeout=PATIENCE)
                rows = await watch.connection.fetch(DELIVERIES)
                runs = await watch.connection.fetch(RUNS)

    sent = {each.identity: each for each in deliveries}
    assert Counter((row["key"], row["digest"]) for row in rows) == dict.fromkeys(sent, 1)
    firsts = {row["key"]: row["id"] for row in rows if row["conflict_of"] is None}
    statuses = Counter(row["status"] for row in rows)
    print(f"{len(deliveries)} sends, {sender.broken} not answered 2xx; stored: {dict(statuses)}; {len(runs)} runs")
    assert sum(statuses.values()) - statuses["conflict"] == len({each.guid for each in deliveries})

    started: dict[UUID, list[asyncpg.Record]] = defaultdict(list)
    for run in runs:
        started[run["delivery_id"]].append(run)
    for row in rows:
        delivery = sent[row["key"], row["digest"]]
        is_first = row["conflict_of"] is None
        assert row["status"] == (delivery.status if is_first else "conflict")
        assert row["conflict_of"] == (None if is_first else firsts[row["key"]])
        assert sorted(run["job"] for run in started[row["id"]]) == sorted(delivery.jobs if is_first else ())
        told = sender.told[delivery.identity]
        assert {each["delivery"] for each in told} == {str(row["id"])}
        assert len([each for each in told if each["status"] in ("accepted", "ignored", "quarantined")]) <= 1
        assert all(each["status"] in (row["status"], "duplicate") for each in told)
        assert all({*each["runs"]} == {str(run["id"]) for run in started[row["id"]]} for each in told)
    assert {(run["state"], run["event_index"]) for run in runs} == {("succeeded", 0)}
    assert sender.broken > 0
