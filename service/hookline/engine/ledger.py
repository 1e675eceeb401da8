"""The ledger: the one way in which a worker writes, fenced by its row, many runs in one transaction."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from uuid import UUID

from hookline import telemetry
from hookline.store import claims, journal, workers
from hookline.store.claims import Claim, Finish
from hookline.store.commit import GroupCommit
from hookline.store.database import AWAY, REFUSED, Connection, Database
from hookline.store.journal import Record

Taken = list[tuple[Claim, list[Record]]]
"""Runs that were claimed, each with its journal."""


class _Nudge:
    """Nothing to write but the notes."""


@dataclass(frozen=True, slots=True)
class _Take:
    limit: int
    known: Callable[[], Collection[UUID]]


_Item = Record | Finish | _Take | _Nudge

NOTE_WITHIN = 0.5
"""Seconds after which a note is committed though nothing else is."""


class Ledger:
    """Writes journal records, the ends of runs and claims for one worker, in one transaction at a time.

    Args:
        worker: whose row fences every transaction.
        offers: the `job@version` that it claims.
        on_control: called, after each transaction, with the runs that an operator wants something of.
    """

    def __init__(
        self,
        database: Database,
        worker: UUID,
        offers: Sequence[str],
        on_control: Callable[[Sequence[UUID]], None],
    ) -> None:
        self._worker = worker
        self._offers = offers
        self._on_control = on_control
        self._notes: dict[tuple[UUID, str], Record] = {}
        self._nudging = False
        self._commit: GroupCommit[_Item, Taken] = GroupCommit(database, self._write, name="engine")

    async def run(self) -> None:
        """Write until cancelled; raises `LeaseLost` when the worker was declared dead."""
        await self._commit.run()

    def note(self, record: Record) -> None:
        """Have `record`, which is no outcome, ride along with the next commit, if its outcome does not come first."""
        self._notes[record.run, record.key] = record
        if not self._nudging:
            self._nudging = True
            asyncio.get_running_loop().call_later(NOTE_WITHIN, self._nudge)

    def _nudge(self) -> None:
        """Have a commit if none has taken the notes along, so that a step that takes long is seen to be running."""
        self._nudging = False
        if self._notes:
            self._commit.submit(_Nudge()).add_done_callback(lambda done: done.cancelled() or done.exception())

    async def record(self, record: Record) -> None:
        """Commit an outcome."""
        self._notes.pop((record.run, record.key), None)
        await self._commit.submit(record)

    async def finish(self, finish: Finish) -> None:
        """Commit how a run is given up."""
        await self._commit.submit(finish)

    async def claim(self, limit: int, known: Callable[[], Collection[UUID]]) -> Taken:
        """Take up to `limit` due runs; `known` says which runs are in hand, should an answer have been lost."""
        return await self._commit.submit(_Take(limit, known))

    async def _write(self, connection: Connection, items: Sequence[_Item], again: bool) -> list[Taken]:
        notes, self._notes = self._notes, {}
        try:
            async with connection.transaction():
                controlled = await workers.fence(connection, self._worker)
                outcomes = [each for each in items if isinstance(each, Record)]
                await journal.write(connection, [*notes.values(), *outcomes])
                await claims.finish(connection, self._worker, [each for each in items if isinstance(each, Finish)])
                taken = [await self._take(connection, each, again) for each in items if isinstance(each, _Take)]
        except REFUSED:
            raise  # if it was for a note, that is gone: no outcome waits for one
        except AWAY:
            self._notes = notes | self._notes
            raise
        if controlled:
            self._on_control(controlled)
        results = iter(taken)
        return [next(results) if isinstance(each, _Take) else [] for each in items]

    async def _take(self, connection: Connection, take: _Take, again: bool) -> Taken:
        taken = await claims.overlooked(connection, self._worker, take.known()) if again else []
        if not taken:
            taken = await claims.claim(connection, self._worker, self._offers, take.limit)
        telemetry.CLAIM_SIZE.set(len(taken))
        for claim in taken:
            telemetry.RUNS.count(job=claim.job, state="running")
        resumed = [claim.id for claim in taken if claim.number > 1]
        journals = await journal.read(connection, resumed) if resumed else {}
        return [(claim, journals.get(claim.id, [])) for claim in taken]
