"""The ledger: the one way in which a worker writes, fenced by its row, many runs in one transaction."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar
from uuid import UUID

from msgspec.structs import replace

from hookline import codec, telemetry
from hookline.store import claims, control, journal, runs, scopes, signals, waits, workers
from hookline.store.claims import Claim, Finish
from hookline.store.commit import GroupCommit
from hookline.store.database import AWAY, REFUSED, Connection, Database
from hookline.store.journal import Record
from hookline.store.runs import NewRun
from hookline.store.signals import Found, NewSignal, Sent, Want
from hookline.store.waits import NewWait
from hookline.store.workers import Wanted

Taken = list[tuple[Claim, list[Record]]]
"""Runs that were claimed, each with its journal."""

T = TypeVar("T")


class _Nudge:
    """Nothing to write but the notes."""


@dataclass(frozen=True, slots=True)
class _Take:
    limit: int
    known: Callable[[], Collection[UUID]]


@dataclass(frozen=True, slots=True)
class _Spawn:
    record: Record
    run: NewRun


@dataclass(frozen=True, slots=True)
class _Send:
    record: Record
    signal: NewSignal


@dataclass(frozen=True, slots=True)
class _Withdraw:
    """A wait for events that is over, and a child that nobody waits for any more."""

    run: UUID
    key: str
    child: UUID | None


_Subscription = tuple[Record, Sequence[NewWait]]

_Item = Record | Finish | Want | _Spawn | _Send | _Withdraw | _Take | _Nudge

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
        offers: Sequence[str],
        on_control: Callable[[Sequence[Wanted]], None],
    ) -> None:
        self._worker = worker
        self._offers = offers
        self._on_control = on_control
        self._notes: dict[tuple[UUID, str], Record] = {}
        self._nudging = False
        self._commit: GroupCommit[_Item, Any] = GroupCommit(database, self._write, name="engine")
        self._subscriptions: GroupCommit[_Subscription, None] = GroupCommit(database, self._subscribe, name="waits")

    async def run(self) -> None:
        """Write until cancelled; raises `LeaseLost`, in a group, when the worker was declared dead."""
        async with asyncio.TaskGroup() as together:
            together.create_task(self._commit.run(), name="commit")
            together.create_task(self._subscriptions.run(), name="subscriptions")

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
            self._commit.submit(_Nudge()).add_done_callback(lambda done: done.cancelled() or done.exception())

    async def record(self, record: Record) -> None:
        """Commit a record."""
        self._notes.pop((record.run, record.key), None)
        await self._commit.submit(record)

    async def finish(self, finish: Finish) -> None:
        """Commit how a run is given up."""
        await self._commit.submit(finish)

    async def claim(self, limit: int, known: Callable[[], Collection[UUID]]) -> Taken:
        """Take up to `limit` due runs; `known` says which runs are in hand, should an answer have been lost."""
        taken: Taken = await self._commit.submit(_Take(limit, known))
        return taken

    async def collect(self, want: Want) -> Found:
        """Take what has come for a wait, and record that; if nothing has, record that it waits."""
        self._notes.pop((want.record.run, want.record.key), None)
        found: Found = await self._commit.submit(want)
        return found

    async def subscribe(self, record: Record, wanted: Sequence[NewWait]) -> None:
        """Commit a wait for events: by a writer of its own, since it may have to wait for whoever stores deliveries."""
        await self._subscriptions.submit((record, wanted))

    async def withdraw(self, run: UUID, key: str, child: UUID | None = None) -> None:
        """Commit that a wait is over that nobody was given anything by."""
        await self._commit.submit(_Withdraw(run, key, child))

    async def spawn(self, record: Record, run: NewRun) -> UUID:
        """Commit a child together with the record of it; returns its id, or that of the run that was there."""
        child: UUID = await self._commit.submit(_Spawn(record, run))
        return child

    async def send(self, record: Record, signal: NewSignal) -> Sent:
        """Commit a signal to another run together with the record of it, unless it is refused."""
        sent: Sent = await self._commit.submit(_Send(record, signal))
        return sent

    async def _subscribe(
        self,
        connection: Connection,
        items: Sequence[_Subscription],
        again: bool,  # noqa: ARG002 - repeating is safe
    ) -> list[None]:
        async with connection.transaction():
            await workers.fence(connection, self._worker)
            await waits.subscribe(connection, [wait for _, wanted in items for wait in wanted])
            await journal.write(connection, [record for record, _ in items])
        return [None for _ in items]

    async def _write(self, connection: Connection, items: Sequence[_Item], again: bool) -> list[Any]:
        notes, self._notes = self._notes, {}
        try:
            async with connection.transaction():
                controlled = await workers.fence(connection, self._worker)
                results = await _Batch(connection, self._worker, items, notes, again).write()
                for index, each in enumerate(items):
                    if isinstance(each, _Take):
                        results[index] = await self._take(connection, each, again)
        except REFUSED:
            raise  # if it was for a note, that is gone: no outcome waits for one
        except AWAY:
            self._notes = notes | self._notes
            raise
        if controlled:
            self._on_control(controlled)
        return results

    async def _take(self, connection: Connection, take: _Take, again: bool) -> Taken:
        taken = await claims.overlooked(connection, self._worker, take.known()) if again else []
        if not taken:
            taken = await claims.claim(connection, self._worker, self._offers, take.limit)
        telemetry.CLAIM_SIZE.set(len(taken))
        for claim in taken:
            telemetry.RUNS.count(job=claim.job, state="running")
        resumed = [claim.id for claim in taken if claim.number > 1 or claim.forked]
        journals = await journal.read(connection, resumed) if resumed else {}
        return [(claim, journals.get(claim.id, [])) for claim in taken]


class _Batch:
    """What one transaction writes of `items`: locks in the order that all follow, then a statement a kind."""

    def __init__(
        self,
        connection: Connection,
        worker: UUID,
        items: Sequence[_Item],
        notes: dict[tuple[UUID, str], Record],
        again: bool,
    ) -> None:
        self._again = again
        self._connection = connection
        self._worker = worker
        self._items = items
        self._records = notes | {(each.run, each.key): each for each in items if isinstance(each, Record)}
        self._results: list[Any] = [None] * len(items)

    async def write(self) -> list[Any]:
        if all(isinstance(each, Record | _Take | _Nudge) for each in self._items):
            await journal.write(self._connection, list(self._records.values()))
            return self._results
        finishes = self._only(Finish)
        await self._lock(finishes)
        await self._spawn()
        await self._send()
        await self._collect()
        await self._withdraw()
        await journal.write(self._connection, list(self._records.values()))
        await claims.finish(self._connection, self._worker, finishes)
        await runs.create(self._connection, [hook for each in finishes for hook in each.hooks])
        return self._results

    def _only(self, kind: type[T]) -> list[T]:
        return [each for each in self._items if isinstance(each, kind)]

    def _indexed(self, kind: type[T]) -> list[tuple[int, T]]:
        return [(index, each) for index, each in enumerate(self._items) if isinstance(each, kind)]

    def _record(self, record: Record) -> None:
        self._records[record.run, record.key] = record

    async def _lock(self, finishes: Sequence[Finish]) -> None:
        spawned = [each.run for each in self._only(_Spawn)] + [hook for each in finishes for hook in each.hooks]
        filled = [(run.job, run.scope) for run in spawned if run.scope is not None]
        await scopes.lock(self._connection, [*claims.left_by(finishes), *filled])
        parents = claims.parents_of(finishes)
        others = [each.signal.run for each in self._only(_Send)] + [each.record.run for each in self._only(Want)]
        if parents or others or any(each.children for each in finishes):
            await signals.lock(self._connection, [*parents, *others, *(each.claim.id for each in finishes)])

    async def _spawn(self) -> None:
        spawns = self._indexed(_Spawn)
        created = await runs.create(self._connection, [each.run for _, each in spawns])
        for index, each in spawns:
            child = self._results[index] = created[each.run.id]
            self._record(replace(each.record, output=codec.encode(child)))

    async def _send(self) -> None:
        sends = self._indexed(_Send)
        told = await signals.send(self._connection, [each.signal for _, each in sends])
        for (index, each), sent in zip(sends, told, strict=True):
            self._results[index] = sent
            if sent in ("sent", "repeated"):
                self._record(each.record)

    async def _collect(self) -> None:
        wants = self._indexed(Want)
        if not wants:
            return
        found = await signals.collect(self._connection, [each for _, each in wants], self._again)
        for (index, each), what in zip(wants, found, strict=True):
            self._results[index] = what
            if what.came and each.mailbox is not None and each.settles:
                self._record(replace(each.record, state="succeeded", output=what.data, pause=None))
            elif each.is_new:
                self._record(each.record)

    async def _withdraw(self) -> None:
        withdrawn = self._only(_Withdraw)
        await waits.unsubscribe(self._connection, [(each.run, each.key) for each in withdrawn])
        await control.cancel_child(self._connection, [each.child for each in withdrawn if each.child is not None])
