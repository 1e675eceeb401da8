"""The Context: what a job is handed, and all that it may do that touches the world."""

from __future__ import annotations

import inspect
import random
from collections.abc import Awaitable, Callable, Iterable, Sequence
from datetime import UTC, datetime
from functools import partial
from itertools import count
from typing import Any, ParamSpec, TypeVar, cast, get_type_hints, overload
from uuid import UUID, uuid4

from msgspec import Struct

from hookline import codec
from hookline.codec import Typed
from hookline.events import Event, Pattern
from hookline.jobs.call import (
    ANYTHING,
    Child,
    Decision,
    Note,
    Pending,
    Performer,
    Send,
    Sleep,
    WaitForEvent,
    WaitForSignal,
    fingerprint,
)
from hookline.jobs.callback import Approval, Callback
from hookline.jobs.current import CURRENT, current_step
from hookline.jobs.fan import Batch, Branch, Fan, TooManyFailed, tolerance
from hookline.jobs.log import Log
from hookline.jobs.retry import Seconds, seconds
from hookline.jobs.step import Poll, StepCall, Undo, as_step, check_name

P = ParamSpec("P")
R = TypeVar("R")
T = TypeVar("T")
_NOTHING: Any = object()


class Info(Struct, frozen=True):
    """Which run this is.

    Args:
        run: its id.
        job: the job's name.
        version: the job's version, which the run keeps.
        attempt: which try of the whole run this is, from 1.
        scope: the key that serialises runs of the job, if it has one.
        delivery: the id of the webhook that started it, if one did.
        parent: the id of the run that started it, if one did.
    """

    run: UUID
    job: str
    version: int = 1
    attempt: int = 1
    scope: str | None = None
    delivery: UUID | None = None
    parent: UUID | None = None


