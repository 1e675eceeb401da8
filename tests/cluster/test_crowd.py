"""Replicas are killed while runs crowd into scopes: the terms of each hold, and no event is lost or handled twice."""

from __future__ import annotations

import asyncio
import json
import os
import signal
from collections import Counter, defaultdict
from contextlib import AsyncExitStack
from random import Random

import asyncpg
import pytest
from tests.cluster.crowd import crowd
from tests.cluster.processes import serving
from tests.cluster.storm import Sender
from tests.support import watching

pytestmark = pytest.mark.cluster

COUNT = 700
KILLS = 4
PATIENCE = 60.0

SETTLED = """
select not exists (select from hookline.runs where finished_at is null and (job <> 'follow' or state <> 'waiting'))
"""
TAKEN = """
select job, output #>> '{}' as commit from hookline.journal join hookline.runs on runs.id = run_id
 where kind = 'step' and journal.state = 'succeeded'
"""
RUNS = "select id, job, scope, state, superseded_by, seq, delivery_id, claims from hookline.runs order by seq"
CHANGES = (
    "select run_id, job, scope, state from hookline.run_events where run_id is not null and key is null order by seq"
)

UNDER_WAY = {"queued", "running", "waiting", "paused"}


async def test_the_terms_of_scopes_hold_and_no_event_is_lost_though_replicas_are_killed(dsn: str) -> None:
    seed = int(os.environ.get("SEED", Random().randrange(10**6)))
    print(f"SEED={seed}")
    deliveries = crowd(COUNT, Random(seed))
    sender = Sender(deliveries)
    async with AsyncExitStack() as stack:

        async def join() -> None:
            own = serving(HOOKLINE_DATABASE_URL=dsn, HOOKLINE_APP="tests.cluster.crowd:app")
            await sender.joined(await stack.enter_async_context(own))

        await join()
        await join()
        async with asyncio.timeout(2 * PATIENCE), watching(dsn) as watch:
            sending = asyncio.create_task(sender.send())
            for number in range(1, KILLS + 1):
                await sender.answered(len(deliveries) * number // (KILLS + 2))
                doomed = sender.replicas.pop(0)
                doomed.send(signal.SIGKILL)
                await doomed.ended()
                await join()
            await sending
            await watch.value(SETTLED, timeout=PATIENCE)
            runs = await watch.connection.fetch(RUNS)
            taken = await watch.connection.fetch(TAKEN)
            changes = await watch.connection.fetch(CHANGES)

    assert sender.broken > 0
    of_job: dict[str, list[asyncpg.Record]] = defaultdict(list)
    for row in runs:
        of_job[row["job"]].append(row)
    print(dict(Counter((row["job"], row["state"]) for row in runs)))
    for job in ("follow", "in_turn", "in_pairs"):
        wanted = {each.body for each in deliveries if each.jobs == (job,)}
        commits = Counter(row["commit"] for row in taken if row["job"] == job)
        assert commits == dict.fromkeys((json.loads(each)["after"] for each in wanted), 1)
    assert {row["state"] for row in of_job["in_turn"] + of_job["in_pairs"]} == {"succeeded"}
    for job in ("the_newest", "the_last", "settled", "seldom"):
        _each_was_superseded_by_what_succeeded(of_job[job])
    assert _most_at_once(changes, "in_turn") == _most_at_once(changes, "the_newest") == 1
    assert _most_at_once(changes, "in_pairs") == 2


def _each_was_superseded_by_what_succeeded(runs: list[asyncpg.Record]) -> None:
    """Whoever was cancelled was so for one that came later to its scope, and in the end one has succeeded."""
    by_id = {row["id"]: row for row in runs}
    for row in runs:
        last = row
        while last["superseded_by"] is not None:
            follower = by_id[last["superseded_by"]]
            assert follower["scope"] == last["scope"]
            assert follower["seq"] > last["seq"]
            assert last["state"] == "cancelled"
            last = follower
        assert last["state"] == "succeeded"


def _most_at_once(changes: list[asyncpg.Record], job: str) -> int:
    """The most runs of one scope that were ever under way at once."""
    under_way: dict[str, set[object]] = defaultdict(set)
    most = 0
    for row in changes:
        if row["job"] == job:
            here = under_way[row["scope"]]
            (here.add if row["state"] in UNDER_WAY else here.discard)(row["run_id"])
            most = max(most, len(here))
    return most
