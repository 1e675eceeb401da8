"""An execution: one claimed run's job, called from the top, until it ends or is interrupted."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping
from time import perf_counter
from typing import Any

from msgspec.structs import replace

from hookline import codec, telemetry
from hookline.engine import decide
from hookline.engine.handlers import HANDLERS
from hookline.engine.journal import Journal
from hookline.engine.logbook import Logbook
from hookline.engine.parking import Parking
from hookline.engine.raised import Raised
from hookline.engine.services import Services
from hookline.engine.steps import Steps
from hookline.engine.waits import Waits
from hookline.errors import Cancelled, GivenBack, Interrupt, Paused, Suspended, TimedOut
from hookline.jobs.call import Call, Decision, WaitForCallback
from hookline.jobs.calls import Info
from hookline.jobs.context import Context
from hookline.jobs.job import Job
from hookline.jobs.step import Undo
from hookline.store.claims import Claim
from hookline.store.finishes import Finish
from hookline.store.journal import Record


class Execution:
    """Runs a job's function for one claim, doing each of its calls once."""

    def __init__(self, claim: Claim, job: Job, journal: Journal, services: Services) -> None:
        self.claim = claim
        self._job = job
        self._journal = journal
        self._services = services
        self._began = perf_counter()
        self._task: asyncio.Task[Any] | None = None
        self._interrupt: Interrupt | None = None
        self._closing: Interrupt | None = None
        self._making_up = False
        self._next_due: float | None = None
        self._raised = Raised()
        self._undo: list[Undo] = []
        self._redo: list[str] = []
        self._parking = Parking(self._on_idle)
        self.steps = Steps(journal, self._parking, services.threads)
        self._waiting: Waits | None = None
        self._logbook = Logbook(claim, services.ledger, lambda: self.clock, services.log_lines)

    async def run(self) -> Finish | None:
        """Call the job; returns how its run is to be given up, or `None` if nothing may be written of it."""
        self._task = asyncio.current_task()
        self._closing = self._ended_already()
        timer = self._timer() if self._closing is None else None
        if self._services.log_lines:
            telemetry.keep_by(self._logbook.say)
        try:
            finish = await self._outcome()
            if self._services.rehearsing:
                return finish
            if finish is not None and finish.state in ("failed", "cancelled") and self._undo:
                finish = await self._compensated(finish)
            return self._accompanied(finish)
        finally:
            self._logbook.close()
            self._task = None
            self._parking.close()
            self._note_interrupt(GivenBack("this execution is over"))
            if timer is not None:
                timer.cancel()

    def interrupt(self, cause: Interrupt) -> None:
        """End the execution: whatever it awaits is cancelled, and every further call raises `cause`."""
        if self._making_up and isinstance(cause, Cancelled | TimedOut):
            return
        if self._interrupt is None:
            self._interrupt = cause
            self.steps.cancel()
            if self._task is not None:
                self._task.cancel()

    def close(self, cause: Interrupt) -> None:
        """End the execution once the steps that it is in have ended: whatever it calls then does not begin."""
        if not self._making_up:
            self._closing = self._closing or cause
            self._parking.consider()

    def want(self, wanted: str) -> None:
        """Do what somebody wants of the run: `cancel`, `pause`, or read its `mail`."""
        match wanted:
            case "cancel":
                self.interrupt(Cancelled("cancelled by an operator"))
            case "pause":
                self.close(Paused("paused by an operator"))
            case _:
                if self._waiting is not None:
                    self._waiting.ring()

    # What an engine does for a Context

    @property
    def replaying(self) -> bool:
        """Whether what is asked for is still what was recorded."""
        return self._journal.is_replaying

    def said_before(self, level: str, event: str, fields: Mapping[str, Any]) -> None:
        """The job says what it has said before."""
        self._logbook.pass_over(level, event, fields)

    def knows(self, path: str) -> bool:
        """Whether anything is recorded at `path` or under it."""
        return self._journal.knows(path)

    @property
    def clock(self) -> float:
        """The database's time, in seconds since the epoch."""
        return self.claim.clock + perf_counter() - self._began

    async def perform(self, call: Call) -> Any:
        """Return or raise what is recorded of `call`; if nothing is, do it and record it."""
        if self._interrupt is not None:
            raise self._interrupt
        with self._parking:
            try:
                return await self._answer(call)
            except Interrupt as interrupt:
                self._note_interrupt(interrupt)
                raise

    async def recall(self, decision: Decision) -> bytes | None:
        """What was decided, as JSON; `None` if nothing was."""
        record = self._journal.recall(decision)
        return None if record is None else record.output

    async def decide(self, decision: Decision, output: bytes) -> None:
        """Record what is decided."""
        if self._interrupt is not None:
            raise self._interrupt
        with self._parking:
            if self._closing is not None:
                await self._stay_out(decision)
            await self._journal.commit(decision, "succeeded", output=output)

    async def abandon(self, paths: Collection[str]) -> None:
        """Nobody waits any more for the calls at `paths`, or for those under them."""
        with self._parking:
            await self.waits.withdraw(paths, self._journal.abandon(paths))

    def moves(self, more: int) -> None:
        """So many more branches of the job move, or go on to move; the job does not while it waits for them."""
        self._parking.moves(more)

    def redo(self, paths: Collection[str]) -> None:
        """Should the run fail and be tried again, what is recorded at `paths` and under them is done again."""
        self._redo += paths

    def patched(self, key: str, position: int) -> bool:
        """Whether the run takes the new way at the patch `key`."""
        return self._journal.patched(key, position)

    def compensate(self, call: Undo) -> None:
        """Have the step call done if the run fails or is cancelled."""
        self._undo.append(call)
        if self._journal.skip(call.key) is None:
            self._journal.note(call, "waiting")

    # How it ends

    def _note_interrupt(self, cause: Interrupt) -> None:
        """The first cause is the one that counts."""
        if self._interrupt is None:
            self._interrupt = cause

    def _ended_already(self) -> Interrupt | None:
        """Why nothing new is to be done: then the job is only called to see what it has to compensate for."""
        if self._services.rehearsing:
            return GivenBack("this was a rehearsal")
        if self.claim.control == "cancel":
            return Cancelled("cancelled by an operator")
        if self.claim.control == "pause":
            return Paused("paused by an operator")
        if self._job.timeout is not None and self.claim.age >= self._job.timeout:
            return TimedOut()
        return None

    async def _answer(self, call: Call) -> Any:
        record = await self._journal.ask(call)
        if record is not None and (record.settled or _only_opens(call)):
            return self._replay(call, record)
        if self._closing is not None:
            await self._stay_out(call)
        try:
            value = await HANDLERS[type(call)](self)(call, record)
        except Exception as error:
            self._raised.note(error, call.key)
            raise
        if self._services.always_replay:
            self.interrupt(GivenBack("replayed after each call"))
            await asyncio.sleep(0)  # where the cancellation arrives
        return value

    async def _stay_out(self, call: Call) -> None:
        with self._parking.parked(call.key, None):
            await asyncio.Event().wait()

    async def _outcome(self) -> Finish | None:
        try:
            if self._interrupt is None:
                self._journal.check_open()
                output = await self._call_job()
                if self._interrupt is None:
                    self._journal.check_complete()
                    return decide.succeeded(self.claim, output)
        except Interrupt as interrupt:
            self._note_interrupt(interrupt)
        except Exception as error:  # noqa: BLE001 - whatever the job raises is the run's outcome
            if self._interrupt is None:
                return decide.failed(self.claim, self._job, error, [*self._raised.keys(error), *self._redo])
        except KeyboardInterrupt:
            raise
        except BaseException as error:
            if self._interrupt is None:
                if isinstance(error, asyncio.CancelledError) and self._task and self._task.cancelling():
                    raise
                return decide.failed(self.claim, self._job, decide.stray(error), [])
        assert self._interrupt is not None  # noqa: S101 - every way here set it
        if self._task is not None:
            self._task.uncancel()
        return decide.interrupted(self.claim, self._job, self._interrupt, self._next_due)

    async def _call_job(self) -> bytes:
        claim = self.claim
        info = Info(claim.id, claim.job, claim.version, claim.attempt, claim.scope, claim.delivery, claim.parent)
        output = await self._job.call(Context(self, info), self._job.argument(claim.input, claim.event))
        return codec.encode(output)

    async def _compensated(self, finish: Finish) -> Finish | None:
        """Do what makes up for what the run has done, the last first; what fails is told, and the rest is done."""
        self._interrupt, self._closing, self._making_up = None, None, True
        failures: dict[str, str] = {}
        for call in reversed(self._undo):
            try:
                await self.perform(call)
            except Exception as error:  # noqa: BLE001 - it is recorded, and told in the reason
                failures[call.key] = decide.summary(error)
            except Interrupt as interrupt:
                return decide.interrupted(self.claim, self._job, interrupt, None)
            except asyncio.CancelledError:
                if self._interrupt is None:
                    raise
                return decide.interrupted(self.claim, self._job, self._interrupt, None)
        return decide.not_made_up_for(finish, failures)

    def _accompanied(self, finish: Finish | None) -> Finish | None:
        """`finish`, with what is to be written along with it."""
        if finish is None:
            return None
        hooks = decide.hooks(finish, self._job, self._services.jobs) if self._job.hooks else ()
        if not hooks and self._waiting is None and not self._journal.is_resumed:
            return finish
        return replace(finish, hooks=hooks, waits=self.waits.subscribed, children=self.waits.spawned)

    @property
    def waits(self) -> Waits:
        """What does the waits, made when there is one."""
        if self._waiting is None:
            self._waiting = Waits(self._journal, self._parking, self._services)
        return self._waiting

    def _replay(self, call: Call, record: Record) -> Any:
        if _only_opens(call):
            return self._services.address(self.claim.id, call.key)
        if record.error is not None:
            error = decide.rebuild(record.error)
            self._raised.note(error, call.key)
            raise error
        return call.read(codec.NULL if record.output is None else record.output)

    def _on_idle(self, due: float | None) -> None:
        """All that the job does is wait: give the run back, unless it goes on in a moment."""
        if self._closing is not None:
            self.interrupt(self._closing)
            return
        left = None if due is None else max(0.0, due - asyncio.get_running_loop().time())
        if left is None or left > decide.MEMORY_PAUSE:
            self._next_due = left
            self.interrupt(Suspended(""))

    def _timer(self) -> asyncio.TimerHandle | None:
        if self._job.timeout is None:
            return None
        left = max(0.0, self._job.timeout - self.claim.age)
        return asyncio.get_running_loop().call_later(left, self.interrupt, TimedOut())


def _only_opens(call: Call) -> bool:
    """Whether `call` opens a callback, which is done once it is recorded that it waits."""
    return isinstance(call, WaitForCallback) and call.opening
