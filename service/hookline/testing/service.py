"""Service: an application at work for a test, which lets time pass at will, has its worker die, and stubs its steps."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any
from unittest.mock import patch
from uuid import UUID, uuid4

from hookline import codec
from hookline.app import App
from hookline.engine.ledger import Ledger
from hookline.engine.replica import Replica
from hookline.engine.watchdog import Watchdog
from hookline.errors import HooklineError
from hookline.events import Trigger
from hookline.ingress.intake import Intake
from hookline.ingress.parser import find
from hookline.ingress.receipt import Receipt
from hookline.ingress.schemes import Headers, Received, Unsigned
from hookline.ingress.sources import Source
from hookline.jobs.step import StepCall
from hookline.settings import Settings
from hookline.spans import Seconds, seconds
from hookline.store import views
from hookline.store.database import Connection, Database, transaction
from hookline.store.journal import Record
from hookline.store.signals import NewSignal

ADVANCE = (
    """
    update hookline.runs
       set due_at = due_at - make_interval(secs => $1), started_at = started_at - make_interval(secs => $1)
    """,
    "update hookline.journal set due_at = due_at - make_interval(secs => $1)",
)


BUSY = """
select exists (
    select from hookline.runs
     where state in ('queued', 'waiting') and due_at <= clock_timestamp() or state = 'running'
)
"""


class Unexpected(HooklineError):
    """A run did not come into the state that a test waits for."""


@dataclass(frozen=True, slots=True)
class Result:
    """A run as it stands.

    Args:
        id: its id.
        state: its state.
        output: what it returned, as JSON builtins.
        error: `{type, message, traceback}` of a run that failed.
        reason: why it is in this state, for people.
        journal: `(key, kind, state)` of each of its calls, in their order.
        vars: what it last set under each name.
    """

    id: UUID
    state: str
    output: Any
    error: dict[str, Any] | None
    reason: str | None
    journal: list[tuple[str, str, str]]
    vars: dict[str, Any]


class Service:
    """An application at work on a database of its own."""

    def __init__(self, app: App, database: Database, settings: Settings, intake: Intake) -> None:
        self._app = app
        self._database = database
        self._settings = settings
        self._intake = intake
        self._replica: asyncio.Task[None] | None = None
        self._reviving: asyncio.Task[None] | None = None
        self._stubs: dict[str, Callable[..., Any]] = {}

    async def run(self, job: str, input: Any = None, **options: Any) -> Result:  # noqa: A002
        """A run of `job` once it has ended or is paused; `options` are those of a Trigger."""
        return await self.ended(await self.start(job, input, **options))

    async def start(self, job: str, input: Any = None, **options: Any) -> UUID:  # noqa: A002
        """A new run of `job`."""
        run, _ = await self._intake.start(Trigger(job, input, **options))
        return run

    async def deliver(self, parser: str, event: str, body: bytes | dict[str, Any]) -> Receipt:
        """Have a webhook come in, as the sender of `parser` would send it; its signature counts as verified."""
        sender = find(parser)
        raw = body if isinstance(body, bytes) else codec.encode(body)
        headers = sender.headers_for(event, str(uuid4()), raw)
        received = Received(Headers([(k.lower().encode(), v.encode()) for k, v in headers.items()]), raw)
        return await self._intake.receive(Source(parser, sender, Unsigned(), ()), received)

    async def signal(self, run: UUID, name: str, data: Any = None) -> None:
        """Send `run` a signal; raises `Unexpected` if it has ended."""
        sent = await self._intake.send(NewSignal(codec.uuid7(), run, name, codec.encode(data)))
        if sent != "sent":
            raise Unexpected(f"the signal {name} was refused: {sent}")

    async def complete(self, run: UUID, callback: str, data: Any = None, *, error: str | None = None) -> None:
        """Complete a callback of `run`, by its key; raises `Unexpected` if it is not open."""
        told = codec.encode({"data": data} if error is None else {"error": error})
        sent = await self._intake.send(NewSignal(codec.uuid7(), run, f"callback:{callback}", told, callback))
        if sent != "sent":
            raise Unexpected(f"the callback {callback} was refused: {sent}")

    async def advance(self, span: Seconds = 0, *, days: float = 0, hours: float = 0, minutes: float = 0) -> None:
        """Let time pass for every run: what was to be due within that time is due."""
        whole = seconds(span) + days * 86_400 + hours * 3600 + minutes * 60
        async with self._database.session() as connection, transaction(connection):
            await self._quiet(connection)
            for statement in ADVANCE:
                await connection.execute(statement, whole)
            await connection.execute("select pg_notify('hookline', 'arrived')")

    def _check_alive(self) -> None:
        """Raise what the worker died of, if it did on its own."""
        dead = self._replica if self._replica is not None and self._replica.done() else None
        if dead is not None and not dead.cancelled() and (error := dead.exception()) is not None:
            raise error

    async def _quiet(self, connection: Connection) -> None:
        """Return when no run is at work any more, or after a while: one may be in a step that takes long."""
        with suppress(TimeoutError):
            async with asyncio.timeout(5):
                while await connection.fetchval(BUSY):  # noqa: ASYNC110 - Postgres tells nobody of this
                    await asyncio.sleep(0.005)

    async def waiting(self, run: UUID) -> Result:
        """The run once all that it does is wait; raises `Unexpected` if it ends before."""
        return await self._until(run, {"waiting"})

    async def until(self, run: UUID, kind: str, state: str, *, count: int = 1) -> Result:
        """The run once so many calls of a kind are in a state in its journal."""
        async with asyncio.timeout(30):
            while True:
                result = await self.result(run)
                if sum(1 for _, *what in result.journal if what == [kind, state]) >= count:
                    return result
                await asyncio.sleep(0.01)

    async def ended(self, run: UUID) -> Result:
        """The run once it has ended or is paused."""
        return await self._until(run, {"succeeded", "failed", "cancelled", "paused"})

    async def result(self, run: UUID) -> Result:
        """The run as it stands; raises `Unexpected` if there is none."""
        async with self._database.session() as connection:
            found = await views.run(connection, run)
            if found is None:
                raise Unexpected(f"there is no run {run}")
            variables = await views.variables(connection, run)
        row, journal = found
        return Result(
            id=run,
            state=row["state"],
            output=_decoded(row["output"]),
            error=_decoded(row["error"]),
            reason=row["reason"],
            journal=[(each["key"], each["kind"], each["state"]) for each in journal],
            vars={name: _decoded(value) for name, value in variables.items()},
        )

    def stub(self, step: str, function: Callable[..., Any]) -> None:
        """Call `function` in place of the step called `step`, with its arguments."""
        self._stubs[step] = function

    @contextmanager
    def crash_at(self, key: str) -> Iterator[None]:
        """Within the block, the worker dies as it is about to commit the outcome of the call `key`, once."""
        record, crashed = Ledger.record, False

        async def dying(ledger: Ledger, given: Record) -> None:
            nonlocal crashed
            if given.key == key and given.settled and not crashed:
                crashed = True
                await self.crash()
            await record(ledger, given)

        with patch.object(Ledger, "record", dying):
            yield

    async def crash(self) -> None:
        """Called from within the worker: have it die here and now, without a farewell, and another take over."""
        self._reviving = asyncio.create_task(self.lose_worker())
        await asyncio.Event().wait()

    async def lose_worker(self) -> None:
        """Have the worker die, without a farewell, and another take over."""
        await self.end()
        async with self._database.session() as connection:
            await connection.execute("update hookline.workers set expires_at = now() - interval '1 second'")
            await Watchdog(self._database, self._app.latest, 1.0, 1000).release_the_lost(connection)
        self.begin()

    def begin(self) -> None:
        """Have a worker take up runs."""
        self._replica = asyncio.create_task(Replica(self._app, self._database, self._settings).run())

    async def end(self) -> None:
        """Have the worker stop at once."""
        if self._replica is not None:
            self._replica.cancel()
            await asyncio.gather(self._replica, return_exceptions=True)

    async def _until(self, run: UUID, states: set[str]) -> Result:
        async with asyncio.timeout(30):
            while True:
                self._check_alive()
                async with self._database.session() as connection:
                    state = await views.state(connection, run)
                if state in states:
                    return await self.result(run)
                if state in {"succeeded", "failed", "cancelled", "paused"}:
                    told = await self.result(run)
                    raise Unexpected(f"run {run} is {told.state} ({told.reason}), not {' or '.join(sorted(states))}")
                await asyncio.sleep(0.01)

    @contextmanager
    def stubbed(self) -> Iterator[None]:
        """Within the block, steps that have a stub call that."""
        invoke = StepCall.invoke

        def invoked(call: StepCall, threads: Any) -> Any:
            stub = self._stubs.get(call.step.name)
            if stub is None:
                return invoke(call, threads)
            step = type(call.step)(stub, call.step.name)
            return invoke(
                StepCall(key=call.key, position=call.position, step=step, args=call.args, kwargs=call.kwargs), threads
            )

        with patch.object(StepCall, "invoke", invoked):
            yield


def _decoded(stored: bytes | None) -> Any:
    return None if stored is None else codec.decode(stored)
