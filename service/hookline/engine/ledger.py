"""The ledger: the one way in which a worker writes, fenced by its row, many runs in one transaction."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Sequence
from typing import Any
from uuid import UUID

from msgspec.structs import replace

from hookline import metrics, telemetry
from hookline.engine.batch import Batch, Item, Nudge, Said, Send, Spawn, Subscribe, Tag, Take, Withdraw
from hookline.engine.logbook import Logbook
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
"""Seconds after which a note, or what was said, is committed though nothing else is."""


class Ledger:
    """Writes journal records, the ends of runs and claims for one worker, in one transaction at a time.

    Args:
        worker: whose row fences every transaction.
        offers: the `job@version` that it claims.
        on_control: called, after each transaction, with the runs that somebody wants something of, and what.
        log_lines: lines that are kept of what each run says.
    """

    def __init__(
        self,
        database: Database,
        worker: UUID,
        offers: Collection[str],
        on_control: Callable[[Sequence[Wanted]], None],
        log_lines: int = 0,
    ) -> None:
        self._is_sealing = database.payloads.sealing
        self._worker = worker
        self._offers = offers
        self._on_control = on_control
        self._notes: dict[tuple[UUID, str], Record] = {}
        self._log_lines = log_lines
        self._nudging = False
        self._loop = asyncio.get_running_loop()
        self._heard: dict[Logbook, None] = {}
        self._unsaid = Said([], {}, log_lines)
        self._commit: GroupCommit[Item, Any] = GroupCommit(database, self._write, name="engine")

    async def run(self) -> None:
        """Write until cancelled; raises `LeaseLost` when the worker was declared dead."""
        await self._commit.run()

    def note(self, record: Record) -> None:
        """Have `record` ride along with the next commit, if what its call settles to does not come first."""
        self._notes[record.run, record.key] = record
        if not self._nudging:
            self._nudge_later()

    def hear(self, logbook: Logbook) -> None:
        """Have what is in `logbook` ride along with the next commit; in whichever thread."""
        self._heard[logbook] = None
        if not self._nudging:
            self._loop.call_soon_threadsafe(self._nudge_later)

    def _nudge_later(self) -> None:
        if not self._nudging:
            self._nudging = True
            self._loop.call_later(NOTE_WITHIN, self._nudge)

    def _nudge(self) -> None:
        """Have a commit if none has taken the notes along, so that a step that takes long is seen to be running."""
        self._nudging = False
        if self._notes or self._heard:
            self._commit.submit(Nudge()).add_done_callback(lambda done: done.cancelled() or done.exception())

    def _all_said(self) -> Said:
        """What was said and is not committed yet."""
        said, self._unsaid = self._unsaid, Said([], {}, self._log_lines)
        while self._heard:
            logbook, _ = self._heard.popitem()
            lines, dropped = logbook.take()
            said.lines.extend(lines)
            if dropped:
                said.dropped[logbook.run] = said.dropped.get(logbook.run, 0) + dropped
        return said

    async def record(self, record: Record) -> None:
        """Commit a record."""
        self._notes.pop((record.run, record.key), None)
        await self._commit.submit(record)

    def publish(self, record: Record) -> asyncio.Future[None]:
        """Have `record` committed behind all that was handed in before, and no later than what comes after."""
        return self._commit.submit(record)

    async def tag(self, record: Record, tags: tuple[str, ...]) -> None:
        """Commit that a run has `tags`, together with the record of it."""
        await self._commit.submit(Tag(record, tags))

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
        said = self._all_said() if self._heard or self._unsaid else None
        try:
            async with transaction(connection):
                controlled = await workers.fence(connection, self._worker)
                results = await Batch(connection, self._worker, items, notes, said, again).write()
                for index, each in enumerate(items):
                    if isinstance(each, Take):
                        results[index] = await self._take(connection, each, again)
        except REFUSED:
            if said is not None:
                self._commit.submit(said).add_done_callback(_tell_if_refused)
            raise  # if it was for a note, that is gone: no outcome waits for one
        except AWAY:
            self._notes = notes | self._notes
            self._unsaid = said or self._unsaid
            raise
        if controlled:
            self._on_control(controlled)
        return results

    async def _take(self, connection: Connection, take: Take, again: bool) -> Taken:
        taken = await claims.overlooked(connection, self._worker, take.known()) if again else []
        if not taken:
            taken = await claims.claim(connection, self._worker, list(self._offers), take.limit)
        metrics.CLAIM_SIZE.set(len(taken))
        for claim in taken:
            metrics.RUNS.count(job=claim.job, state="running")
        resumed = [claim.id for claim in taken if claim.number > 1 or claim.forked]
        journals = await journal.read(connection, resumed) if resumed else {}
        return [(claim, journals.get(claim.id, [])) for claim in taken]


def _tell_if_refused(saying: asyncio.Future[None]) -> None:
    if not saying.cancelled() and (error := saying.exception()) is not None:
        telemetry.log.warning("log.refused", error=repr(error)[:500])
