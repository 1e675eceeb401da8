"""The ledger: the one way in which a worker writes, fenced by its row, many runs in one transaction."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Sequence
from typing import Any
from uuid import UUID

from msgspec.structs import replace

from hookline import telemetry
from hookline.engine.batch import Batch, Item, Nudge, Send, Spawn, Subscribe, Take, Withdraw
from hookline.store import claims, journal, workers
from hookline.store.claims import Claim
from hookline.store.commit import GroupCommit
from hookline.store.database import AWAY, REFUSED, Connection, Database, transaction
from hookline.store.finishes import Finish
from hookline.store.journal import Record
from hookline.store.runs import NewRun
from hookline.store.signals import Found, NewSignal, Sent, Want
from hookline.store.waits import NewWait
from hookline.store.workers import Wanted

Taken = list[tuple[Claim, list[Record]]]
"""Runs that were claimed, each with its journal."""

NOTE_WITHIN = 0.5
"""Seconds after which a note is committed though nothing else is."""


class Ledger:
    """Writes journal records, the ends of runs and claims for one worker, in one transaction at a time.

    Args:
        worker: whose row fences every transaction.
        offers: the `job@version` that it claims.
        on_control: called, after each transaction, with the runs that somebody wants something of, and what.
    """

    def __init__(
        self,
        database: Database,
        worker: UUID,
        offers: Collection[str],
        on_control: Callable[[Sequence[Wanted]], None],
    ) -> None:
        self._is_sealing = database.payloads.sealing
        self._worker = worker
        self._offers = offers
        self._on_control = on_control
        self._notes: dict[tuple[UUID, str], Record] = {}
        self._nudging = False
        self._commit: GroupCommit[Item, Any] = GroupCommit(database, self._write, name="engine")

    async def run(self) -> None:
        """Write until cancelled; raises `LeaseLost` when the worker was declared dead."""
        await self._commit.run()

    def note(self, record: Record) -> None:
        """Have `record` ride along with the next commit, if what its call settles to does not come first."""
        self._notes[record.run, record.key] = record
        if not self._nudging:
            self._nudging = True
            asyncio.get_running_loop().call_later(NOTE_WITHIN, self._nudge)

    def _nudge(self) -> None:
        """Have a commit if none has taken the notes along, so that a step that takes long is seen to be running."""
        self._nudging = False
        if self._notes:
            self._commit.submit(Nudge()).add_done_callback(lambda done: done.cancelled() or done.exception())

    async def record(self, record: Record) -> None:
        """Commit a record."""
        self._notes.pop((record.run, record.key), None)
        await self._commit.submit(record)

    def publish(self, record: Record) -> asyncio.Future[None]:
        """Have `record` committed behind all that was handed in before, and no later than what comes after."""
        return self._commit.submit(record)

    async def finish(self, finish: Finish) -> None:
        """Commit how a run is given up."""
        await self._commit.submit(self.discreet(finish))

    def discreet(self, finish: Finish) -> Finish:
        """`finish` as it may be told: where payloads rest encrypted a reason, which does not, quotes none."""
        if not self._is_sealing or finish.bare is None:
            return finish
        return replace(finish, reason=finish.bare, bare=None)

    async def claim(self, limit: int, known: Callable[[], Collection[UUID]]) -> Taken:
        """Take up to `limit` due runs; `known` says which runs are in hand, should an answer have been lost."""
        taken: Taken = await self._commit.submit(Take(limit, known))
        return taken

    async def collect(self, want: Want) -> Found:
        """Take what has come for a wait, and record that; if nothing has, record that it waits."""
        self._notes.pop((want.record.run, want.record.key), None)
        found: Found = await self._commit.submit(want)
        return found

    async def subscribe(self, record: Record, wanted: Sequence[NewWait]) -> None:
        """Commit a wait for events, which looks back afterwards."""
        await self._commit.submit(Subscribe(record, wanted))

    async def withdraw(self, run: UUID, key: str, child: UUID | None = None) -> None:
        """Commit that a wait is over that nobody was given anything by."""
        await self._commit.submit(Withdraw(run, key, child))

    async def spawn(self, record: Record, run: NewRun) -> UUID:
        """Commit a child together with the record of it; returns its id, or that of the run that was there."""
        child: UUID = await self._commit.submit(Spawn(record, run))
        return child

    async def send(self, record: Record, signal: NewSignal) -> Sent:
        """Commit a signal to another run together with the record of it, unless it is refused."""
        sent: Sent = await self._commit.submit(Send(record, signal))
        return sent

    async def _write(self, connection: Connection, items: Sequence[Item], again: bool) -> list[Any]:
        notes, self._notes = self._notes, {}
        try:
            async with transaction(connection):
                controlled = await workers.fence(connection, self._worker)
                results = await Batch(connection, self._worker, items, notes, again).write()
                for index, each in enumerate(items):
                    if isinstance(each, Take):
                        results[index] = await self._take(connection, each, again)
        except REFUSED:
            raise  # if it was for a note, that is gone: no outcome waits for one
        except AWAY:
            self._notes = notes | self._notes
            raise
        if controlled:
            self._on_control(controlled)
        return results

    async def _take(self, connection: Connection, take: Take, again: bool) -> Taken:
        taken = await claims.overlooked(connection, self._worker, take.known()) if again else []
        if not taken:
            taken = await claims.claim(connection, self._worker, list(self._offers), take.limit)
        telemetry.CLAIM_SIZE.set(len(taken))
        for claim in taken:
            telemetry.RUNS.count(job=claim.job, state="running")
        resumed = [claim.id for claim in taken if claim.number > 1 or claim.forked]
        journals = await journal.read(connection, resumed) if resumed else {}
        return [(claim, journals.get(claim.id, [])) for claim in taken]
