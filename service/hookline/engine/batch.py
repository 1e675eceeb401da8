"""A batch: all that one transaction of a worker writes, in the order of locks that everybody follows."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar
from uuid import UUID

from msgspec.structs import replace

from hookline import codec
from hookline.store import control, correlation, finishes, journal, logs, runs, scopes, signals, waits
from hookline.store.database import Connection
from hookline.store.finishes import Finish
from hookline.store.journal import Record
from hookline.store.logs import Line
from hookline.store.runs import NewRun
from hookline.store.signals import NewSignal, Want
from hookline.store.waits import NewWait

T = TypeVar("T")


class Nudge:
    """Nothing to write but the notes."""


@dataclass(frozen=True, slots=True)
class Said:
    """What runs have said, how many lines of each were dropped, and how many of each are kept at most."""

    lines: list[Line]
    dropped: dict[UUID, int]
    most: int

    def __bool__(self) -> bool:
        return bool(self.lines or self.dropped)


@dataclass(frozen=True, slots=True)
class Take:
    limit: int
    known: Callable[[], Collection[UUID]]


@dataclass(frozen=True, slots=True)
class Spawn:
    record: Record
    run: NewRun


@dataclass(frozen=True, slots=True)
class Send:
    record: Record
    signal: NewSignal


@dataclass(frozen=True, slots=True)
class Tag:
    record: Record
    tags: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Subscribe:
    record: Record
    waits: Sequence[NewWait]


@dataclass(frozen=True, slots=True)
class Withdraw:
    """A wait for events that is over, and a child that nobody waits for any more."""

    run: UUID
    key: str
    child: UUID | None


Item = Record | Finish | Want | Spawn | Send | Tag | Subscribe | Withdraw | Take | Nudge | Said


class Batch:
    """What one transaction writes of `items`: locks in the order that all follow, then a statement a kind."""

    def __init__(
        self,
        connection: Connection,
        worker: UUID,
        items: Sequence[Item],
        notes: dict[tuple[UUID, str], Record],
        said: Said | None,
        again: bool,
    ) -> None:
        self._said = said
        self._again = again
        self._connection = connection
        self._worker = worker
        self._items = items
        self._records = notes | {(each.run, each.key): each for each in items if isinstance(each, Record)}
        self._results: list[Any] = [None] * len(items)

    async def write(self) -> list[Any]:
        for said in (self._said, *self._only(Said)):
            if said is not None:
                await logs.write(self._connection, said.lines, said.dropped, said.most)
        if all(isinstance(each, Record | Take | Nudge | Said) for each in self._items):
            await journal.write(self._connection, list(self._records.values()))
            return self._results
        given_up = self._only(Finish)
        await self._lock(given_up)
        await self._spawn()
        await self._send()
        await self._tag()
        await self._collect()
        await self._subscribe()
        await self._withdraw()
        await journal.write(self._connection, list(self._records.values()))
        await finishes.finish(self._connection, self._worker, given_up)
        started = [hook for each in given_up for hook in each.hooks]
        if followed := finishes.followed(given_up):
            started += await runs.untaken(self._connection, followed)
        await runs.create(self._connection, started)
        return self._results

    def _only(self, kind: type[T]) -> list[T]:
        return [each for each in self._items if isinstance(each, kind)]

    def _indexed(self, kind: type[T]) -> list[tuple[int, T]]:
        return [(index, each) for index, each in enumerate(self._items) if isinstance(each, kind)]

    def _record(self, record: Record) -> None:
        self._records[record.run, record.key] = record

    async def _lock(self, given_up: Sequence[Finish]) -> None:
        spawned = [each.run for each in self._only(Spawn)] + [hook for each in given_up for hook in each.hooks]
        filled = [(run.job, run.scope) for run in spawned if run.scope is not None]
        if followed := finishes.followed(given_up):
            filled += await correlation.scopes(self._connection, followed)
        await scopes.lock(self._connection, [*finishes.left_by(given_up), *filled])
        parents = finishes.parents_of(given_up)
        others = [each.signal.run for each in self._only(Send)]
        others += [each.record.run for each in self._items if isinstance(each, Want | Tag)]
        if parents or others or any(each.children for each in given_up):
            await signals.lock(self._connection, [*parents, *others, *(each.claim.id for each in given_up)])

    async def _spawn(self) -> None:
        spawns = self._indexed(Spawn)
        created = await runs.create(self._connection, [each.run for _, each in spawns])
        for index, each in spawns:
            child = self._results[index] = created[each.run.id]
            self._record(replace(each.record, output=codec.encode(child)))

    async def _send(self) -> None:
        sends = self._indexed(Send)
        told = await signals.send(self._connection, [each.signal for _, each in sends])
        for (index, each), sent in zip(sends, told, strict=True):
            self._results[index] = sent
            if sent in ("sent", "repeated"):
                self._record(each.record)

    async def _tag(self) -> None:
        tags: dict[UUID, set[str]] = {}
        for each in self._only(Tag):
            tags.setdefault(each.record.run, set()).update(each.tags)
            self._record(each.record)
        await runs.tag(self._connection, tags)

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

    async def _subscribe(self) -> None:
        subscribed = self._only(Subscribe)
        await waits.subscribe(self._connection, [wait for each in subscribed for wait in each.waits])
        for each in subscribed:
            self._record(each.record)

    async def _withdraw(self) -> None:
        withdrawn = self._only(Withdraw)
        await waits.unsubscribe(self._connection, [(each.run, each.key) for each in withdrawn])
        await control.cancel_child(self._connection, [each.child for each in withdrawn if each.child is not None])
