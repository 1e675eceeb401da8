"""Machine: a job as states, each with a function that says which comes next."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Any, Generic, TypeVar, Unpack

from hookline import codec
from hookline.codec import Typed
from hookline.errors import ConfigurationError
from hookline.events import Event
from hookline.jobs.context import Context
from hookline.jobs.diagram import Diagram, Edge, Node
from hookline.jobs.step import Options, Step, as_step, check_name
from hookline.jobs.visit import Declared, Handler, StateName, Told, Visit, named
from hookline.spans import Seconds, seconds

D = TypeVar("D")

STATE = "state"
"""The variable in which operators see the state that a run is in."""


class Machine(Generic[D]):
    """A job as a typed state machine.

    A run begins in `initial`. The function of its state is called with the data, which it may change, and returns the
    next state, or `skip`, `pause(reason)`, `cancel(reason)`, or `again(after=...)` to be called again with the data as
    they are now. The data are kept with each transition. A run ends in a terminal state, and returns the data.

    Args:
        name: what the job is called.
        data: their type: a dataclass, a pydantic model, a TypedDict; a run's input is read as it.
        initial: the state in which a run begins.
        terminal: the states in which it ends.
        lag_alert: a state whose function begins later than this after it was entered is told of as a metric.

    Example:
        orders = Machine("order", data=Order, initial=Status.CREATED, terminal=[Status.DONE, Status.EXPIRED])

        @orders.state(Status.CREATED, to=[Status.PAID])
        async def request_payment(order: Order) -> Answer:
            await payments.request(order.number)
            return skip

        @orders.callback(Status.CREATED, "paid", to=[Status.PAID])
        async def paid(order: Order, amount: int) -> Status:
            order.paid = amount
            return Status.PAID

        orders.timeout(Status.CREATED, timedelta(days=1), to=Status.EXPIRED)
        app.add(orders, on=shop("order.created"), correlate="{number}")
    """

    takes = None

    def __init__(
        self,
        name: str,
        *,
        data: type[D],
        initial: StateName,
        terminal: Iterable[StateName],
        lag_alert: Seconds | None = None,
    ) -> None:
        self.name = name
        try:
            self._data = Typed(data)
        except Exception as error:
            raise ConfigurationError(f"machine {name}: cannot use {data!r} as the type of its data: {error}") from error
        self._initial = named(initial)
        self._terminal = tuple(named(each) for each in terminal)
        self._lag_alert = None if lag_alert is None else seconds(lag_alert)
        self._states: dict[str, Declared] = {}

    def state(
        self,
        state: StateName,
        *,
        to: Iterable[StateName] = (),
        limit: int | None = None,
        lag: Seconds = 0,
        **options: Unpack[Options],
    ) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
        """Declare the decorated function, which takes the data, what happens in `state`.

        Args:
            to: the states that it may return.
            limit: how many runs of a replica may be in it at once.
            lag: how long a run waits in the state before it is called.
            options: as of `step`.

        Raises:
            ConfigurationError: the state has a function already, or is terminal.
        """

        def declare(function: Callable[..., Any]) -> Callable[..., Any]:
            found = self._of(state)
            if found.handler is not None:
                raise ConfigurationError(f"machine {self.name}: state {named(state)} has two functions")
            found.handler = self._handler(function, to, options)
            found.lag = seconds(lag)
            found.places = None if limit is None else asyncio.Semaphore(limit)
            return function

        return declare

    def callback(
        self, state: StateName, signal: str, *, to: Iterable[StateName] = (), **options: Unpack[Options]
    ) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
        """Declare the decorated function, which takes the data and what came, what happens on `signal`.

        A signal that comes before the run is in `state` is held until it is.
        """

        def declare(function: Callable[..., Any]) -> Callable[..., Any]:
            self._of(state).callbacks[check_name(signal, "signal")] = self._handler(function, to, options)
            return function

        return declare

    def timeout(
        self,
        state: StateName,
        after: Seconds,
        *,
        to: StateName | Iterable[StateName] = (),
        function: Callable[..., Any] | None = None,
        **options: Unpack[Options],
    ) -> None:
        """Say what happens when a run has been in `state` for so long, on each visit anew.

        Args:
            to: the state that comes next, or those that `function` may return.
            function: takes the data; needed if there are several.
        """
        wanted = [to] if isinstance(to, StateName) else list(to)
        if function is None and len(wanted) != 1:
            raise ConfigurationError(f"machine {self.name}: the timeout of {named(state)} leads to one state, or says")
        target = wanted[0] if wanted else state
        chosen = function or _leading_to(target)
        self._of(state).expiry = (seconds(after), self._handler(chosen, wanted, options))

    def bind(self, steps: Mapping[str, Step[..., Any]]) -> None:
        """Nothing: its functions are its own."""

    def check(self) -> None:
        """Return if every state that can be reached is declared; raises `ConfigurationError`."""
        known = {*self._states, *self._terminal}
        for name, reached in [("the beginning", [self._initial]), *((n, self._reached(n)) for n in self._states)]:
            for target in reached:
                if target not in known:
                    raise ConfigurationError(f"machine {self.name}: {name} leads to {target}, where nothing happens")

    def diagram(self) -> Diagram:
        """Its states, and what leads from one to another."""
        names = list(dict.fromkeys([self._initial, *self._states, *self._terminal]))
        edges = []
        for name, state in self._states.items():
            for label, handler in self._handlers(state):
                edges += [Edge(name, target, label) for target in handler.to]
        kinds = {self._initial: "start"} | dict.fromkeys(self._terminal, "end")
        return Diagram([Node(name, kinds.get(name, "step")) for name in names], edges)  # type: ignore[arg-type]

    async def __call__(self, ctx: Context, argument: Any) -> Any:
        """Run it; returns the data as they are in the end."""
        given = argument.data if isinstance(argument, Event) else argument
        data = self._data.decode(codec.encode(given))
        state = self._initial
        while True:
            await ctx.set_var(STATE, state)
            if state in self._terminal:
                return data
            visit = Visit(state, self._states[state], ctx.group(state), self._lag_alert)
            state, data = await visit.leave(data)
            data = self._data.decode(codec.encode(data))

    def _of(self, state: StateName) -> Declared:
        name = check_name(named(state), "state")
        if name in self._terminal:
            raise ConfigurationError(f"machine {self.name}: state {name} is terminal, so nothing happens in it")
        return self._states.setdefault(name, Declared())

    def _reached(self, name: str) -> list[str]:
        return [target for _, handler in self._handlers(self._states[name]) for target in handler.to]

    def _handlers(self, state: Declared) -> list[tuple[str, Handler]]:
        found = [("", state.handler)] if state.handler else []
        found += sorted(state.callbacks.items())
        return found + ([(f"after {state.expiry[0]:g} s", state.expiry[1])] if state.expiry else [])

    def _handler(self, function: Callable[..., Any], to: Iterable[StateName], options: Any) -> Handler:
        step, targets = as_step(function).options(**options), tuple(named(each) for each in to)
        told = Told(step, self._data, targets)
        return Handler(replace(step, function=told.later if step.is_async else told.now), targets)


def _leading_to(target: StateName) -> Callable[[Any], StateName]:
    def expired(_: Any) -> StateName:
        return target

    return expired
