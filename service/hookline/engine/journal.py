"""The journal of one execution: what was recorded before, what is recorded now, and whether the two agree."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from time import perf_counter

from hookline import telemetry
from hookline.engine.ledger import Ledger
from hookline.errors import NonDeterminism
from hookline.jobs.step import Call
from hookline.store.claims import Claim
from hookline.store.journal import Outcome, Record

GRACE = 1.0
"""Seconds that a new call waits for other branches to ask for what is recorded, before it is called a divergence."""


class Journal:
    """Reads and extends the journal of one claimed run.

    Args:
        records: what was recorded under earlier claims.
    """

    def __init__(self, claim: Claim, records: Iterable[Record], ledger: Ledger) -> None:
        self._claim = claim
        self._ledger = ledger
        self._records = {record.key: record for record in records}
        self._unasked = {record.key for record in self._records.values() if record.settled}
        self._replayed = asyncio.Event()
        self._note_progress()

    async def ask(self, call: Call) -> Record | None:
        """What was recorded of `call`: an outcome, a note of how far it came, or nothing.

        Raises:
            NonDeterminism: the journal holds outcomes that the job no longer asks for; it asks for something
                new in their place.
        """
        record = self._records.get(call.key)
        if record is not None and record.settled:
            self._unasked.discard(call.key)
            self._note_progress()
            if record.arguments != call.fingerprint:
                telemetry.log.warning("step.arguments_changed", step=call.key, effect="the recorded outcome stands")
            return record
        if not self._replayed.is_set():
            await self._catch_up(call)
        return record

    def check_complete(self) -> None:
        """Return if the job asked for all that is recorded before it returned; raises `NonDeterminism`."""
        if self._unasked:
            raise NonDeterminism(
                f"the job returned without asking for {self._missing()}, which the journal holds: its code has "
                "changed under this run; give the changed job a new version, or bring the old code back"
            )

    def started(self, call: Call, attempt: int) -> None:
        """Note that try number `attempt` of `call` is under way."""
        self._ledger.note(self._record(call, "started", attempt))

    def retrying(self, call: Call, attempt: int, error: bytes, pause: float) -> None:
        """Note that try number `attempt` of `call` failed and another follows in `pause` seconds."""
        self._ledger.note(self._record(call, "retrying", attempt, error=error, pause=pause))

    async def succeeded(self, call: Call, attempt: int, output: bytes, began: float) -> None:
        """Commit what `call` returned."""
        await self._ledger.record(
            self._record(call, "succeeded", attempt, output=output, elapsed=perf_counter() - began)
        )

    async def failed(self, call: Call, attempt: int, error: bytes, began: float) -> None:
        """Commit what `call` finally raised."""
        await self._ledger.record(self._record(call, "failed", attempt, error=error, elapsed=perf_counter() - began))

    def _record(
        self,
        call: Call,
        state: Outcome,
        attempt: int,
        *,
        output: bytes | None = None,
        error: bytes | None = None,
        elapsed: float = 0.0,
        pause: float = 0.0,
    ) -> Record:
        return Record(
            run=self._claim.id,
            key=call.key,
            position=call.position,
            claim=self._claim.number,
            attempt=attempt,
            kind="step",
            state=state,
            arguments=call.fingerprint,
            output=output,
            error=error,
            elapsed=elapsed,
            pause=pause,
        )

    async def _catch_up(self, call: Call) -> None:
        try:
            async with asyncio.timeout(GRACE):
                await self._replayed.wait()
        except TimeoutError:
            raise NonDeterminism(
                f"the job asks for step {call.key}, which is new, where the journal holds {self._missing()}: its "
                "code has changed under this run; give the changed job a new version, or bring the old code back"
            ) from None

    def _missing(self) -> str:
        unasked = sorted(self._unasked, key=lambda key: self._records[key].position)
        return ", ".join(f"{self._records[key].kind} {key}" for key in unasked[:3])

    def _note_progress(self) -> None:
        if not self._unasked:
            self._replayed.set()
