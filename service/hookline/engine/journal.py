"""The journal of one execution: what was recorded before, what is recorded now, and whether the two agree."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager
from time import perf_counter

from hookline import codec, telemetry
from hookline.codec import check_open
from hookline.engine.ledger import Ledger
from hookline.errors import KeyMissing, NonDeterminism, Unsealable
from hookline.jobs.call import Call, Stream, Tag
from hookline.store.claims import Claim
from hookline.store.journal import Outcome, Record

GRACE = 1.0
"""Seconds that a new call waits for other branches to ask for what is recorded, before it is called a divergence."""

ADVICE = "its code has changed under this run; give the changed job a new version, or bring the old code back"


class Journal:
    """Reads and extends the journal of one claimed run.

    Args:
        records: what was recorded under earlier claims.
    """

    def __init__(self, claim: Claim, records: Iterable[Record], ledger: Ledger) -> None:
        self.claim = claim
        self._ledger = ledger
        self._records = {record.key: record for record in records if record.state != "abandoned"}
        self._unasked = set(self._records)
        self._replayed = asyncio.Event()
        self._note_progress()

    @property
    def is_replaying(self) -> bool:
        """Whether something is recorded that the job has not asked for yet."""
        return bool(self._unasked)

    @property
    def is_resumed(self) -> bool:
        """Whether anything was recorded under earlier claims."""
        return bool(self._records)

    def has(self, kind: str) -> bool:
        """Whether a call of this kind is recorded."""
        return any(record.kind == kind for record in self._records.values())

    def knows(self, path: str) -> bool:
        """Whether anything is recorded at `path` or under it."""
        return path in self._records or any(key.startswith(f"{path}/") for key in self._records)

    def settled(self, kind: str) -> list[Record]:
        """The outcomes of calls of this kind."""
        return [record for record in self._records.values() if record.kind == kind and record.settled]

    def check_open(self) -> None:
        """Return if all of the run could be opened that rests encrypted; raises `KeyMissing`."""
        recorded = (value for each in self._records.values() for value in (each.output, each.error))
        with opening():
            check_open(self.claim.input, self.claim.event, *recorded)

    async def ask(self, call: Call) -> Record | None:
        """What was recorded of `call`: an outcome, how far it came, or nothing.

        Raises:
            NonDeterminism: the journal holds what the job no longer asks for; it asks for something new in its
                place.
        """
        record = self._records.get(call.key)
        if record is None:
            if not self._replayed.is_set():
                await self._catch_up(call)
            return None
        self.recall(call)
        if record.settled and record.arguments != call.fingerprint:
            telemetry.log.warning("step.arguments_changed", step=call.key, effect="the recorded outcome stands")
        return record

    def recall(self, call: Call) -> Record | None:
        """What was recorded of `call`, if anything was; raises `NonDeterminism` if that was something else."""
        record = self.skip(call.key)
        if record is not None and record.kind != call.kind:
            raise NonDeterminism(
                f"the job asks for {call.kind} {call.key} where the journal holds {record.kind} {record.key}: {ADVICE}"
            )
        return record

    def skip(self, key: str) -> Record | None:
        """What is recorded under `key`, which counts as asked for."""
        if key in self._unasked:
            self._unasked.discard(key)
            self._note_progress()
        return self._records.get(key)

    def abandon(self, paths: Collection[str]) -> list[Record]:
        """What is recorded at `paths` and under them, which the job need not ask for."""
        lost = set(paths)
        found = [record for key, record in self._records.items() if lost & set(_ancestry(key))]
        self._unasked -= {record.key for record in found}
        self._note_progress()
        return found

    def check_complete(self) -> None:
        """Return if the job asked for all that is recorded before it returned; raises `NonDeterminism`."""
        if self._unasked:
            raise NonDeterminism(
                f"the job returned without asking for {self.missing()}, which the journal holds: {ADVICE}"
            )

    def missing(self) -> str:
        """What is recorded and was not asked for, for people; the first few."""
        unasked = sorted(self._unasked, key=lambda key: self._records[key].position)
        return ", ".join(f"{self._records[key].kind} {key}" for key in unasked[:3])

    def patched(self, key: str, position: int) -> bool:
        """Whether the run takes the new way at the patch `key`: it has before, or it gets here for the first time."""
        if self.skip(key) is not None:
            return True
        if self._unasked:
            return False
        record = Record(self.claim.id, key, position, self.claim.number, 1, "patch", "succeeded", output=b"true")
        self._records[key] = record
        self._ledger.note(record)
        return True

    def note(
        self, call: Call, state: Outcome, attempt: int = 1, *, output: bytes | None = None,
        error: bytes | None = None, pause: float | None = None, elapsed: float = 0.0,
    ) -> None:  # fmt: skip
        """Have it recorded along with the next commit how far `call` is."""
        self._ledger.note(self.record(call, state, attempt, output=output, error=error, pause=pause, elapsed=elapsed))

    async def commit(
        self, call: Call, state: Outcome, attempt: int = 1, *, output: bytes | None = None,
        error: bytes | None = None, pause: float | None = None, began: float | None = None,
    ) -> None:  # fmt: skip
        """Commit what became of `call`, which began when `perf_counter` was at `began`."""
        elapsed = 0.0 if began is None else perf_counter() - began
        await self._ledger.record(
            self.record(call, state, attempt, output=output, error=error, pause=pause, elapsed=elapsed)
        )

    async def tag(self, call: Tag) -> None:
        """Commit that the run has the tags of `call`, and that it was given them."""
        await self._ledger.tag(self.record(call, "succeeded", output=codec.NULL), call.tags)

    def publish(self, call: Stream) -> asyncio.Future[None]:
        """Have what `call` publishes committed, before all that is recorded from now on."""
        return self._ledger.publish(self.record(call, "succeeded", output=call.data))

    def record(
        self, call: Call, state: Outcome, attempt: int = 1, *, output: bytes | None = None,
        error: bytes | None = None, pause: float | None = None, elapsed: float = 0.0,
    ) -> Record:  # fmt: skip
        """A record of `call`, to be written under this claim."""
        return Record(
            run=self.claim.id,
            key=call.key,
            position=call.position,
            claim=self.claim.number,
            attempt=attempt,
            kind=call.kind,
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
                f"the job asks for {call.kind} {call.key}, which is new, where the journal holds {self.missing()}: "
                f"{ADVICE}"
            ) from None

    def _note_progress(self) -> None:
        if not self._unasked:
            self._replayed.set()


@contextmanager
def opening() -> Iterator[None]:
    """Within the block what cannot be opened gives the run back, and is nothing that its code could catch.

    Raises:
        KeyMissing: it could not be.
    """
    try:
        yield
    except Unsealable as error:
        raise KeyMissing(str(error)) from None


def _ancestry(key: str) -> Iterable[str]:
    """`key` and the paths that it is under: `a/b/c`, `a/b`, `a`."""
    while key:
        yield key
        key = key.rpartition("/")[0]
