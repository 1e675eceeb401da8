"""The stream: the feed of events, read once in this process for all who listen to it."""

from __future__ import annotations

import asyncio
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from uuid import UUID

import asyncpg

from hookline import metrics, telemetry
from hookline.errors import Unavailable
from hookline.store import events
from hookline.store.database import AWAY, Connection, Database
from hookline.store.signals import CHANNEL
from hookline.web.frames import Filter, Portion, Told, told
from hookline.web.listener import Listener
from hookline.web.pace import Pace

FIRST_LOOK, LAST_LOOK = 0.02, 0.25
"""Seconds between two looks for events, while there are some, and at last."""

SECONDS_PER_ROW = 10e-6
"""What it takes, about, to read an event again."""


class Feed:
    """Follows the events while anybody listens.

    Args:
        most: listeners at once, at most.
        pace: at which they are told.
    """

    def __init__(self, database: Database, most: int, pace: Pace) -> None:
        self._database = database
        self._most = most
        self._pace = pace
        self._present = 0
        self._closed = False
        self._listeners: defaultdict[Filter, set[Listener]] = defaultdict(set)
        self._tail: asyncio.Task[None] | None = None
        self._position: int | None = None
        self._started = asyncio.Event()
        self._hint = asyncio.Event()
        self._turn = asyncio.Lock()

    @property
    def is_full(self) -> bool:
        """Whether nobody more can listen."""
        return self._closed or self._present >= self._most

    @property
    def position(self) -> int:
        """The number up to which everything has been told; raises `Unavailable` while that is not known."""
        if self._position is None:
            raise Unavailable("the events cannot be read")
        return self._position

    def close(self) -> None:
        """End all streams, and let nobody listen any more."""
        self._closed = True
        self._end_all()

    @asynccontextmanager
    async def open(self) -> AsyncIterator[None]:
        """Within the block the events are followed; raises `Unavailable` if they cannot be, or too many listen."""
        if self.is_full:
            raise Unavailable("too many streams")
        self._present += 1
        metrics.STREAMS.set(self._present)
        try:
            if self._tail is None:
                self._tail = asyncio.create_task(self._run(), name="feed")
            try:
                async with asyncio.timeout(5):
                    await self._started.wait()
            except TimeoutError:
                raise Unavailable("the events cannot be read") from None
            yield
        finally:
            self._present -= 1
            metrics.STREAMS.set(self._present)
            if self._present == 0:
                self._rest()

    @contextmanager
    def listening(self, wanted: Filter, after: int) -> Iterator[Listener]:
        """A listener to what is wanted behind the number `after`, which is not below the feed's position."""
        listener = Listener(wanted, after)
        listener.is_over = self._closed
        self._listeners[wanted].add(listener)
        try:
            yield listener
        finally:
            self._listeners[wanted].discard(listener)
            if not self._listeners[wanted]:
                del self._listeners[wanted]

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[Connection]:
        """A connection to read for one client what it alone needs; one at a time."""
        async with self._turn, self._database.session() as connection:
            yield connection

    async def past(self, wanted: Filter, after: int) -> Portion:
        """Some of what is wanted behind `after`.

        Raises:
            Lost: it is not kept any more.
            Unavailable: Postgres is away.
        """
        async with self._turn:
            async with self._database.session() as connection:
                rows, reached = await events.past(
                    connection, after, self.position,
                    run=wanted.run, job=wanted.job, scope=wanted.scope, state=wanted.state,
                )  # fmt: skip
            await self._pace.rest(len(rows) * SECONDS_PER_ROW)
        return wanted.portion([self._told(row, row["data"]) for row in rows], reached)

    def _told(self, row: asyncpg.Record, data: bytes | None) -> Told:
        payloads = self._database.payloads
        shown = None if data is None else payloads.redacted_json(data)
        return told(row, shown, is_sealed=payloads.sealing)

    # The tail: one task, while anybody listens

    def _rest(self) -> None:
        if self._tail is not None:
            self._tail.cancel()
        self._tail = None
        self._start_again()

    def _start_again(self) -> None:
        """End all streams: whoever resumes will be told whether anything is missing."""
        self._position = None
        self._started.clear()
        self._end_all()

    def _end_all(self) -> None:
        for listeners in self._listeners.values():
            for listener in listeners:
                listener.end()

    async def _run(self) -> None:
        """Follow the events until cancelled, on a new connection whenever the old one is lost."""
        while self._tail is asyncio.current_task():  # asyncpg may make something else of being cancelled
            connection: asyncpg.Connection[asyncpg.Record] | None = None
            try:
                connection = await self._database.connect()
                await connection.add_listener(CHANNEL, lambda *_: self._hint.set())
                await self._follow(connection)
            except AWAY as error:
                telemetry.log.warning("stream.disconnected", error=repr(error))
                await asyncio.sleep(0.5)  # Postgres is away, and tells nobody of its return
            except events.Lost:
                telemetry.log.warning("stream.lost", next="whoever listens is told to start again")
                self._start_again()
            except Exception:  # noqa: BLE001 - nobody is left listening to nothing
                telemetry.log.exception("stream.broke")
                self._start_again()
                await asyncio.sleep(0.5)  # and it does not spin
            finally:
                if connection is not None:
                    connection.terminate()

    async def _follow(self, connection: Connection) -> None:
        if self._position is None:
            self._position = await events.newest(connection)
            self._started.set()
        elif not await events.is_kept(connection, self._position):
            raise events.Lost
        pause = FIRST_LOOK
        while True:
            self._hint.clear()
            rows = await events.following(connection, self._position)
            if rows:
                data = await self._published(connection, rows)
                self._position = rows[-1]["seq"]
                metrics.STREAMS_LAG.set(round(max(0.0, time.time() - rows[-1]["at"].timestamp()), 3))
                come = [self._told(row, data.get((row["run_id"], row["key"]))) for row in rows]
                await self._pace.wake(self._give(come))
                pause = FIRST_LOOK
            await asyncio.sleep(FIRST_LOOK)  # what happens meanwhile is read at once
            if not rows:
                pause = min(1.5 * pause, LAST_LOOK)
                with suppress(TimeoutError):
                    async with asyncio.timeout(pause):
                        await self._hint.wait()

    async def _published(
        self, connection: Connection, rows: Iterable[asyncpg.Record]
    ) -> Mapping[tuple[UUID, str], bytes | None]:
        """What was published of what somebody listens to; who comes while it is read is thought of, too."""
        found: dict[tuple[UUID, str], bytes | None] = {}
        there = [(row["run_id"], row["key"]) for row in rows if row["key"] is not None]
        while wanted := [each for each in there if each not in found and each[0] in self._watched()]:
            found |= await events.published(connection, wanted)
        return found

    def _watched(self) -> set[UUID]:
        return {each.run for each in self._listeners if each.run is not None and "data" in each.kinds}

    def _give(self, come: Sequence[Told]) -> list[tuple[Listener, int]]:
        """Give what has come to those who want it; returns whom to wake, with the bytes that each will be sent."""
        by_anchor: defaultdict[object, list[Told]] = defaultdict(list)
        for each in come:
            for name, value in (("run", each.run), ("scope", each.scope), ("job", each.job)):
                by_anchor[name, value].append(each)
        given: list[tuple[Listener, int]] = []
        for wanted, listeners in self._listeners.items():
            candidates = come if wanted.anchor is None else by_anchor.get(wanted.anchor, ())
            portion = wanted.portion(candidates, come[-1].seq)
            given += [(each, portion.size) for each in listeners if each.give(portion)]
        return given
