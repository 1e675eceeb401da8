"""The engine: claims as many due runs as it has slots for, executes them, and gives them up."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from time import perf_counter
from uuid import UUID

from msgspec.structs import replace

from hookline import metrics, telemetry
from hookline.engine import decide
from hookline.engine.execution import Execution
from hookline.engine.journal import Journal
from hookline.engine.services import Services
from hookline.errors import GivenBack, Unsealable
from hookline.jobs.job import Job, offer
from hookline.store.claims import Claim
from hookline.store.finishes import Finish
from hookline.store.journal import Record
from hookline.store.workers import Wanted


class Engine:
    """Executes runs of `jobs` for one worker.

    Args:
        jobs: by their offer, `job@version`.
        slots: runs in hand at once, at most.
    """

    def __init__(self, jobs: Mapping[str, Job], services: Services, *, slots: int) -> None:
        self._jobs = jobs
        self._services = services
        self._ledger = services.ledger
        self._slots = slots
        self._executions: dict[UUID, Execution] = {}
        self._ending = 0
        self._wake = asyncio.Event()
        self._hungry = True
        self._stopping = False

    async def run(self) -> None:
        """Claim and execute until `drain`; returns when nothing is in hand any more."""
        async with asyncio.TaskGroup() as in_flight:
            while not self._stopping:
                self._wake.clear()
                free = self._slots - len(self._executions) + self._ending
                if free:
                    taken = await self._ledger.claim(free, lambda: self._executions.keys())
                    for claim, records in taken:
                        execution = self._taken_in_hand(claim, records)
                        in_flight.create_task(self._execute(execution), name=f"run {claim.id}")
                    self._hungry = len(taken) == free
                await self._wake.wait()

    def wake(self) -> None:
        """There may be work."""
        self._wake.set()

    def control(self, wanted: Sequence[Wanted]) -> None:
        """Do what somebody wants of runs, those of them that are in hand."""
        for run, what in wanted:
            if execution := self._executions.get(run):
                execution.want(what)

    def drain(self, deadline: float) -> None:
        """Claim no more; let what is in hand end for `deadline` seconds, then give it back."""
        self._stopping = True
        self.wake()
        asyncio.get_running_loop().call_later(deadline, self._give_back)

    def _give_back(self) -> None:
        for execution in list(self._executions.values()):
            execution.interrupt(GivenBack("its worker stopped"))

    def _taken_in_hand(self, claim: Claim, records: Sequence[Record]) -> Execution:
        job = self._jobs[offer(claim.job, claim.version)]
        journal = Journal(claim, records, self._ledger)
        execution = self._executions[claim.id] = Execution(claim, job, journal, self._services)
        return execution

    async def _execute(self, execution: Execution) -> None:
        claim = execution.claim
        began = perf_counter()
        try:
            with telemetry.bound(run=claim.id, job=claim.job, delivery=claim.delivery):
                finish = await self._outcome(execution)
                if finish is not None:
                    with self._ending_one():
                        await self._finish(finish)
                    _tell(self._ledger.discreet(finish), began)
        finally:
            if self._executions.get(claim.id) is execution:  # else it was given back, and claimed again already
                del self._executions[claim.id]

    @contextmanager
    def _ending_one(self) -> Iterator[None]:
        """Count a slot as free already while its run's end is being committed: the next claim rides along."""
        self._ending += 1
        if self._hungry:
            self.wake()
        try:
            yield
        finally:
            self._ending -= 1

    async def _outcome(self, execution: Execution) -> Finish | None:
        try:
            return await execution.run()
        except Exception as error:  # noqa: BLE001 - the run is paused, and the worker goes on
            telemetry.log.exception("run.broke_the_engine")
            reason = f"hookline itself failed on this run: {decide.summary(error)}"
            bare = f"hookline itself failed on this run: {decide.kind(error)}"
            return Finish(execution.claim, "paused", reason=reason, bare=bare, attempt=execution.claim.attempt)

    async def _finish(self, finish: Finish) -> None:
        """Give the run up; if Postgres will not have its output, it has failed."""
        try:
            await self._ledger.finish(finish)
        except Unsealable as unsealable:  # it was sent something that its successor would begin with
            await self._ledger.finish(decide.sealed_away(finish.claim, str(unsealable)))
        except Exception as refused:  # noqa: BLE001 - the ledger tries again whatever may pass
            error = decide.unusable("what the job returned", refused)
            await self._ledger.finish(
                replace(
                    finish,
                    state="failed",
                    output=None,
                    error=decide.describe(error),
                    reason=decide.summary(error),
                    bare=decide.kind(error),
                )
            )


def _tell(finish: Finish, began: float) -> None:
    claim, state = finish.claim, finish.state
    metrics.RUNS.count(job=claim.job, state=state)
    metrics.RUN_TIME.time((perf_counter() - began) * 1000, job=claim.job, state=state)
    say = telemetry.log.warning if state in ("failed", "paused") else telemetry.log.debug
    say(f"run.{state}", reason=finish.reason, attempt=claim.attempt)
