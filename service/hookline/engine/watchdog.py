"""The watchdog: declares dead the workers whose lease has run out, and makes their runs due."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Mapping, Sequence

import asyncpg

from hookline import metrics, telemetry
from hookline.errors import Unavailable
from hookline.jobs.job import Job
from hookline.starts import hooked
from hookline.store import claims, due, runs, workers
from hookline.store.database import Connection, Database, transaction
from hookline.store.runs import NewRun


class Watchdog:
    """Every replica runs one; they need not agree, since only one of them can delete a row.

    Args:
        jobs: the latest version of each, by name.
        lease: seconds; it looks three times within one.
        max_losses: a run whose worker was lost this often is paused, lest it kill one worker after another.
    """

    def __init__(self, database: Database, jobs: Mapping[str, Job], lease: float, max_losses: int) -> None:
        self._database = database
        self._jobs = jobs
        self._lease = lease
        self._max_losses = max_losses

    async def run(self) -> None:
        """Look until cancelled.

        When Postgres was away, or stood still, nobody could renew a lease, so the watchdog gives everybody one
        lease of time before it judges again.
        """
        while True:
            await asyncio.sleep(self._lease / 3 * random.uniform(0.8, 1.2))  # noqa: S311 - spreads load
            try:
                await self._look()
            except Unavailable as error:
                telemetry.log.warning("watchdog.blind", error=str(error))
                await asyncio.sleep(self._lease)

    async def _look(self) -> None:
        clock = asyncio.get_running_loop().time
        asked = clock()
        async with self._database.session() as connection:
            silent = await workers.end_silent(connection, self._lease / 2)
            expired = await workers.any_expired(connection)
            age, stranded = await due.survey(connection)
            if expired and clock() - asked > self._lease / 3:
                raise Unavailable(f"Postgres took {clock() - asked:.1f} s to answer")
            if expired:
                await self.release_the_lost(connection)
        if silent:
            telemetry.log.warning("session.silent", ended=silent)
        metrics.QUEUE_AGE.set(round(age, 3))
        metrics.STRANDED.set(stranded)

    async def release_the_lost(self, connection: Connection) -> None:
        """Delete the workers that are dead, then, in a later statement, release their runs.

        It waits for transactions of theirs that are under way, but not for long: the next look ends those that stand.
        """
        try:
            async with transaction(connection):
                await workers.wait_for_locks(connection, self._lease / 3)
                lost = await workers.expire(connection)
                released = await claims.release(connection, lost, self._max_losses)
                await runs.create(connection, [hook for run in released for hook in self._hooks(run)])
        except asyncpg.LockNotAvailableError:
            telemetry.log.warning("worker.not_released", next="a transaction of it is under way; looking again")
            return
        metrics.WORKER_LOSSES.count(len(lost))
        for worker in lost:
            telemetry.log.warning("worker.lost", worker=worker)
        for run in released:
            metrics.RUNS.count(job=run["job"], state=run["state"])
            telemetry.log.warning(
                "run.released", run=run["id"], job=run["job"], state=run["state"], losses=run["losses"]
            )

    def _hooks(self, run: asyncpg.Record) -> Sequence[NewRun]:
        job = self._jobs.get(run["job"])
        if job is None or run["state"] != "paused":
            return ()
        return hooked(job, self._jobs, run["id"], run["claims"], run["state"], run["reason"])