class Context:
    """One execution of a run, as its job sees it.

    Between two calls of the Context a job does nothing but compute: it is called again from the top whenever
    the run goes on elsewhere, and what it awaits of the Context returns what was recorded. The key of a call is
    assigned when the method is called, before it is awaited, so calls that are gathered are numbered in the order
    in which they are written.

    Attributes:
        info: which run this is; `run`, `job`, `version`, `attempt`, `scope`, `delivery` and `parent` are its parts.
    """

    __slots__ = ("_names", "_path", "_performer", "_positions", "_variables", "info")

    def __init__(self, performer: Performer, info: Info) -> None:
        self.info = info
        self._performer = performer
        self._path = ""
        self._names: dict[str, int] = {}
        self._positions = count()
        self._variables: dict[str, Any] = {}

    def __getattr__(self, name: str) -> Any:
        """The parts of `info`."""
        if name in Info.__struct_fields__:
            return getattr(self.info, name)
        raise AttributeError(f"a Context has no {name!r}")

    @property
    def log(self) -> Log:
        """A logger that says nothing of what is only replayed."""
        return Log(self._performer)

    # Steps

    @overload
    def step(self, function: Callable[P, Awaitable[R]], /, *args: P.args, **kwargs: P.kwargs) -> Pending[R]: ...
    @overload
    def step(self, function: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs) -> Pending[R]: ...
    def step(self, function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Pending[Any]:
        """Call `function` once, record what it returns, and return that, now and on every replay.

        What is returned is what the journal holds: the value as JSON, read back as the type that the function
        says it returns.

        Args:
            function: `async def` or `def`, or a Step; its arguments follow.

        Raises:
            Exception: what the function raised, when its retries are used up. It has the type and the text of
                the original, as it will have on a replay, and nothing else of it.

        Example:
            image = await ctx.step(build_image, commit)
        """
        called = as_step(function)
        return self._step(self._key(called.name), called, args, kwargs)

    def _step(self, key: str, called: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Pending[Any]:
        call = StepCall(
            key=key,
            position=next(self._positions),
            fingerprint=fingerprint(args, kwargs),
            step=called,
            args=args,
            kwargs=kwargs,
        )
        return Pending(self._performer.perform, call)

    def poll(
        self,
        function: Callable[..., Awaitable[R]] | Callable[..., R],
        /,
        *,
        every: Seconds,
        until: Callable[[R], object] = bool,
        state: Any = _NOTHING,
        timeout: Seconds | None = None,
        factor: float = 1.0,
        cap: Seconds = 3600.0,
    ) -> Pending[R]:
        """Call `function` again and again until what it returns will do, and return that; costs one row.

        Args:
            function: called with what it returned the time before, if a `state` to begin with is given; else
                with nothing.
            every: the pause between two looks; each further one is `factor` times as long, up to `cap`.
            until: whether what was returned will do; what is true does, unless said otherwise.

        Raises:
            TimeoutError: nothing did within `timeout`.
        """
        called = as_step(cast("Callable[..., R]", function))
        call = Poll(
            key=self._key(called.name),
            position=next(self._positions),
            fingerprint=None,
            step=called,
            args=(),
            kwargs={},
            every=seconds(every),
            factor=factor,
            cap=seconds(cap),
            until=until,
            carries=state is not _NOTHING,
            state=None if state is _NOTHING else state,
            limit=None if timeout is None else seconds(timeout),
        )
        return Pending(self._performer.perform, call)

    def compensate(self, function: Callable[P, Any], /, *args: P.args, **kwargs: P.kwargs) -> None:
        """Have `function` called as a step if this run fails, is cancelled or times out; the last one first.

        Example:
            seat = await ctx.step(book_seat, trip)
            ctx.compensate(release_seat, seat)
        """
        called = as_step(function)
        self._performer.compensate(
            Undo(
                key=self._key(called.name),
                position=next(self._positions),
                fingerprint=fingerprint(args, kwargs),
                step=called,
                args=args,
                kwargs=kwargs,
            )
        )

    @property
    def idempotency_key(self) -> str:
        """Within a step: the same for every try of it, and for nothing else."""
        return current_step().idempotency_key

    @property
    def cancelled(self) -> bool:
        """Within a step: whether its outcome is no longer wanted."""
        current = CURRENT.get()
        return current is not None and current.cancelled

    # Time

    def sleep(self, span: Seconds) -> Pending[None]:
        """Go on after `span`; a number is in seconds. It goes on when it is over, on whichever replica."""
        return Pending(
            self._performer.perform,
            Sleep(key=self._key("sleep"), position=next(self._positions), seconds=max(seconds(span), 0.0)),
        )

    def sleep_until(self, moment: datetime) -> Pending[None]:
        """Go on at `moment`, at once if it has passed; raises `ValueError` if it has no time zone."""
        if moment.tzinfo is None:
            raise ValueError("a moment needs a time zone, as in datetime.now(UTC)")
        return Pending(
            self._performer.perform, Sleep(key=self._key("sleep"), position=next(self._positions), until=moment)
        )

    # Waits

    @overload
    def wait_for(self, what: str, /, *, timeout: Seconds | None = None, returns: type[T]) -> Pending[T]: ...
    @overload
    def wait_for(self, what: str, /, *, timeout: Seconds | None = None) -> Pending[Any]: ...
    @overload
    def wait_for(
        self, what: Pattern, /, *, timeout: Seconds | None = None, since: datetime | None = None
    ) -> Pending[Event]: ...
    def wait_for(
        self,
        what: str | Pattern,
        /,
        *,
        timeout: Seconds | None = None,
        since: datetime | None = None,
        returns: Any = Any,
    ) -> Pending[Any]:
        """Go on when somebody sends this run the signal `what`, or a webhook brings an event that fits it.

        What came before it was waited for is held: of signals all, of events those since the run was created, or
        since the moment `since`. Each is given to one wait, in the order in which they came.

        Args:
            returns: the type that a signal's data are read as.

        Raises:
            TimeoutError: nothing came within `timeout`.

        Example:
            suite = await ctx.wait_for(github.check_suite(sha=sha), timeout=timedelta(hours=1))
        """
        limit = None if timeout is None else seconds(timeout)
        if isinstance(what, str):
            key = self._key(check_name(what, "signal"))
            call: WaitForSignal | WaitForEvent = WaitForSignal(
                key=key, position=next(self._positions), mailbox=what, timeout=limit, returns=Typed(returns)
            )
        else:
            key = self._key(next(iter(what.types), "event").replace("/", ".").replace("#", "."))
            call = WaitForEvent(
                key=key,
                position=next(self._positions),
                mailbox=f"event:{key}",
                timeout=limit,
                pattern=what,
                since=since,
            )
        return Pending(self._performer.perform, call)

    async def callback(
        self, name: str, *, timeout: Seconds | None = None, heartbeat: Seconds | None = None, returns: Any = Any
    ) -> Callback:
        """Make an address that an outsider calls once, with success or failure: see `Callback`.

        Args:
            timeout: how long it may take; the address expires with it.
            heartbeat: how long the outsider may be silent.
            returns: the type that its data are read as.

        Example:
            paid = await ctx.callback("paid", timeout=timedelta(days=1))
            await ctx.step(request_payment, order, paid.url)
            receipt = await paid
        """
        return await self._callback(Callback, name, timeout, heartbeat, None, Typed(returns))

    async def approval(self, name: str, *, text: str = "", timeout: Seconds | None = None) -> Approval:
        """Make a page on which a person approves or rejects, with a comment: see `Approval`.

        Args:
            text: what the person shall know.
        """
        page = {"title": name, "text": text}
        return await self._callback(Approval, name, timeout, None, page, Typed(Any))

    async def _callback(
        self,
        made: Callable[..., T],
        name: str,
        timeout: Seconds | None,
        heartbeat: Seconds | None,
        page: dict[str, str] | None,
        returns: Typed,
    ) -> T:
        handle = made(
            self._performer,
            self._key(check_name(name, "callback")),
            next(self._positions),
            None if timeout is None else seconds(timeout),
            None if heartbeat is None else seconds(heartbeat),
            page,
            returns,
        )
        await handle.open()  # type: ignore[attr-defined]
        return handle

    # Other runs

    def run_job(self, job: str | Callable[..., Awaitable[R]], input: Any = None, **options: Any) -> Pending[R]:  # noqa: A002
        """Start a run of `job`, and return what it returns.

        It is cancelled if this run ends before it.

        Args:
            job: its name, or the function that was declared.
            options: `scope`, `priority`, `delay` and `idempotency_key`, as of a Trigger.

        Raises:
            Exception: what it failed with, of its type; `ChildCancelled` if it was cancelled.
        """
        return self._child(job, input, attached=True, **options)

    def start_job(self, job: str | Callable[..., Any], input: Any = None, **options: Any) -> Pending[UUID]:  # noqa: A002
        """Start a run of `job` that goes its own way, and return its id; takes what `run_job` takes."""
        return self._child(job, input, attached=False, **options)

    def _child(
        self,
        job: str | Callable[..., Any],
        input_: Any,
        *,
        attached: bool,
        scope: str | None = None,
        priority: int = 0,
        delay: Seconds = 0,
        idempotency_key: str | None = None,
    ) -> Pending[Any]:
        name = job if isinstance(job, str) else getattr(job, "hookline_job", None)
        if name is None:
            raise TypeError(f"{job!r} is not a job: declare it with @app.job(), or give its name")
        call = Child(
            key=self._key(name),
            position=next(self._positions),
            fingerprint=fingerprint(input_),
            job=name,
            input=input_,
            attached=attached,
            scope=scope,
            priority=priority,
            delay=seconds(delay),
            idempotency_key=idempotency_key,
            returns=_returned(job) if attached else Typed(UUID),
        )
        return Pending(self._performer.perform, call)

    def signal(self, run: UUID, name: str, data: Any = None) -> Pending[None]:
        """Send another run the signal `name`, once.

        Raises:
            SignalRefused: there is no such run, or it has ended.
        """
        call = Send(
            key=self._key(check_name(name, "signal")),
            position=next(self._positions),
            fingerprint=fingerprint(run, data),
            run=run,
            name=name,
            data=codec.encode(data),
        )
        return Pending(self._performer.perform, call)

    # Several at once

    def group(self, name: str) -> Context:
        """A Context whose calls are recorded under `name/`, for a part of the job that is a whole of its own."""
        return self._at(self._key(check_name(name, "group")))

    async def gather(self, *branches: Awaitable[Any] | Callable[[Context], Awaitable[Any]]) -> list[Any]:
        """Do several things at once, and return what each returns, in this order.

        Args:
            branches: calls of this Context, not yet awaited, or functions that take a Context of their own.

        Raises:
            Exception: the first failure; what the other branches still do is cancelled.
        """
        batch = await self._fan("gather", branches)
        return list(batch)

    async def race(self, *branches: Awaitable[Any] | Callable[[Context], Awaitable[Any]]) -> tuple[int, Any]:
        """Do several things at once until the first has ended; returns which one, from 0, and what it returned.

        Args:
            branches: as of `gather`.

        Raises:
            Exception: what the first failed with.
        """
        if not branches:
            raise ValueError("a race needs somebody who runs")
        batch = await self._fan("race", branches, first=True)
        return batch.succeeded[0], batch[batch.succeeded[0]]

    async def _fan(self, what: str, branches: Iterable[Any], *, first: bool = False) -> Batch[Any]:
        decision = self._decision(self._key(what), what)
        fan = Fan(self._performer, decision, [self._branch(each) for each in branches], first=first)
        batch = await fan.run()
        if batch.errors:
            raise next(iter(batch.errors.values()))
        return batch

    async def map(
        self,
        function: Callable[..., Awaitable[R]] | Callable[..., R],
        items: Iterable[Any],
        /,
        *,
        concurrency: int | None = None,
        tolerate: int | str | None = None,
        enough: int | None = None,
        name: str | None = None,
    ) -> Batch[R]:
        """Call `function` for each of `items`, several at once, and return what came of them, in their order.

        Args:
            function: a step, called with an item; or a branch, `async def branch(ctx, item)`, with a Context of its
                own, in which it may step, sleep and wait.
            concurrency: how many at once; all, unless said otherwise.
            tolerate: how many may fail, as a number or as a percentage such as `"10%"`.
            enough: how many successes will do; what is still done then is cancelled.
            name: what the journal calls it; the function's name unless said otherwise.

        Raises:
            Exception: the first failure, if nothing was said of tolerating any.
            TooManyFailed: more failed than is tolerated.
        """
        wanted = list(items)
        called = as_step(cast("Callable[..., R]", function))
        base = self._key(name or called.name)
        if _takes_context(called.function):
            branches = [
                Branch(f"{base}/{index}", partial(cast("Any", called.function), self._at(f"{base}/{index}"), item))
                for index, item in enumerate(wanted)
            ]
        else:
            branches = [
                Branch(f"{base}/{index}", partial(self._step, f"{base}/{index}", called, (item,), {}))
                for index, item in enumerate(wanted)
            ]
        batch = await Fan(
            self._performer,
            self._decision(base, "map"),
            cast("Sequence[Branch]", branches),
            concurrency,
            tolerance(tolerate or 0, len(wanted)),
            enough,
        ).run()
        if batch.why == "failures":
            raise next(iter(batch.errors.values())) if tolerate is None else TooManyFailed(batch)
        return batch

    # What is recorded so that a replay has the same

    def now(self) -> Pending[datetime]:
        """The time, by the database's clock."""
        return self._note("now", lambda: datetime.fromtimestamp(self._performer.clock, UTC), datetime)

    def random(self) -> Pending[float]:
        """A random number from 0 to 1."""
        return self._note("random", random.random, float)

    def uuid4(self) -> Pending[UUID]:
        """A random UUID."""
        return self._note("uuid4", uuid4, UUID)

    def set_var(self, name: str, value: Any) -> Pending[None]:
        """Let operators see `value` under `name`, while the run goes on and when it has ended."""
        self._variables[check_name(name, "variable")] = value
        return self._note(f"var:{name}", lambda: value, Any, what="var")

    def get_var(self, name: str, default: Any = None) -> Any:
        """What this run last set under `name`."""
        return self._variables.get(name, default)

    def patched(self, name: str) -> bool:
        """Whether to take the new way: true for a run that gets here first, false for one that was past it already.

        Example:
            if ctx.patched("notify-before-shipping"):
                await ctx.step(notify, order)
        """
        return self._performer.patched(f"{self._path}patch:{check_name(name, 'patch')}", next(self._positions))

    def _note(self, name: str, make: Callable[[], Any], returns: Any, *, what: str = "value") -> Pending[Any]:
        note = Note(key=self._key(name), position=next(self._positions), what=what, make=make, returns=Typed(returns))
        return Pending(self._performer.perform, note)

    # Keys

    def _key(self, name: str) -> str:
        """`name`, or `name#2` for the second call of that name, and so on, under this Context's path."""
        number = self._names[name] = self._names.get(name, 0) + 1
        return f"{self._path}{name}" if number == 1 else f"{self._path}{name}#{number}"

    def _at(self, path: str) -> Context:
        """A Context of the same run whose keys are under `path`."""
        context = Context(self._performer, self.info)
        context._path = f"{path}/"
        context._positions = self._positions
        context._variables = self._variables
        return context

    def _decision(self, key: str, what: str) -> Decision:
        return Decision(key=key, position=next(self._positions), what=what)

    def _branch(self, given: Any) -> Branch:
        if isinstance(given, Pending):
            given.is_cared_for = True
            return Branch(given.call.key, lambda: given)
        if callable(given):
            path = self._key(check_name(getattr(given, "__name__", "branch").strip("<>"), "branch"))
            return Branch(path, partial(given, self._at(path)))
        raise TypeError(
            "a branch is a call of the Context, such as ctx.step(build), or a function that takes a Context, not "
            f"{type(given).__name__}"
        )


def _returned(job: str | Callable[..., Any]) -> Typed:
    return ANYTHING if isinstance(job, str) else Typed(get_type_hints(job).get("return", Any))


def _takes_context(function: Callable[..., Any]) -> bool:
    """Whether `function` is a branch, which is handed a Context before its item."""
    try:
        first = next(iter(inspect.signature(function).parameters.values()), None)
    except (TypeError, ValueError):
        return False
    return first is not None and (first.annotation in (Context, "Context") or first.name == "ctx")
