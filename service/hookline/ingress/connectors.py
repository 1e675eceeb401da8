"""Connectors: reads the application's foreign streams, each in one process at a time, and commits what they bring."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Mapping, Sequence
from contextlib import aclosing
from functools import partial

import msgspec

from hookline import codec, telemetry
from hookline.app import App
from hookline.codec import uuid7
from hookline.errors import HooklineError, InvalidInput, Unavailable, Unsealable
from hookline.events import Trigger
from hookline.ingress import bindings
from hookline.ingress.alarms import Alarms
from hookline.jobs.connector import Connector, Item
from hookline.jobs.job import Job
from hookline.starts import asked_for
from hookline.store import connectors, deliveries, runs
from hookline.store.database import Connection, Database, transaction
from hookline.store.delivery import NewDelivery
from hookline.store.runs import NewRun

BATCH = 100
"""Items in one transaction, at most; and twice that many read ahead."""

LONGEST_KEY = 200


class NotOurs(HooklineError):
    """Another process reads the stream now."""


class Connectors:
    """Reads those streams of `app` that nobody else reads.

    Args:
        lease: seconds after which another process takes over from one that is silent.
    """

    def __init__(self, app: App, database: Database, *, lease: float) -> None:
        self._app = app
        self._alarms = Alarms(app.latest)
        self._database = database
        self._lease = lease
        self._owner = uuid7()
        self._reading: dict[str, asyncio.Task[None]] = {}

    async def run(self) -> None:
        """Read until cancelled."""
        if not self._app.connectors:
            return
        try:
            async with asyncio.TaskGroup() as together:
                while True:
                    await self._look(together)
                    await asyncio.sleep(self._lease / 3)
        finally:
            await asyncio.shield(self._give_up())

    async def _look(self, together: asyncio.TaskGroup) -> None:
        """Renew what is being read, drop what is not ours any more, and take what nobody reads."""
        try:
            async with self._database.session() as connection:
                ours = await connectors.renew(connection, self._owner, self._lease)
                for name in self._reading.keys() - set(ours):
                    self._reading.pop(name).cancel()
                free = sorted(self._app.connectors.keys() - self._reading.keys())
                taken = await connectors.take(connection, free, self._owner, self._lease) if free else {}
        except Unavailable as error:
            telemetry.log.warning("connectors.blind", error=str(error))
            return
        for name, cursor in taken.items():
            reading = self._read(self._app.connectors[name], cursor)
            task = self._reading[name] = together.create_task(reading, name=f"connector {name}")
            task.add_done_callback(partial(self._forget, name))

    def _forget(self, name: str, ended: asyncio.Task[None]) -> None:
        if self._reading.get(name) is ended:
            del self._reading[name]

    async def _read(self, connector: Connector, at: bytes | None) -> None:
        """Commit what the stream brings, until it ends or breaks; then it is free, and taken again after a while.

        Args:
            at: how far it was read, JSON.
        """
        queue: asyncio.Queue[Item] = asyncio.Queue(2 * BATCH)
        problem = None
        try:
            async with asyncio.TaskGroup() as together:
                cursor = None if at is None else codec.decode(at)
                telemetry.log.info("connector.reading", connector=connector.name)
                committing = together.create_task(self._commit_all(connector.name, queue))
                async with aclosing(connector.stream(cursor)) as stream:  # type: ignore[type-var]
                    async for item in stream:
                        await queue.put(item)
                await queue.join()
                committing.cancel()
        except ExceptionGroup as errors:
            first = errors.exceptions[0]
            if isinstance(first, NotOurs):
                telemetry.log.warning("connector.lost", connector=connector.name)
                return
            telemetry.log.error("connector.failed", connector=connector.name, exc_info=first)
            problem = f"{type(first).__name__}: {first}"[:500].replace("\0", "")
            if self._database.payloads.sealing and not isinstance(first, Unsealable):
                problem = f"{type(first).__name__}, which may quote what it read"
        try:
            async with self._database.session() as connection:
                await connectors.give_up(connection, connector.name, self._owner, problem)
        except Unavailable as error:  # its lease runs out
            telemetry.log.warning("connector.not_given_up", connector=connector.name, error=repr(error.__cause__))

    async def _commit_all(self, name: str, queue: asyncio.Queue[Item]) -> None:
        while True:
            items = [await queue.get()]
            while len(items) < BATCH and not queue.empty():
                items.append(queue.get_nowait())
            while not await self._committed(name, items):  # noqa: ASYNC110 - Postgres tells nobody that it is back
                await asyncio.sleep(0.5)
            for _ in items:
                queue.task_done()

    async def _committed(self, name: str, items: Sequence[Item]) -> bool:
        """Commit items together with the cursor behind them; whether Postgres was there to do so."""
        try:
            async with self._database.session() as connection, transaction(connection):
                if not await connectors.move(connection, name, self._owner, codec.encode(items[-1].cursor), len(items)):
                    raise NotOurs(f"another process reads {name}")
                await self._store(connection, name, items)
        except Unavailable as error:
            telemetry.log.warning("connector.waiting", connector=name, error=str(error))
            return False
        return True

    async def _store(self, connection: Connection, name: str, items: Sequence[Item]) -> None:
        jobs = self._app.latest
        asked: list[NewRun] = []
        brought: list[NewDelivery] = []
        for item in items:
            key = _key(item)
            if isinstance(item.what, Trigger):
                trigger = item.what
                if trigger.idempotency_key is None:
                    trigger = Trigger(
                        trigger.job, trigger.input, trigger.scope, trigger.priority, trigger.delay,
                        f"connector:{name}:{key}",
                    )  # fmt: skip
                asked.append(asked_for(trigger, jobs))
            else:
                brought.append(_delivery(name, key, item, jobs))
        if brought:
            await deliveries.store(connection, brought, self._alarms)
        await runs.create(connection, asked)

    async def _give_up(self) -> None:
        """Let others read at once what this process has read."""
        for task in self._reading.values():
            task.cancel()
        try:
            async with self._database.session() as connection:
                for name in self._app.connectors:
                    await connectors.give_up(connection, name, self._owner)
        except Unavailable:
            return


def _key(item: Item) -> str:
    """The item's cursor as a text that can be a key."""
    text = codec.encode(item.cursor).decode()
    return text if len(text) <= LONGEST_KEY else f"sha256:{hashlib.sha256(text.encode()).hexdigest()}"


def _delivery(name: str, key: str, item: Item, jobs: Mapping[str, Job]) -> NewDelivery:
    """The event of an item, kept as what came in by way of the connector."""
    event = item.what
    assert not isinstance(event, Trigger)  # noqa: S101 - asked before
    id_ = uuid7()
    bound = bindings.bind([event], jobs, id_, event.raw)
    if bound.problem is not None:
        raise InvalidInput(bound.problem)
    return NewDelivery(
        id=id_,
        source=f"connector:{name}",
        key=key,
        type=event.type,
        status="accepted" if bound.runs else "ignored",
        reason=None,
        secret="",
        headers=b"[]",
        body=event.raw,
        events=bindings.envelopes([event], event.raw),
        types=bindings.lineage([event]),
        bindings=msgspec.json.encode(bound.verdicts),
        subject=bindings.subject([event]),
        runs=bound.runs,
    )
