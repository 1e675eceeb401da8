"""The scheduler: makes due what waited for a time or an event that has come, and says when there is work."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress

import asyncpg

from hookline import telemetry
from hookline.app import App
from hookline.engine import patterns
from hookline.engine.scrub import scrub_requested
from hookline.errors import Unsealable
from hookline.store import due, waits
from hookline.store.database import AWAY, Connection, Database
from hookline.store.signals import CHANNEL
from hookline.timetable import Timetable

BRIEFLY = 0.02
"""Seconds until it looks again when something has just been due: another replica may have it in hand."""


class Scheduler:
    """Looks once every `poll` seconds, when something is about to be due, and when Postgres hints at anything.

    It listens on a connection of its own; a hint may be lost, so looking remains the truth. Every replica runs one;
    they need not agree, since a row is turned only once.

    Args:
        app: the jobs whose due runs and schedules matter.
        poll: seconds between two looks while nobody hints at anything.
        learn: called when definitions have changed.
        heard: called with `due` when there may be runs to claim, with `control` when somebody wants something of one.
    """

    def __init__(
        self,
        database: Database,
        app: App,
        poll: float,
        learn: Callable[[Connection], Awaitable[None]],
        heard: Callable[[str], None],
    ) -> None:
        self._database = database
        self._app = app
        self._timetable = Timetable(app.latest)
        self._learn = learn
        self._poll = poll
        self._heard = heard
        self._wake = asyncio.Event()
        self._known = 0

    async def run(self) -> None:
        """Look until cancelled, on a new connection whenever the old one is lost."""
        while True:
            connection: asyncpg.Connection[asyncpg.Record] | None = None
            try:
                connection = await self._database.connect()
                await connection.add_listener(CHANNEL, self._on_notification)
                self._heard("due")
                while True:
                    self._wake.clear()
                    await self._pause(await self._look(connection))
            except AWAY as error:
                telemetry.log.warning("scheduler.disconnected", error=repr(error))
                await asyncio.sleep(0.5)  # Postgres is away, and tells nobody of its return
            finally:
                if connection is not None:
                    connection.terminate()

    async def _look(self, connection: asyncpg.Connection[asyncpg.Record]) -> float:
        """Turn what is to be turned; returns in how many seconds there will be more."""
        seen = await due.look(connection, list(self._app.offers), self._timetable.names)
        if seen["definitions"] > self._known:  # what the API in this process has learnt is still to be offered
            await self._learn(connection)
            self._known = seen["definitions"]
        if seen["arrived"]:
            await self._route(connection)
        if seen["deletions"]:
            await scrub_requested(connection, self._app.latest)
        soonest = min((seen[each] for each in ("next", "tick") if seen[each] is not None), default=self._poll)
        if soonest <= 0:
            while await due.rise(connection):
                pass
            await self._timetable.fire(connection)
            return BRIEFLY
        if seen["due"]:
            self._heard("due")
        return min(self._poll, soonest)

    async def _route(self, connection: asyncpg.Connection[asyncpg.Record]) -> None:
        try:
            while await waits.route(connection, _about, _fits):
                pass
        except Unsealable as error:  # they stay, for a replica that has the key
            telemetry.log.error("arrivals.unsealable", error=str(error))

    async def _pause(self, seconds: float) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._wake.wait()

    def _on_notification(self, _connection: object, _pid: int, _channel: str, payload: object) -> None:
        if payload == "arrived":
            self._wake.set()
        else:
            self._heard(str(payload))


def _about(delivery: asyncpg.Record) -> tuple[Sequence[str], Sequence[str]]:
    return patterns.about(patterns.events(delivery["events"], delivery["body"]))


def _fits(delivery: asyncpg.Record, pattern: bytes) -> Sequence[int]:
    return patterns.fitting(patterns.events(delivery["events"], delivery["body"]), pattern)
