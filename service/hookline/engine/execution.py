"""An execution: one claimed run's job, called from the top, until it ends or is interrupted."""

from __future__ import annotations

import asyncio
from concurrent.futures import Executor
from time import perf_counter
from typing import Any

from hookline import codec, telemetry
from hookline.engine import decide
from hookline.engine.journal import Journal
from hookline.errors import Cancelled, Interrupt, Suspended, TimedOut
from hookline.jobs.context import Context
from hookline.jobs.job import Job
from hookline.jobs.step import Call
from hookline.store.claims import Claim, Finish
from hookline.store.journal import Record

SUSPEND_GRACE = 0.05
"""Seconds in which a branch whose call just ended makes its next one, if it makes one."""


class Execution:
    """Runs a job's function for one claim, doing each of its calls once.

    Args:
        threads: where steps that are plain functions run.
    """

    def __init__(self, claim: Claim, job: Job, journal: Journal, threads: Executor) -> None:
        self.claim = claim
        self._job = job
        self._journal = journal
        self._threads = threads
        self._task: asyncio.Task[Any] | None = None
        self._interrupt: Interrupt | None = None
        self._open = 0
        self._parked: dict[str, float] = {}
        self._next_due = 0.0
        self._raised: list[tuple[Exception, str]] = []

    async def run(self) -> Finish | None:
        """Call the job; returns how its run is to be given up, or `None` if nothing may be written of it."""
        self._task = asyncio.current_task()
        if self.claim.cancelled:
            self._interrupt = Cancelled("cancelled by an operator")
        timer = self._timer()
        try:
            return await self._outcome()
        finally:
            self._task = None
            self._note_interrupt(Suspended("this execution is over"))
            if timer is not None:
                timer.cancel()

    def _note_interrupt(self, cause: Interrupt) -> None:
        """The first cause is the one that counts."""
        if self._interrupt is None:
            self._interrupt = cause

    def interrupt(self, cause: Interrupt) -> None:
        """End the execution: whatever it awaits is cancelled, and every further call raises `cause`."""
        if self._interrupt is None:
            self._interrupt = cause
            if self._task is not None:
                self._task.cancel()

    async def _outcome(self) -> Finish | None:
        try:
            if self._interrupt is None:
                output = await self._call_job()
                if self._interrupt is None:
                    self._journal.check_complete()
                    return decide.succeeded(self.claim, output)
        except Interrupt as interrupt:
            self._note_interrupt(interrupt)
        except Exception as error:  # noqa: BLE001 - whatever the job raises is the run's outcome
            if self._interrupt is None:
                return decide.failed(self.claim, self._job, error, self._step_of(error))
        except KeyboardInterrupt:
            raise
        except BaseException as error:
            if self._interrupt is None:
                if isinstance(error, asyncio.CancelledError) and self._task and self._task.cancelling():
                    raise
                return decide.failed(self.claim, self._job, decide.stray(error), None)
        assert self._interrupt is not None  # noqa: S101 - every way here set it
        if self._task is not None:
            self._task.uncancel()
        return decide.interrupted(self.claim, self._job, self._interrupt, self._next_due)

    async def _call_job(self) -> bytes:
        claim = self.claim
        ctx = Context(
            self._perform,
            run=claim.id,
            job=claim.job,
            version=claim.version,
            attempt=claim.attempt,
            scope=claim.scope,
            delivery=claim.delivery,
        )
        output = await self._job.call(ctx, self._job.argument(claim.input, claim.event))
        return codec.encode(output)

    async def _perform(self, call: Call) -> Any:
        """Return or raise what is recorded of `call`; if nothing is, do it and record it."""
        if self._interrupt is not None:
            raise self._interrupt
        self._open += 1
        try:
            record = await self._journal.ask(call)
            if record is not None and record.settled:
                return self._replay(call, record)
            return await self._do(call, record)
        except Interrupt as interrupt:
            self._note_interrupt(interrupt)
            raise
        finally:
            self._open -= 1
            self._consider_suspending()

    def _replay(self, call: Call, record: Record) -> Any:
        if record.error is not None:
            raise self._remember(decide.rebuild(record.error), call.key)
        return call.step.returns.decode(record.output if record.output is not None else codec.NULL)

    async def _do(self, call: Call, record: Record | None) -> Any:
        """Call the step, again if its policy says so, and commit what came of it."""
        attempt = 1 if record is None else record.attempt
        if record is not None and record.state == "retrying":
            await self._pause(call, record.pause)
            attempt += 1
        while True:
            began = perf_counter()
            self._journal.started(call, attempt)
            try:
                value, output = await self._attempt(call)
            except Exception as raised:  # noqa: BLE001 - whatever the step raises is its outcome
                error = raised
            else:
                try:
                    await self._journal.succeeded(call, attempt, output, began)
                except Exception as refused:  # noqa: BLE001 - Postgres will not have it, whatever the reason
                    error = decide.unusable(f"what step {call.key} returned", refused)
                else:
                    self._measure(call, began, "succeeded")
                    return value
            described = decide.describe(error)
            if not call.step.retry.wants(attempt, error):
                await self._journal.failed(call, attempt, described, began)
                self._measure(call, began, "failed")
                raise self._remember(decide.rebuild(described), call.key) from error
            pause = call.step.retry.pause(attempt)
            self._journal.retrying(call, attempt, described, pause)
            self._measure(call, began, "retried")
            telemetry.log.info("step.retried", step=call.key, attempt=attempt, error=decide.summary(error))
            await self._pause(call, pause)
            attempt += 1

    async def _attempt(self, call: Call) -> tuple[Any, bytes]:
        """What the step returned, read back from the JSON that is recorded, and that JSON."""
        with telemetry.bound(step=call.key):
            value = await call.invoke(self._threads)
        try:
            output = codec.encode(value)
            return call.step.returns.decode(output), output
        except codec.Undecodable as error:
            raise decide.unusable(f"what step {call.key} returned", error) from None

    async def _pause(self, call: Call, pause: float) -> None:
        """Wait before another try: a short while in memory, longer by giving the run back."""
        if pause > decide.MEMORY_PAUSE:
            self._parked[call.key] = asyncio.get_running_loop().time() + pause
            self._consider_suspending()
        try:
            await asyncio.sleep(pause)
        finally:
            self._parked.pop(call.key, None)

    def _consider_suspending(self) -> None:
        """Give the run back once every branch of it is parked; a branch that goes on says so within the grace."""
        if self._parked:
            asyncio.get_running_loop().call_later(SUSPEND_GRACE, self._suspend_if_idle)

    def _suspend_if_idle(self) -> None:
        if self._parked and self._open == len(self._parked):
            self._next_due = max(0.0, min(self._parked.values()) - asyncio.get_running_loop().time())
            self.interrupt(Suspended("waits to try a step again"))

    def _timer(self) -> asyncio.TimerHandle | None:
        if self._job.timeout is None:
            return None
        left = max(0.0, self._job.timeout - self.claim.age)
        return asyncio.get_running_loop().call_later(left, self.interrupt, TimedOut())

    def _remember(self, error: Exception, key: str) -> Exception:
        self._raised.append((error, key))
        return error

    def _step_of(self, error: BaseException | None) -> str | None:
        """The key of the step that `error`, or what it was raised from, came out of."""
        while error is not None:
            for raised, key in self._raised:
                if raised is error:
                    return key
            error = error.__cause__ or error.__context__
        return None

    def _measure(self, call: Call, began: float, outcome: str) -> None:
        took = (perf_counter() - began) * 1000
        telemetry.STEP_TIME.time(took, job=self.claim.job, step=call.step.name, outcome=outcome)
        if outcome != "retried":
            telemetry.log.debug(f"step.{outcome}", step=call.key, ms=round(took, 1))
