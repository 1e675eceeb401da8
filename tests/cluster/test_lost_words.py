"""Wherever a worker is killed, what its runs said and committed is there, and nothing that a job says is twice."""

from __future__ import annotations

import json
import signal
from collections import Counter

import pytest
from tests.cluster.app import EFFECTS
from tests.cluster.processes import serving
from tests.support import Watch, watching

pytestmark = pytest.mark.cluster

SAID = "select at, claim, step, data from hookline.run_logs where run_id = $1 order by claim, number"


async def said(watch: Watch, run: str) -> list[tuple[object, ...]]:
    return [tuple(row) for row in await watch.connection.fetch(SAID, run)]


@pytest.mark.parametrize(
    ("point", "tries"),
    [
        ("before the step", 1),
        ("in the step", 2),
        ("after the step, before its commit", 2),
        ("after its commit", 1),
    ],
)
async def test_what_a_run_says_outlives_its_worker_and_is_not_said_twice(dsn: str, point: str, tries: int) -> None:
    async with watching(dsn) as watch:
        await watch.connection.execute(EFFECTS)
        async with serving(HOOKLINE_DATABASE_URL=dsn, DIE_AT=point) as doomed:
            run = await doomed.start("three_steps")
            assert await doomed.ended() == -signal.SIGKILL
            committed = await said(watch, run)
            async with serving(HOOKLINE_DATABASE_URL=dsn):
                (row,) = await watch.ended(run)
        assert (row["state"], row["claims"]) == ("succeeded", 2)
        told = await said(watch, run)
    assert committed[0][3] == '{"event":"begun","fields":{}}'  # along with the outcome of the first step
    assert [each for each in told if each[1] == 1] == committed
    by_job = [json.loads(str(data)) for _, _, step, data in told if step is None]
    assert [(each["event"], len(each["fields"].get("so_far", ()))) for each in by_job] == [
        ("begun", 0), ("done", 1), ("on to the second", 0), ("done", 2), ("done", 3),
    ]  # fmt: skip
    again = Counter(claim for _, claim, step, _ in told if step == "second")
    assert 1 <= again.total() <= tries
