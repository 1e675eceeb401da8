"""A replica dies or freezes at any point; another finishes its runs, and what was recorded is never done again."""

from __future__ import annotations

import signal
from collections.abc import AsyncIterator

import asyncpg
import pytest
from tests.cluster.app import EFFECTS, GATE, app
from tests.cluster.processes import serving
from tests.support import Watch, at_home, watching

pytestmark = pytest.mark.cluster

NOTE = """
create trigger told after insert on public.effects for each statement execute function hookline.tell_the_tests()
"""


@pytest.fixture
async def watch(dsn: str) -> AsyncIterator[Watch]:
    async with watching(dsn) as watch:
        await watch.connection.execute(EFFECTS)
        await watch.connection.execute(NOTE)
        yield watch


async def effects(watch: Watch, run: str) -> dict[str, int]:
    rows = await watch.connection.fetch(
        "select step, count(*) from public.effects where run = $1 group by step order by step", run
    )
    return {row["step"]: row["count"] for row in rows}


@pytest.mark.parametrize(
    ("point", "times"),
    [
        ("before the step", 1),
        ("in the step", 2),
        ("after the step, before its commit", 2),
        ("after its commit", 1),
    ],
)
async def test_another_replica_finishes_the_run_of_one_that_was_killed(
    dsn: str, watch: Watch, point: str, times: int
) -> None:
    async with serving(HOOKLINE_DATABASE_URL=dsn, DIE_AT=point) as doomed:
        run = await doomed.start("three_steps")
        assert await doomed.ended() == -signal.SIGKILL
        async with serving(HOOKLINE_DATABASE_URL=dsn):
            (row,) = await watch.ended(run)

    assert (row["state"], row["claims"], row["losses"]) == ("succeeded", 2, 1)
    assert await effects(watch, run) == {"first": 1, "second": times, "third": 1}
    assert await watch.connection.fetchval("select count(*) from hookline.journal where state = 'succeeded'") == 3


async def test_a_frozen_replica_that_was_declared_dead_commits_nothing_and_works_on_under_a_new_name(
    dsn: str, watch: Watch
) -> None:
    gate = await asyncpg.connect(dsn)
    await gate.execute("select pg_advisory_lock($1)", GATE)
    async with serving(HOOKLINE_DATABASE_URL=dsn) as frozen:
        run = await frozen.start("through_the_gate")
        await watch.value("select count(*) = 1 from public.effects where step = 'gated'")
        frozen.send(signal.SIGSTOP)
        first_worker = await watch.value("select id from hookline.workers")

        async with serving(HOOKLINE_DATABASE_URL=dsn) as other:
            await watch.value("select count(*) = 2 from public.effects where step = 'gated'")
            await gate.execute("select pg_advisory_unlock($1)", GATE)
            (row,) = await watch.ended(run)
            assert (row["state"], row["claims"]) == ("succeeded", 2)

            frozen.send(signal.SIGCONT)
            await watch.value(
                "select count(*) = 1 from hookline.workers where name like '%:' || $1::text and id <> $2",
                str(frozen.pid),
                first_worker,
            )
            assert await effects(watch, run) == {"first": 1, "gated": 2, "third": 1}
            assert await watch.connection.fetchval("select max(claim) = 2 and count(*) = 3 from hookline.journal")
            other.send(signal.SIGTERM)
            assert await other.ended() == 0

        following = await frozen.start("three_steps")
        (row,) = await watch.ended(following)
        assert (row["state"], row["losses"]) == ("succeeded", 0)
    await gate.close()


async def test_sigterm_lets_a_run_end_and_gives_back_what_does_not(dsn: str, watch: Watch) -> None:
    gate = await asyncpg.connect(dsn)
    await gate.execute("select pg_advisory_lock($1)", GATE)
    async with serving(HOOKLINE_DATABASE_URL=dsn, HOOKLINE_DRAIN="0.2") as leaving:
        run = await leaving.start("through_the_gate")
        await watch.value("select count(*) = 1 from public.effects where step = 'gated'")
        leaving.send(signal.SIGTERM)
        assert await leaving.ended() == 0

    row = await watch.connection.fetchrow("select state, losses from hookline.runs")
    assert (row["state"], row["losses"]) == ("queued", 0)
    assert await watch.connection.fetchval("select count(*) from hookline.workers") == 0

    await gate.close()
    async with serving(HOOKLINE_DATABASE_URL=dsn):
        (row,) = await watch.ended(run)
    assert row["state"] == "succeeded"
    assert (await effects(watch, run))["first"] == 1


async def test_a_run_that_kills_every_worker_is_paused_with_that_reason(dsn: str, watch: Watch) -> None:
    async with at_home(app, dsn) as house:
        run = await house.start("deadly")
    settings = {"HOOKLINE_DATABASE_URL": dsn, "HOOKLINE_MAX_LOSSES": "3", "HOOKLINE_APP": "no.such:app"}
    async with serving("tests.cluster.app:app", "--workers", "2", ready=False, **settings):
        (row,) = await watch.ended(run)

    assert (row["state"], row["losses"]) == ("paused", 3)
    assert row["reason"] == "its worker was lost 3 times while it ran"
