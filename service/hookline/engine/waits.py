"""Waits: how a run goes on at a time, for a signal, an event or another run, and holds nothing meanwhile."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Iterable
from datetime import UTC, datetime
from typing import Any, NoReturn
from uuid import UUID

from msgspec.structs import replace

from hookline import codec
from hookline.codec import check_open
from hookline.engine import decide, patterns
from hookline.engine.arrivals import Arrivals
from hookline.engine.journal import Journal, opening
from hookline.engine.parking import Parking
from hookline.engine.services import Services
from hookline.errors import InvalidInput, SignalRefused
from hookline.events import Event, Trigger
from hookline.jobs.call import Call, Child, Send, Sleep, WaitForCallback, WaitForEvent, WaitForSignal
from hookline.jobs.callback import CallbackFailed
from hookline.starts import asked_for
from hookline.store.journal import Outcome, Record
from hookline.store.signals import Found, NewSignal, Want

LOOKED = b'{"looked":true}'
"""What is recorded of a wait for events once it has looked back: whatever came later is brought to it."""


class Waits:
    """Does the waits of one execution."""

    def __init__(self, journal: Journal, parking: Parking, services: Services) -> None:
        self._journal = journal
        self._parking = parking
        self._services = services
        self._bells: dict[str, asyncio.Event] = {}
        self._children: dict[str, UUID] = {}
        self._events: set[str] = set()
        self._arrivals = Arrivals(journal, services)
        self._began = asyncio.get_running_loop().time()
        self.subscribed = journal.has("event")
        self.spawned = journal.has("child")

    def ring(self) -> None:
        """Something has come for the run: every wait that is open looks whether it is for it."""
        for bell in self._bells.values():
            bell.set()

    # Time

    async def sleep(self, call: Sleep, record: Record | None) -> None:
        """Go on when the time has come."""
        if record is not None:
            left = record.pause or 0.0
        elif call.until is not None:
            left = max(0.0, call.until.timestamp() - self._journal.claim.clock - self._elapsed())
        else:
            left = call.seconds
        if left > 0:
            if record is None:
                self._journal.note(call, "waiting", pause=left)
            if left <= decide.MEMORY_PAUSE:
                await asyncio.sleep(left)
            else:
                with self._parking.parked(call.key, self._now() + left):
                    await asyncio.sleep(left)
        self._journal.note(call, "succeeded", output=codec.NULL)

    # Signals, callbacks, children: one thing that comes for one wait

    async def signal(self, call: WaitForSignal, record: Record | None) -> Any:
        """Go on when somebody sends a signal."""
        found = await self._come(call, record, call.timeout, mailbox=call.mailbox)
        return call.read(found.data or codec.NULL)

    async def callback(self, call: WaitForCallback, record: Record | None) -> Any:
        """Open a callback, or go on when an outsider completes it."""
        if call.opening:
            await self._open(call)
            return self._services.address(self._journal.claim.id, call.key)
        found = await self._come(call, self._as_opened(call, record), None, mailbox=call.mailbox, settle=False)
        told = codec.decode(found.data or codec.NULL)
        if told.get("error") is not None:
            await self._fail(call, CallbackFailed(str(told["error"])))
        output = codec.encode(told.get("data"))
        try:
            value = call.read(output)
        except codec.Undecodable as error:
            await self._fail(call, decide.unusable(f"what came to callback {call.key}", error))
        await self._journal.commit(call, "succeeded", output=output)
        return value

    async def child(self, call: Child, record: Record | None) -> Any:
        """Start another run, and go on when it has ended, if this one waits for it."""
        id_ = await self._spawn(call) if record is None else UUID(codec.decode(record.output or codec.NULL))
        if not call.attached:
            return id_
        self._children[call.key] = id_
        self.spawned = True
        waiting = record or self._journal.record(call, "waiting", output=codec.encode(id_))
        found = await self._come(call, waiting, None, child=id_)
        del self._children[call.key]
        if found.error is not None:
            error = decide.child_error(call.job, found.error, (found.data or b"").decode())
            described = decide.describe(error)
            await self._journal.commit(call, "failed", error=described)
            raise decide.rebuild(described)
        output = found.data or codec.NULL
        value = call.read(output)
        await self._journal.commit(call, "succeeded", output=output)
        return value

    async def send(self, call: Send, _record: Record | None) -> None:
        """Send another run a signal."""
        signal = NewSignal(codec.uuid7(), call.run, call.name, call.data)
        sent = await self._services.ledger.send(self._journal.record(call, "succeeded", output=codec.NULL), signal)
        if sent not in ("sent", "repeated"):
            why = "has ended" if sent == "ended" else "does not exist"
            await self._fail(call, SignalRefused(f"run {call.run}, which was sent {call.name}, {why}"))

    # Events: what may have come before it was waited for, and may fit several waits

    async def event(self, call: WaitForEvent, record: Record | None) -> Event:
        """Go on when a webhook brings an event that fits."""
        self.subscribed = True
        ledger, claim = self._services.ledger, self._journal.claim
        if record is None:
            record = self._journal.record(call, "waiting", pause=call.timeout)
            await ledger.subscribe(record, patterns.stored(claim.id, call.key, call.pattern))
        self._events.add(call.key)
        bell = self._bells[call.key] = asyncio.Event()
        try:
            looked = record.output is not None
            event = None if looked else await self._arrivals.before(call)
            while event is None:
                bell.clear()
                found = await ledger.collect(Want(replace(record, claim=claim.number), is_new=False))
                if not looked:
                    self._journal.note(call, "waiting", output=LOOKED, pause=found.pause)
                    looked = True
                event = await self._arrivals.since(call)
                if event is None and found.expired:
                    await ledger.withdraw(claim.id, call.key)
                    await self._fail(call, TimeoutError(f"no {call.key} came within {call.timeout:g} s"))
                if event is None:
                    await self._until(call.key, bell, found.pause)
        finally:
            del self._bells[call.key]
        self._events.discard(call.key)
        return event

    # What all waits share

    async def _come(
        self,
        call: Call,
        record: Record | None,
        timeout: float | None,
        *,
        mailbox: str | None = None,
        child: UUID | None = None,
        settle: bool = True,
    ) -> Found:
        """What comes for `call`; unless it is to be settled otherwise, that is committed as its outcome.

        Raises:
            TimeoutError: nothing came in time.
        """
        is_new = record is None
        record = record or self._journal.record(call, "waiting", pause=timeout)
        want = Want(replace(record, claim=self._journal.claim.number), is_new, mailbox, child, settle)
        bell = self._bells[call.key] = asyncio.Event()
        try:
            while True:
                bell.clear()
                found = await self._services.ledger.collect(want)
                if found.came:
                    with opening():
                        check_open(found.data, found.error)
                    return found
                if found.expired:
                    await self._fail(call, TimeoutError(f"nothing came for {call.key} in time"))
                want = replace(want, is_new=False)
                await self._until(call.key, bell, found.pause)
        finally:
            self._bells.pop(call.key, None)

    async def _until(self, key: str, bell: asyncio.Event, pause: float | None) -> None:
        """Park until something has come for the run, or for `pause` seconds."""
        with self._parking.parked(key, None if pause is None else self._now() + pause):
            try:
                async with asyncio.timeout(None if pause is None else pause + 0.001):
                    await bell.wait()
            except TimeoutError:
                return

    async def _fail(self, call: Call, error: Exception) -> NoReturn:
        described = decide.describe(error)
        await self._journal.commit(call, "failed", error=described)
        raise decide.rebuild(described)

    async def _open(self, call: WaitForCallback) -> None:
        deadline = None if call.timeout is None else self._journal.claim.clock + self._elapsed() + call.timeout
        told = {
            "page": call.page,
            "heartbeat": call.heartbeat,
            "deadline": "infinity" if deadline is None else datetime.fromtimestamp(deadline, UTC).isoformat(),
        }
        spans = [span for span in (call.timeout, call.heartbeat) if span is not None]
        await self._journal.commit(call, "waiting", output=codec.encode(told), pause=min(spans, default=None))

    def _as_opened(self, call: WaitForCallback, record: Record | None) -> Record:
        return record or self._journal.record(call, "waiting")

    async def _spawn(self, call: Child) -> UUID:
        claim = self._journal.claim
        trigger = Trigger(call.job, call.input, call.scope, call.priority, call.delay, call.idempotency_key, call.tags)
        try:
            wanted = replace(asked_for(trigger, self._services.jobs), parent=claim.id, attached=call.attached)
        except InvalidInput as error:
            await self._fail(call, error)
        state: Outcome = "waiting" if call.attached else "succeeded"
        return await self._services.ledger.spawn(self._journal.record(call, state), wanted)

    async def withdraw(self, paths: Collection[str], records: Iterable[Record]) -> None:
        """Give up the waits at `paths` and under them, which nobody waits for any more."""
        claim, ledger = self._journal.claim, self._services.ledger
        lost = {
            key for key in {*self._events, *self._children} if any(key == p or key.startswith(f"{p}/") for p in paths)
        }
        lost |= {record.key for record in records if record.kind in ("event", "child") and not record.settled}
        for key in sorted(lost):
            child = self._children.pop(key, None)
            self._events.discard(key)
            await ledger.withdraw(claim.id, key, child)

    def _now(self) -> float:
        return asyncio.get_running_loop().time()

    def _elapsed(self) -> float:
        """Seconds since the run was claimed, as far as this execution knows."""
        return self._now() - self._began
