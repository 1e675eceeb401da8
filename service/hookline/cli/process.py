"""A process: one replica's halves put together, started, and stopped in order on a signal."""

from __future__ import annotations

import asyncio
import ctypes
import gc
import os
import signal
import socket
import sys
import threading
from collections.abc import Coroutine
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import uvloop

from hookline import embedded, metrics, telemetry
from hookline.app import App
from hookline.engine.replica import Replica
from hookline.errors import Unavailable
from hookline.ingress import reconcile
from hookline.ingress.connectors import Connectors
from hookline.ingress.intake import Intake
from hookline.ingress.register import Register
from hookline.learning import learn
from hookline.payloads import Payloads
from hookline.settings import Settings
from hookline.store import migrate
from hookline.store.database import Database
from hookline.web.routes import application
from hookline.web.server import Server

M_MMAP_THRESHOLD = -3  # of malloc.h

TICK = 1.0
"""Seconds between two flushes of metrics, and two looks at whether the embedded Postgres still runs."""


def prepare(dsn: str, *, migrating: bool) -> None:
    """Bring the database to the schema that this version knows, or return if it is there.

    Raises:
        ConfigurationError: it is not.
        Unavailable: the database cannot be reached.
    """
    asyncio.run(migrate.migrate(dsn) if migrating else migrate.check(dsn))


@dataclass(frozen=True, slots=True)
class Process:
    """What one process does.

    Args:
        dsn: where Postgres is.
        listening: where to serve HTTP; `None` serves none.
        engine: whether to execute runs.
        embedded_at: the data directory of the embedded Postgres, to bring it back should it die.
        parent: the process without which this one shall not go on.
        local: whether whoever sits at this machine may use the API without a token.
    """

    settings: Settings
    app: App
    dsn: str
    listening: socket.socket | None
    engine: bool
    embedded_at: Path | None = None
    parent: int | None = None
    local: bool = False

    def run(self) -> None:
        """Work until SIGTERM or SIGINT, then take nothing new, end what is under way, and return."""
        spare_memory()
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(self._run())
        metrics.flush()

    async def _run(self) -> None:
        settings = self.settings
        reader = settings.reader_url.get_secret_value() if settings.reader_url else None
        payloads = Payloads.of(settings)
        patience = settings.lease / 2
        async with Database(self.dsn, reader_dsn=reader, patience=patience, payloads=payloads) as database:
            intake = Intake(self.app, database, timeout=settings.intake_timeout)
            reconcile.declare(self.app, settings, database, intake)
            replica = Replica(self.app, database, settings) if self.engine else None
            server = await self._server(database, intake, replica) if self.listening is not None else None
            halves = [each for each in (replica, server) if each is not None]
            async with asyncio.TaskGroup() as together:
                background = [
                    together.create_task(each, name=name) for name, each in self._background(intake, database).items()
                ]
                working = [together.create_task(each.run(), name=type(each).__name__.lower()) for each in halves]
                for number in (signal.SIGTERM, signal.SIGINT):
                    asyncio.get_running_loop().add_signal_handler(number, lambda: [each.stop() for each in halves])
                await asyncio.wait(working)
                for each in background:
                    each.cancel()

    async def _server(self, database: Database, intake: Intake, replica: Replica | None) -> Server:
        assert self.listening is not None  # noqa: S101 - asked before
        register = Register(self.app, database, self.settings)
        kept = await _known(register)
        telemetry.log.info(
            "http.listening",
            url="http://{}:{}".format(*self.listening.getsockname()[:2]),
            webhooks=[f"/webhooks/{name}" for name in sorted({*register.fixed, *kept})],
        )
        return Server(
            application(
                self.app,
                self.settings,
                database,
                intake,
                register,
                schema=migrate.known(),
                slack=(lambda: replica.slack) if replica is not None else None,
                local=self.local,
            ),
            self.listening,
            drain=self.settings.drain,
        )

    def _background(self, intake: Intake, database: Database) -> dict[str, Coroutine[Any, Any, None]]:
        tasks: dict[str, Coroutine[Any, Any, None]] = {"intake": intake.run(), "metrics": _flushing()}
        if self.engine:
            tasks["connectors"] = Connectors(self.app, database, lease=self.settings.lease).run()
        if self.embedded_at is not None:
            tasks["embedded"] = _reviving(self.embedded_at)
        if not self.engine:  # else the scheduler learns
            tasks["learning"] = _learning(self.app, database, commands=self.settings.definitions_commands)
        if self.parent is not None:
            tasks["parent"] = _following(self.parent)
        return tasks


async def _known(register: Register) -> list[str]:
    """The names of the sources that are kept in Postgres; what is wrong with them is logged at the start."""
    try:
        return [each.kept.name for each in await register.kept()]
    except Unavailable as error:
        telemetry.log.warning("sources.not_read", error=str(error))
        return []


def spare_memory() -> None:
    """Have little time spent on what goes in cycles, and large blocks given back when they are free.

    Requests and runs leave few cycles behind: with Python's own thresholds a third of a run's time went into looking
    for some. glibc learns from the first large block to keep as much for good.
    """
    gc.freeze()  # what was imported stays
    gc.set_threshold(20_000, 20, 50)
    with suppress(OSError, AttributeError):  # where there is another library
        ctypes.CDLL(None).mallopt(M_MMAP_THRESHOLD, 1_048_576)


async def _flushing() -> None:
    while True:
        await asyncio.sleep(TICK)  # metrics leave in ticks
        metrics.flush()


async def _learning(app: App, database: Database, *, commands: bool) -> None:
    """Know of definitions that others have changed."""
    while True:
        try:
            async with database.session() as connection:
                await learn(connection, app, commands=commands)
        except Unavailable as error:
            telemetry.log.warning("definitions.not_read", error=str(error))
        await asyncio.sleep(2 * TICK)  # a hint would reach only processes with an engine


async def _following(parent: int) -> None:
    """Stop once `parent` is gone."""
    while os.getppid() == parent:  # noqa: ASYNC110 - no event is sent when a parent dies
        await asyncio.sleep(TICK)  # the kernel tells nobody
    os.kill(os.getpid(), signal.SIGTERM)


async def _reviving(data: Path) -> None:
    """Bring the embedded Postgres back whenever it has died."""
    while True:
        await asyncio.sleep(TICK)  # a server that died tells nobody
        try:
            await asyncio.to_thread(embedded.revive, data)
        except Exception:  # noqa: BLE001 - it is tried again, whatever it was
            telemetry.log.exception("embedded.not_revived", data=str(data))


def leave() -> None:
    """Exit now if steps that were abandoned still run in threads: nothing that they do is recorded any more."""
    if any(each is not threading.main_thread() and not each.daemon for each in threading.enumerate()):
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(0)
