"""A replica that serves streams is killed; whoever watched goes on at another, and misses nothing."""

from __future__ import annotations

import signal

import httpx
import pytest
from tests.cluster.app import EFFECTS
from tests.cluster.processes import TOKEN, Process, serving
from tests.support import watching

pytestmark = pytest.mark.cluster


async def numbers(replica: Process, last: int, upto: int | None = None) -> list[int]:
    """The ids of the events behind `last`, until the number `upto`, or until the replica dies."""
    headers = {"Authorization": f"Bearer {TOKEN}", "Last-Event-ID": str(last)}
    found: list[int] = []
    async with httpx.AsyncClient(timeout=30) as client:
        try:
            async with client.stream("GET", f"{replica.url}/api/stream?kind=run", headers=headers) as answer:
                id_ = 0
                async for line in answer.aiter_lines():
                    if line.startswith("id: "):
                        id_ = int(line[4:])
                    elif line.startswith("event: "):
                        found.append(id_)
                    elif not line and found[-1:] == [upto]:
                        break
                    if len(found) == 20 and upto is None:
                        replica.send(signal.SIGKILL)
        except httpx.HTTPError:
            assert upto is None, "only the one that is killed breaks off"
    return found


async def test_a_stream_goes_on_at_another_replica_when_its_own_is_killed(dsn: str) -> None:
    async with (
        watching(dsn) as watch,
        serving(HOOKLINE_DATABASE_URL=dsn) as doomed,
        serving(HOOKLINE_DATABASE_URL=dsn) as other,
    ):
        await watch.connection.execute(EFFECTS)
        runs = [await other.start("three_steps") for _ in range(12)]
        first = await numbers(doomed, 0)
        assert await doomed.ended() == -signal.SIGKILL
        runs += [await other.start("three_steps") for _ in range(5)]
        await watch.ended(*runs, timeout=60)
        rows = await watch.connection.fetch(
            "select seq, run_id, state from hookline.run_events where run_id is not null order by seq"
        )
        second = await numbers(other, first[-1], rows[-1]["seq"])

    assert first + second == [row["seq"] for row in rows]
    assert len(first) >= 20
    for run in runs:
        states = [row["state"] for row in rows if str(row["run_id"]) == run]
        assert (states[:2], states[-1], states.count("succeeded")) == (["queued", "running"], "succeeded", 1)
