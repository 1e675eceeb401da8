"""Processes that die or freeze at the database statement of their choosing: one that works, one that receives."""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from multiprocessing.connection import Connection as Pipe
from typing import Any
from unittest.mock import patch

import asyncpg
import psutil
from pydantic import SecretStr
from tests.everything import app
from tests.support import SECRET

from hookline.engine.replica import Replica
from hookline.engine.steps import Steps
from hookline.ingress.intake import Intake
from hookline.ingress.register import Register
from hookline.payloads import Payloads
from hookline.settings import Settings, load
from hookline.source_settings import SourceSettings
from hookline.store import migrate
from hookline.store.database import Database
from hookline.store.workers import RENEW
from hookline.web.routes import application
from hookline.web.server import Server, listen

ATTEMPTS = "create table public.attempts (run uuid, key text, recorded boolean)"
ATTEMPT = """
insert into public.attempts
select $1, $2, exists (select from hookline.journal
                        where run_id = $1 and key = $2 and state in ('succeeded', 'failed') and finished_at is not null)
"""

PATIENCE = 0.5
"""Seconds after which Postgres ends the session of a doomed process that froze in a transaction."""

forking = multiprocessing.get_context("forkserver")
forking.set_forkserver_preload([__name__])


class Doomed:
    """The process, as the test sees it."""

    def __init__(self, process: Any, pipe: Pipe, url: str) -> None:
        self._process = process
        self._pipe = pipe
        self.url = url

    async def fate(self, by: signal.Signals) -> None:
        """Return once it has come to where it dies, or freezes, and has done so."""
        loop, told = asyncio.get_running_loop(), asyncio.Event()
        loop.add_reader(self._pipe.fileno(), told.set)
        try:
            await told.wait()
        finally:
            loop.remove_reader(self._pipe.fileno())
        if by == signal.SIGKILL:
            self._process.join()
            assert self._process.exitcode == -signal.SIGKILL, self._process.exitcode
        while by == signal.SIGSTOP and psutil.Process(self._process.pid).status() != psutil.STATUS_STOPPED:
            await asyncio.sleep(0.001)  # nobody else is told of it

    def fall(self, by: signal.Signals) -> None:
        """Have it die, or freeze, now."""
        os.kill(self._process.pid, by)

    def go_on(self) -> None:
        """Let it go on after a freeze."""
        os.kill(self._process.pid, signal.SIGCONT)

    def kill(self) -> None:
        """Be rid of it."""
        self._process.kill()
        self._process.join()


@asynccontextmanager
async def working(dsn: str, at: int = 0, by: signal.Signals = signal.SIGKILL) -> AsyncIterator[Doomed]:
    """A replica that dies, or freezes, `by` a signal before its statement number `at`; of 0, never."""
    async with _process(_work, dsn, at, by) as doomed:
        yield doomed


@asynccontextmanager
async def receiving(dsn: str, at: int, by: signal.Signals, **changes: Any) -> AsyncIterator[Doomed]:
    """A process that takes webhooks and what the API is asked, and dies, or freezes, `by` a signal at moment `at`.

    The moments are those before and after each statement, and behind each part of what is streamed.

    Args:
        changes: of its settings.
    """
    listening = listen("127.0.0.1", 0)
    async with _process(_receive, dsn, at, by, listening, changes) as doomed:
        yield doomed


@asynccontextmanager
async def _process(
    target: Callable[..., None], dsn: str, at: int, by: signal.Signals, *more: Any
) -> AsyncIterator[Doomed]:
    ours, its = forking.Pipe(duplex=False)
    with patch.object(sys.modules["__main__"], "__file__", None):  # else each process would load pytest anew
        process = forking.Process(target=target, args=(dsn, at, by, its, *more), daemon=True)
        process.start()
    its.close()
    url = ""
    for listening in [each for each in more if isinstance(each, socket.socket)]:
        url = f"http://127.0.0.1:{listening.getsockname()[1]}"
        listening.close()
    doomed = Doomed(process, ours, url)
    try:
        yield doomed
    finally:
        doomed.kill()
        ours.close()


def _work(dsn: str, at: int, by: signal.Signals, told: Pipe) -> None:
    """What a process does that works."""
    _choose(at, by, told, after=False)
    asyncio.run(_replica(dsn, patience=PATIENCE if at else 30.0))


def _receive(
    dsn: str, at: int, by: signal.Signals, told: Pipe, listening: socket.socket, changes: dict[str, Any]
) -> None:
    """What a process does that receives."""
    _choose(at, by, told, after=True)
    asyncio.run(_intake(dsn, listening, changes))


async def _intake(dsn: str, listening: socket.socket, changes: dict[str, Any]) -> None:
    sources = (SourceSettings("github", "github", (SecretStr(SECRET),), unsigned=False),)
    settings = load().model_copy(update={"sources": sources} | changes)
    payloads = Payloads.of(settings)
    async with Database(dsn, patience=PATIENCE, payloads=payloads) as database, asyncio.TaskGroup() as together:
        intake = Intake(app, database, timeout=10)
        register = Register(app, database, settings)
        answering = application(
            app, settings, database, intake, register, schema=migrate.known(), slack=None, local=True
        )
        together.create_task(intake.run())
        together.create_task(Server(answering, listening, drain=1).run())


async def _replica(dsn: str, *, patience: float) -> None:
    settings = Settings(poll=0.05, drain=0)
    async with Database(dsn, patience=patience) as database, Database(dsn) as beside:
        attempt = Steps._attempt

        async def noted(steps: Steps, call: Any, current: Any) -> bytes:
            async with beside.session() as connection:
                await connection.execute(ATTEMPT, current.run, call.key)
            return await attempt(steps, call, current)

        with patch.object(Steps, "_attempt", noted):
            await Replica(app, database, settings).run()


def _choose(at: int, by: signal.Signals, told: Pipe, *, after: bool) -> None:
    """Have the process end, or freeze, before its statement number `at` that is neither a look nor a heartbeat.

    Args:
        after: count what is after a statement as a moment, too.
    """
    seen = 0

    def doom(connection: asyncpg.Connection[Any], statement: str) -> None:
        nonlocal seen
        looks = statement.lstrip().lower().startswith(("select", "with recursive", "listen"))
        if (looks and not connection.is_in_transaction()) or statement in (RENEW, ATTEMPT):
            return
        seen += 1
        if seen == at:
            told.send_bytes(b"!")
            os.kill(os.getpid(), by)

    execute, _execute, _copy_in = (getattr(asyncpg.Connection, name) for name in ("execute", "_execute", "_copy_in"))

    async def simple(self: Any, query: str, *args: Any, **how: Any) -> Any:
        if not args:
            doom(self, query)
        answer = await execute(self, query, *args, **how)
        if after and not args:
            doom(self, query)
        return answer

    async def extended(self: Any, query: str, *args: Any, **how: Any) -> Any:
        doom(self, query)
        answer = await _execute(self, query, *args, **how)
        if after:
            doom(self, query)
        return answer

    async def copied(self: Any, query: str, source: Any, *args: Any) -> Any:
        async def parts() -> AsyncIterator[bytes]:
            async for part in source:
                yield part
                doom(self, query)

        return await _copy_in(self, query, parts(), *args)

    asyncpg.Connection._copy_in = copied  # type: ignore[method-assign]
    asyncpg.Connection.execute = simple  # type: ignore[method-assign]
    asyncpg.Connection._execute = extended  # type: ignore[method-assign]
