"""The heartbeat: proves that a worker is alive by renewing its lease, as long as Postgres knows it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from uuid import UUID

import asyncpg

from hookline import metrics, telemetry
from hookline.store import workers
from hookline.store.database import AWAY, Database
from hookline.store.workers import Wanted

BEATS = 3
"""Renewals within one lease, so that one may be late and one lost."""


class Heartbeat:
    """Renews the lease of `worker`, on a connection of its own, so that no other work delays it.

    Args:
        lease: seconds that a renewal lasts.
        on_control: called, after each renewal, with the runs that somebody wants something of, and what.
    """

    def __init__(
        self,
        database: Database,
        worker: UUID,
        lease: float,
        on_control: Callable[[Sequence[Wanted]], None],
    ) -> None:
        self._database = database
        self._worker = worker
        self._lease = lease
        self._on_control = on_control
        self._beat = asyncio.Event()
        self._connection: asyncpg.Connection[asyncpg.Record] | None = None
        self._expires = asyncio.get_running_loop().time() + lease

    @property
    def slack(self) -> float:
        """Seconds left of the lease, by this process's clock; negative when it has run out."""
        return self._expires - asyncio.get_running_loop().time()

    def hasten(self) -> None:
        """Renew now: an operator wants something of a run."""
        self._beat.set()

    async def run(self) -> None:
        """Renew until cancelled; raises `LeaseLost` when the worker was declared dead."""
        try:
            while True:
                self._beat.clear()
                metrics.LEASE_SLACK.set(round(self.slack, 3))
                pause = self._lease / BEATS if await self._renew() else min(1.0, self._lease / BEATS)
                await self._next_beat(pause)
        finally:
            if self._connection is not None:
                self._connection.terminate()

    async def _renew(self) -> bool:
        began = asyncio.get_running_loop().time()
        try:
            if self._connection is None or self._connection.is_closed():
                self._connection = await self._database.connect(patience=self._lease / BEATS)
            controlled = await workers.renew(self._connection, self._worker, self._lease)
        except AWAY as error:
            if self._connection is not None:
                self._connection.terminate()
            telemetry.log.warning("heartbeat.missed", slack=round(self.slack, 1), error=repr(error))
            return False
        self._expires = began + self._lease
        if controlled:
            self._on_control(controlled)
        return True

    async def _next_beat(self, pause: float) -> None:
        try:
            async with asyncio.timeout(pause):
                await self._beat.wait()
        except TimeoutError:
            return
