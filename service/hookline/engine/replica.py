"""A replica: one worker's engine, heartbeat, watchdog and scheduler, under one identity for as long as it lasts."""

from __future__ import annotations

import asyncio
import os
import socket
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from uuid import UUID

from hookline import telemetry, tickets
from hookline.app import App
from hookline.codec import uuid7
from hookline.engine.engine import Engine
from hookline.engine.heartbeat import Heartbeat
from hookline.engine.ledger import Ledger
from hookline.engine.scheduler import Scheduler
from hookline.engine.services import Services
from hookline.engine.sweeper import Sweeper
from hookline.engine.watchdog import Watchdog
from hookline.errors import LeaseLost, Unavailable
from hookline.learning import learn
from hookline.settings import Settings
from hookline.store import claims, keys, workers
from hookline.store.database import Connection, Database, transaction
from hookline.timetable import Timetable

GIVE_BACK = 5.0
"""Seconds that giving runs back may take after the drain; if Postgres is away, a watchdog does it later."""


class Replica:
    """Runs the jobs of `app` until it is told to stop, whatever becomes of its leases."""

    def __init__(self, app: App, database: Database, settings: Settings) -> None:
        self._app = app
        self._secret = b""
        self._database = database
        self._settings = settings
        self._stopping = asyncio.Event()
        self._heartbeat: Heartbeat | None = None

    @property
    def slack(self) -> float | None:
        """Seconds left of the lease; `None` while the replica has none."""
        return None if self._heartbeat is None else self._heartbeat.slack

    def stop(self) -> None:
        """Claim no more, finish or give back what is in hand within the drain time, and leave."""
        self._stopping.set()

    async def run(self) -> None:
        """Register, work, and register anew whenever the worker was declared dead, until `stop`."""
        while not self._stopping.is_set() and (worker := await self._registered()) is not None:
            try:
                await self._work_as(worker)
            except* LeaseLost:
                telemetry.log.warning("worker.declared_dead", next="its runs are dropped; registering anew")
            finally:
                self._heartbeat = None

    async def _registered(self) -> UUID | None:
        """A new worker, or `None` if told to stop before there is one."""
        worker = uuid7()
        async with asyncio.TaskGroup() as together:
            registering = together.create_task(self._register(worker), name="register")
            stopping = together.create_task(self._stopping.wait(), name="stop")
            await asyncio.wait((registering, stopping), return_when=asyncio.FIRST_COMPLETED)
            for each in (registering, stopping):
                each.cancel()
        if not registering.cancelled():
            return worker
        with suppress(LeaseLost):  # there is no row of it
            await self._leave(worker)
        return None

    async def _register(self, worker: UUID) -> None:
        name = f"{socket.gethostname()}:{os.getpid()}"
        while True:
            try:
                async with self._database.session() as connection:
                    await Timetable(self._app.latest).declare(connection)
                    await learn(connection, self._app, commands=self._settings.definitions_commands)
                    await workers.register(
                        connection, worker, name, list(self._app.offers), self._settings.slots, self._settings.lease
                    )
                    self._secret = await keys.ensure(connection, keys.CALLBACKS)
            except Unavailable as error:
                telemetry.log.warning("worker.not_registered", error=str(error))
                await asyncio.sleep(1)  # Postgres is away, and tells nobody of its return
            else:
                telemetry.log.info("worker.registered", worker=worker, name=name, jobs=sorted(self._app.offers))
                return

    def _address(self, run: UUID, key: str) -> str:
        """The URL at which an outsider completes the callback `key` of `run`."""
        return f"{self._settings.home}/callbacks/{tickets.issue(self._secret, run, key)}"

    async def _work_as(self, worker: UUID) -> None:
        settings = self._settings
        threads = ThreadPoolExecutor(settings.slots, thread_name_prefix="step")
        app = self._app
        lines = settings.log_lines
        ledger = Ledger(self._database, worker, app.offers.keys(), lambda runs: engine.control(runs), lines)

        async def learn_more(connection: Connection) -> None:
            await learn(connection, app, commands=settings.definitions_commands)
            await workers.offer(connection, worker, list(app.offers))

        scheduler = Scheduler(self._database, app, settings.poll, learn_more, lambda hint: heard(hint))
        services = Services(app.latest, ledger, self._database, threads, self._address, lines, settings.always_replay)
        engine = Engine(app.offers, services, slots=settings.slots)

        def heard(hint: str) -> None:
            if hint == "due":
                engine.wake()
            else:
                heartbeat.hasten()

        heartbeat = self._heartbeat = Heartbeat(self._database, worker, settings.lease, engine.control)
        watchdog = Watchdog(self._database, app.latest, settings.lease, settings.max_losses)
        sweeper = Sweeper(self._database, settings.events_kept, settings.logs_kept)
        try:
            async with asyncio.TaskGroup() as together:
                around = [
                    together.create_task(each.run(), name=type(each).__name__.lower())
                    for each in (ledger, scheduler, heartbeat, watchdog, sweeper)
                ]
                working = together.create_task(engine.run(), name="engine")
                stopping = together.create_task(self._stopping.wait(), name="stop")
                await asyncio.wait((working, stopping), return_when=asyncio.FIRST_COMPLETED)
                if not working.done():
                    engine.drain(settings.drain)
                    await asyncio.wait((working,), timeout=settings.drain + GIVE_BACK)
                for each in (*around, working, stopping):
                    each.cancel()
            await self._leave(worker)
        finally:
            threads.shutdown(wait=False, cancel_futures=True)

    async def _leave(self, worker: UUID) -> None:
        """Give back what is left and delete the worker's row; if Postgres is away, a watchdog will do it."""
        try:
            async with asyncio.timeout(GIVE_BACK), self._database.session() as connection, transaction(connection):
                await workers.fence(connection, worker)
                await claims.hand_over(connection, worker)
                await workers.remove(connection, worker)
        except (Unavailable, TimeoutError) as error:
            telemetry.log.warning("worker.left_behind", worker=worker, error=repr(error))
        else:
            telemetry.log.info("worker.left", worker=worker)
