"""The intake: takes what came in, has it examined, and commits it with the runs that it starts."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any
from uuid import UUID

import asyncpg
from msgspec.structs import replace

from hookline import metrics
from hookline.app import App
from hookline.errors import Rejected
from hookline.events import Pong, Trigger
from hookline.ingress.alarms import Alarms
from hookline.ingress.examination import PING, examine, key_again, remembered
from hookline.ingress.examiner import Examiner
from hookline.ingress.patience import Patience
from hookline.ingress.receipt import Receipt, settled
from hookline.ingress.schemes import Received
from hookline.ingress.sources import Source
from hookline.jobs.job import Job
from hookline.peek import LARGE
from hookline.starts import asked_for
from hookline.store import deliveries, runs, signals
from hookline.store.commit import GroupCommit
from hookline.store.database import Connection, Database, transaction
from hookline.store.delivery import NewDelivery, Stored, under
from hookline.store.runs import NewRun
from hookline.store.signals import NewSignal, Sent

FEW, BATCH = 16, 64
"""Deliveries in one transaction: all of a few that wait, half of more, and so many at most.

Measured: while Postgres writes half of them, this process is as long busy with the other half. With larger batches the
two take turns, and a third of the rate is lost; with never more than a few, a sixth where a hundred wait.
"""

DISCREET = "why may quote what rests encrypted: rehearse a replay of it, and it is told"

Commit = GroupCommit[NewDelivery | NewRun | NewSignal, Stored | UUID | Sent]


class Intake:
    """Accepts deliveries and triggers; what it returns for is committed.

    Args:
        timeout: seconds that Postgres has to commit, before the sender is asked to come again.
    """

    def __init__(self, app: App, database: Database, *, timeout: float) -> None:
        self._jobs: Mapping[str, Job] = app.latest
        self._timeout = timeout
        self._patience = Patience(timeout)
        self._database = database
        self._payloads = database.payloads
        self._write = partial(_write, Alarms(app.latest))
        self._large = asyncio.Lock()  # the threads of several would keep the loop waiting for all of them
        self._commit: Commit = GroupCommit(database, self._write, name="intake", limit=BATCH, few=FEW)
        self._aside: Commit = GroupCommit(database, self._write, name="intake_large", limit=1)
        self._examiner = Examiner(partial(examine, jobs=self._jobs), self._hand_in)

    async def run(self) -> None:
        """Write until cancelled; what is large by a connection of its own, so that nothing small waits behind it."""
        async with asyncio.TaskGroup() as writing:
            writing.create_task(self._commit.run())
            writing.create_task(self._aside.run())

    async def receive(self, source: Source, received: Received) -> Receipt:
        """Verify, parse, bind and commit a delivery.

        Raises:
            Rejected: it is not authentic; nothing is kept of it.
            TooOften: it is authentic, but the source's rate is used up.
            Unavailable: it could not be committed in time; it may be sent again.
        """
        try:
            if len(received.body) > LARGE:
                examined, pong = await self.examined(source, received)
                source.quota.spend()
                return await self._taken_in(source, examined, pong)
            arrival = self._examiner.take(source, received)
            self._patience.limit(arrival.committed)
            stored = await arrival.committed
            return settled(source, arrival.new, stored, arrival.pong)
        except Rejected as rejected:
            metrics.REJECTED.count(source=source.name, reason=rejected.reason)
            raise

    async def replay(self, source: Source, kept: asyncpg.Record, id_: UUID) -> Receipt:
        """Take a delivery that is kept in again, through today's parser and jobs.

        A quarantined one becomes what it should have been, under the key that it should have had, if nothing could
        identify it; what came under that key meanwhile was the same delivery, of which this one is a duplicate. Of
        another a new one is made, which starts new runs.

        Args:
            id_: of the delivery that is made; the same again makes no other.

        Raises:
            Unavailable: it could not be committed in time; it may be asked for again.
        """
        examined, pong = await self.examined(*remembered(source, kept))
        if kept["status"] == "quarantined":
            again = under(replace(examined, key=key_again(kept["key"], examined)), kept["id"])
        else:
            again = under(replace(examined, key=f"{kept['key']}#{id_}", replay_of=kept["id"]), id_)
        return await self._taken_in(source, again, pong)

    async def _taken_in(self, source: Source, new: NewDelivery, pong: Pong | None) -> Receipt:
        new = self._discreet(new)
        if len(new.body) > LARGE:
            new = replace(new, rest=await self._at_rest(new.body))
        stored = await self._committed(new)
        assert isinstance(stored, Stored)  # noqa: S101 - a delivery was handed in
        return settled(source, new, stored, pong)

    def _hand_in(self, new: NewDelivery, committed: asyncio.Future[Any]) -> None:
        self._commit.submit(self._discreet(new), committed)

    def _discreet(self, new: NewDelivery) -> NewDelivery:
        if not self._payloads.sealing:
            return new
        return replace(new, bare=None if new.reason in (None, PING) else DISCREET)

    async def _at_rest(self, body: bytes) -> bytes:
        """A large body as it is stored, found in a thread."""
        async with self._large:
            return await asyncio.to_thread(self._payloads.body_at_rest, body)

    async def examined(self, source: Source, received: Received) -> tuple[NewDelivery, Pong | None]:
        """What `received` is and what it would start; nothing is written. Raises `Rejected`.

        A large body is examined in a thread, so that the loop goes on serving the others.
        """
        if len(received.body) > LARGE:
            async with self._large:
                return await asyncio.to_thread(examine, source, received, self._jobs)
        return examine(source, received, self._jobs)

    async def start(self, trigger: Trigger) -> tuple[UUID, bool]:
        """Commit the run that `trigger` asks for; returns its id, and whether it is new.

        Raises:
            InvalidInput: it cannot be started; `UnknownJob` if there is no such job.
            Unavailable: it could not be committed in time; with an idempotency key it may be asked for again.
        """
        wanted = asked_for(trigger, self._jobs)
        run = await self._committed(wanted)
        assert isinstance(run, UUID)  # noqa: S101 - a run was handed in
        if run == wanted.id:
            metrics.RUNS.count(job=wanted.job, state="queued" if wanted.scope is None else "blocked")
        return run, run == wanted.id

    async def send(self, signal: NewSignal) -> Sent:
        """Commit `signal`; returns what became of it.

        Raises:
            Unavailable: it could not be committed in time; with the same id it may be sent again.
        """
        sent: Any = await self._committed(signal)
        told: Sent = sent
        return told

    async def _committed(self, item: NewDelivery | NewRun | NewSignal) -> Stored | UUID | Sent:
        if (connection := self._database.held) is not None:  # it is part of a larger change, and commits with that
            async with asyncio.timeout(self._timeout):
                (outcome,) = await self._write(connection, [item], False)
            return outcome
        is_large = isinstance(item, NewDelivery) and len(item.body) > LARGE
        future = (self._aside if is_large else self._commit).submit(item)
        self._patience.limit(future)
        return await future


async def _write(
    alarms: Alarms,
    connection: Connection,
    items: Sequence[NewDelivery | NewRun | NewSignal],
    again: bool,  # noqa: ARG001 - repeating is safe
) -> list[Stored | UUID | Sent]:
    arrived = [each for each in items if isinstance(each, NewDelivery)]
    asked = [each for each in items if isinstance(each, NewRun)]
    signalled = [each for each in items if isinstance(each, NewSignal)]
    stored = iter(await deliveries.store(connection, arrived, alarms) if arrived else ())
    created = await runs.create(connection, asked)
    sent = iter(await _send(connection, signalled) if signalled else ())

    def outcome(item: NewDelivery | NewRun | NewSignal) -> Stored | UUID | Sent:
        match item:
            case NewDelivery():
                return next(stored)
            case NewRun():
                return created[item.id]
            case NewSignal():
                return next(sent)

    return [outcome(each) for each in items]


async def _send(connection: Connection, signalled: Sequence[NewSignal]) -> list[Sent]:
    async with transaction(connection):
        return await signals.send(connection, signalled)
