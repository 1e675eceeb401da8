"""Steps: how one call of a function is done, tried again, watched, and recorded."""

from __future__ import annotations

import asyncio
import inspect
from collections import deque
from concurrent.futures import Executor
from time import perf_counter
from typing import Any

from hookline import codec, metrics, telemetry
from hookline.engine import decide
from hookline.engine.journal import Journal
from hookline.engine.parking import Parking
from hookline.errors import NotDone, Paused
from hookline.jobs.call import Note, Skip, Stream, Tag
from hookline.jobs.current import CURRENT, CurrentStep
from hookline.jobs.step import Poll, StepCall, as_step
from hookline.store.journal import Record

MOST_OUTPUT = 64 * 1024 * 1024
"""Bytes that what a step returns may have, as JSON."""

MOST_UNCOMMITTED = 32
"""What one run has published and is not committed yet, at most; to publish more it waits."""


class Steps:
    """Does the steps of one execution.

    Args:
        threads: where those that are plain functions run.
    """

    def __init__(self, journal: Journal, parking: Parking, threads: Executor) -> None:
        self._journal = journal
        self._parking = parking
        self._threads = threads
        self._loop = asyncio.get_running_loop()
        self._published: deque[asyncio.Future[None]] = deque()
        self._current: dict[CurrentStep, tuple[StepCall, asyncio.Timeout | None]] = {}

    def cancel(self) -> None:
        """Let the steps under way know that nobody wants their outcome any more."""
        for current in self._current:
            current.cancelled = True

    async def do(self, call: StepCall, record: Record | None) -> Any:
        """Call the step, again if its policy says so, and commit what came of it."""
        attempt = 1 if record is None or record.state == "waiting" else record.attempt
        if record is not None and record.state == "retrying":
            await self._pause(call, record.pause or 0.0)
            attempt += 1
        checkpoint = None if record is None else _checkpoint(record.output)
        reconciling = record is not None and record.state == "intent"
        while True:
            began = perf_counter()
            if reconciling:
                attempted = self._reconcile(call)
            else:
                if call.step.once:
                    await self._journal.commit(call, "intent", attempt, output=_told(checkpoint))
                else:
                    self._journal.note(call, "started", attempt, output=_told(checkpoint))
                current = CurrentStep(self._journal.claim.id, call.key, attempt, checkpoint, self._report)
                attempted = self._attempt(call, current)
            try:
                output = await attempted
                value = _read_back(call, output)
                await self._commit(call, attempt, output, began)
            except NotDone:
                reconciling, attempt = False, attempt + 1
                continue
            except Exception as raised:  # noqa: BLE001 - whatever the step raises is its outcome
                error = raised
            else:
                self._measure(call, began, "succeeded")
                return value
            if not reconciling:
                checkpoint = current.checkpoint
            described = decide.describe(error)
            if not call.step.retry.wants(attempt, error):
                await self._journal.commit(call, "failed", attempt, error=described, began=began)
                self._measure(call, began, "failed")
                raise decide.rebuild(described) from error
            pause = call.step.retry.pause(attempt)
            self._journal.note(call, "retrying", attempt, error=described, output=_told(checkpoint), pause=pause)
            self._measure(call, began, "retried")
            with telemetry.bound(step=call.key):
                telemetry.log.info("step.retried", attempt=attempt, error=decide.summary(error))
            await self._pause(call, pause)
            reconciling, attempt = False, attempt + 1

    async def poll(self, call: Poll, record: Record | None) -> Any:
        """Look again and again, in one row, until what is seen will do."""
        looks, told = (
            (0, {}) if record is None or record.output is None else (record.attempt, codec.decode(record.output))
        )
        state = told.get("state", call.state)
        clock = self._journal.claim.clock
        deadline = told.get("deadline", None if call.limit is None else clock + call.limit)
        started, failures = perf_counter(), 0
        if record is not None:
            await self._pause(call, record.pause or 0.0)
        while True:
            began, late = perf_counter(), False
            looks += 1
            asked = StepCall(
                key=call.key, position=call.position, step=call.step, args=(state,) if call.carries else (), kwargs={}
            )
            try:
                output = await self._attempt(
                    asked, CurrentStep(self._journal.claim.id, call.key, looks, None, self._report)
                )
                value = _read_back(call, output)
                will_do = call.until(value)
                failures = 0
                if will_do:
                    await self._commit(call, looks, output, began)
                    self._measure(call, began, "succeeded")
                    return value
                state = codec.decode(output) if call.carries else None
                late = deadline is not None and clock + perf_counter() - started >= deadline
                if late:
                    raise TimeoutError(f"nothing that {call.key} saw within {call.limit:g} s would do")
            except Exception as error:
                failures += 1
                if late or not call.step.retry.wants(failures, error):
                    described = decide.describe(error)
                    await self._journal.commit(call, "failed", looks, error=described, began=began)
                    raise decide.rebuild(described) from error
            pause = call.pause(looks)
            if deadline is not None:
                pause = max(0.0, min(pause, deadline - clock - (perf_counter() - started)))
            carried = codec.encode({"state": state, "deadline": deadline})
            self._journal.note(call, "waiting", looks, output=carried, pause=pause)
            await self._pause(call, pause)

    async def note(self, call: Note, _record: Record | None) -> Any:
        """Compute a value here and now, and commit it."""
        output = codec.encode(call.make())
        value = call.read(output)
        await self._journal.commit(call, "succeeded", output=output)
        return value

    async def stream(self, call: Stream, _record: Record | None) -> None:
        """Hand in what is published, and go on: nothing that comes behind it is committed without it."""
        publishing = self._journal.publish(call)
        publishing.add_done_callback(_tell_if_refused)
        self._published.append(publishing)
        if len(self._published) > MOST_UNCOMMITTED:
            await asyncio.wait((self._published.popleft(),))

    async def tag(self, call: Tag, _record: Record | None) -> None:
        """Give the run tags."""
        await self._journal.tag(call)

    async def skip(self, call: Skip, _record: Record | None) -> None:
        """Tell that something is not done."""
        self._journal.note(call, "succeeded", output=codec.encode({"why": call.why}))

    async def _attempt(self, call: StepCall, current: CurrentStep) -> bytes:
        """Call the function once; returns what it returned as the JSON that is recorded."""
        step = call.step
        token = CURRENT.set(current)
        self._current[current] = call, None
        try:
            with telemetry.bound(step=call.key):
                if step.timeout is None and step.heartbeat is None:
                    value = await call.invoke(self._threads)
                else:
                    value = await self._watched(call, current)
        finally:
            del self._current[current]
            CURRENT.reset(token)
        return _encoded(call, value)

    async def _watched(self, call: StepCall, current: CurrentStep) -> Any:
        """Call the function for as long as its timeout allows, and while it gives signs of life."""
        step = call.step
        try:
            async with asyncio.timeout(step.timeout) as whole, asyncio.timeout(step.heartbeat) as silence:
                self._current[current] = call, silence
                return await call.invoke(self._threads)
        except TimeoutError:
            if whole.expired():
                raise TimeoutError(f"step {call.key} exceeded its {step.timeout:g} s") from None
            if silence.expired():
                raise TimeoutError(f"step {call.key} gave no sign of life for {step.heartbeat:g} s") from None
            raise

    def _report(self, current: CurrentStep, told: bytes) -> None:
        """Note what a step tells of its progress, from whichever thread."""
        self._loop.call_soon_threadsafe(self._note_progress, current, told)

    def _note_progress(self, current: CurrentStep, told: bytes) -> None:
        if current not in self._current:
            return
        call, silence = self._current[current]
        self._journal.note(call, "intent" if call.step.once else "started", current.attempt, output=told)
        if silence is not None and not silence.expired() and call.step.heartbeat is not None:
            silence.reschedule(self._loop.time() + call.step.heartbeat)

    async def _reconcile(self, call: StepCall) -> bytes:
        """Find out about a step `once` that was begun, and whose process died; raises `NotDone` to have it done."""
        unknown = call.step.unknown
        if unknown == "retry":
            raise NotDone
        if unknown == "pause":
            raise Paused(
                f"step {call.key} was begun, and its process died: nobody knows whether it was done. Look, and resume "
                "the run to have it done again, or fork it"
            )
        with telemetry.bound(step=call.key):
            finding = StepCall(
                key=call.key, position=call.position, step=as_step(unknown), args=call.args, kwargs=call.kwargs
            )
            value = await finding.invoke(self._threads)
            return _encoded(call, await value if inspect.isawaitable(value) else value)

    async def _commit(self, call: StepCall, attempt: int, output: bytes, began: float) -> None:
        try:
            await self._journal.commit(call, "succeeded", attempt, output=output, began=began)
        except Exception as refused:  # noqa: BLE001 - Postgres will not have it, whatever the reason
            raise decide.unusable(f"what step {call.key} returned", refused) from None

    async def _pause(self, call: StepCall, pause: float) -> None:
        """Wait before another try: a short while in memory, longer by giving the run back."""
        if pause <= decide.MEMORY_PAUSE:
            await asyncio.sleep(pause)
            return
        with self._parking.parked(call.key, asyncio.get_running_loop().time() + pause):
            await asyncio.sleep(pause)

    def _measure(self, call: StepCall, began: float, outcome: str) -> None:
        took = (perf_counter() - began) * 1000
        metrics.STEP_TIME.time(took, job=self._journal.claim.job, step=call.step.name, outcome=outcome)
        if outcome != "retried":
            telemetry.log.debug(f"step.{outcome}", step=call.key, ms=round(took, 1))


def _tell_if_refused(publishing: asyncio.Future[None]) -> None:
    if not publishing.cancelled() and (error := publishing.exception()) is not None:
        telemetry.log.warning("stream.refused", error=decide.summary(error))


def _checkpoint(output: bytes | None) -> Any:
    told = None if output is None else codec.decode(output)
    return told.get("checkpoint") if isinstance(told, dict) else None


def _told(checkpoint: Any) -> bytes | None:
    return None if checkpoint is None else codec.encode({"checkpoint": checkpoint})


def _encoded(call: StepCall, value: Any) -> bytes:
    try:
        output = call.step.encode(value)
    except codec.Undecodable as error:
        raise decide.unusable(f"what step {call.key} returned", error) from None
    if len(output) > MOST_OUTPUT:
        raise decide.unusable(f"what step {call.key} returned", ValueError(f"it has over {MOST_OUTPUT} bytes of JSON"))
    return output


def _read_back(call: StepCall, output: bytes) -> Any:
    """The value as a replay will have it."""
    try:
        return call.read(output)
    except codec.Undecodable as error:
        raise decide.unusable(f"what step {call.key} returned", error) from None
