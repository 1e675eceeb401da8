"""A visit: one stay of a run in a state of its Machine, until something leads to another."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import Enum
from typing import Any

from hookline import codec, metrics
from hookline.codec import Typed
from hookline.errors import Cancelled, Hold, HooklineError
from hookline.jobs.chain import AGAIN
from hookline.jobs.context import Context
from hookline.jobs.step import Step

StateName = Enum | str

NEVER = datetime.fromtimestamp(0, UTC)


class WrongDestination(HooklineError):
    """A state's function returned a state that it does not declare as a destination."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What a state's function returns instead of the next state: see `skip`, `pause` and `cancel`."""

    act: str
    reason: str = ""


skip = Answer("skip")
"""Stay in the state: one of its callbacks, or its timeout, moves it on."""


def pause(reason: str) -> Answer:
    """Have the run wait for an operator; when it is resumed, the function is called again."""
    return Answer("pause", reason)


def cancel(reason: str) -> Answer:
    """End the run as cancelled."""
    return Answer("cancel", reason)


@dataclass(frozen=True, slots=True)
class Handler:
    """A function of a state, as a step that returns what came of it and the data."""

    step: Step[..., Any]
    to: tuple[str, ...]


@dataclass(slots=True)
class Declared:
    """What happens in a state."""

    handler: Handler | None = None
    callbacks: dict[str, Handler] = field(default_factory=dict)
    expiry: tuple[float, Handler] | None = None
    lag: float = 0.0
    places: asyncio.Semaphore | None = None


@dataclass(frozen=True, slots=True)
class Told:
    """Calls a state's function, and tells what it decided together with the data that it leaves."""

    step: Step[..., Any]
    data: Typed
    to: tuple[str, ...]

    async def later(self, data: Any, *came: Any) -> dict[str, Any]:
        """Of an `async def`."""
        typed = self.data.decode(codec.encode(data))
        return self._tell(await self.step.function(typed, *came), typed)

    def now(self, data: Any, *came: Any) -> dict[str, Any]:
        """Of a `def`."""
        typed = self.data.decode(codec.encode(data))
        return self._tell(self.step.function(typed, *came), typed)

    def _tell(self, returned: Any, data: Any) -> dict[str, Any]:
        if isinstance(returned, Answer):
            return {"act": returned.act, "reason": returned.reason, "data": data}
        if isinstance(returned, Mapping) and AGAIN in returned:
            return {"act": "again", "after": returned[AGAIN], "data": data}
        if not isinstance(returned, StateName) or named(returned) not in self.to:
            allowed = ", ".join(self.to) or "nowhere"
            raise WrongDestination(f"{self.step.name} returned {returned!r}; it may lead to {allowed}")
        return {"act": "go", "to": named(returned), "data": data}


@dataclass(slots=True)
class Visit:
    """One stay of a run in a state."""

    name: str
    state: Declared
    ctx: Context
    lag_alert: float | None
    _last: str = ""

    async def leave(self, data: Any) -> tuple[str, Any]:
        """The next state and the data, once something leads there."""
        timed = self.state.expiry is not None or self.state.lag or self.lag_alert is not None
        entered = await self.ctx.now() if timed else NEVER
        if self.state.handler is not None:
            if self.state.lag:
                await self.ctx.sleep_until(entered + timedelta(seconds=self.state.lag))
            async with AsyncExitStack() as stack:
                if self.state.places is not None:
                    await stack.enter_async_context(self.state.places)
                self._alert(entered.timestamp())
                told = await self._decided(self.state.handler, data)
            if told["act"] == "go":
                return told["to"], told["data"]
            data = told["data"]
        expires = None if self.state.expiry is None else entered + timedelta(seconds=self.state.expiry[0])
        while True:
            told = await self._decided(*await self._came(data, expires))
            if told["act"] == "go":
                return told["to"], told["data"]
            data = told["data"]

    async def _came(self, data: Any, expires: datetime | None) -> tuple[Any, ...]:
        """What came first, a callback or the timeout: its handler, and what that is given."""
        names = list(self.state.callbacks)
        waits: list[Awaitable[Any]] = [self.ctx.wait_for(name) for name in names]
        if expires is not None:
            waits.append(self.ctx.sleep_until(expires))
        if not waits:
            raise Hold(
                f"nothing leads out of state {self.name}: its function did not say where to, and nothing else can"
            )
        index, came = await self.ctx.race(*waits)
        if index == len(names):
            assert self.state.expiry is not None  # noqa: S101 - it was waited for
            return self.state.expiry[1], data
        return self.state.callbacks[names[index]], data, came

    async def _decided(self, handler: Handler, data: Any, *came: Any) -> dict[str, Any]:
        """What a handler decided, once it does not ask to be called again."""
        while True:
            call = self.ctx.step(handler.step, data, *came)
            self._last = call.call.key
            told: dict[str, Any] = await call
            match told["act"]:
                case "pause":
                    self.ctx.redo([self._last])
                    raise Hold(told["reason"])
                case "cancel":
                    raise Cancelled(told["reason"])
                case "again":
                    data = told["data"]
                    await self.ctx.sleep(told["after"])
                case _:
                    return told

    def _alert(self, entered: float) -> None:
        late = self.ctx.clock - entered - self.state.lag
        if self.lag_alert is not None and late > self.lag_alert and not self.ctx.replaying:
            metrics.LAGGING.count(job=self.ctx.job, state=self.name)


def named(state: StateName) -> str:
    """What a state is called."""
    return state.name if isinstance(state, Enum) else state
