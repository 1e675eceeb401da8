"""The Context: what a job is handed, and all that it may do that touches the world."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from inspect import isfunction
from typing import Any, ParamSpec, TypeVar, cast, get_type_hints, overload
from uuid import UUID

from hookline import codec
from hookline.codec import Typed
from hookline.jobs.call import (
    ANYTHING,
    Child,
    Pending,
    Send,
    fingerprint,
)
from hookline.jobs.current import CURRENT, current_step
from hookline.jobs.log import Log
from hookline.jobs.parallel import Parallel
from hookline.jobs.step import Poll, Undo, as_step, check_name
from hookline.jobs.values import Values
from hookline.jobs.waiting import Waiting
from hookline.spans import Seconds, seconds

P = ParamSpec("P")
R = TypeVar("R")
T = TypeVar("T")
_NOTHING: Any = object()


class Context(Values, Waiting, Parallel):
    """One execution of a run, as its job sees it.

    Between two calls of the Context a job does nothing but compute: it is called again from the top whenever
    the run goes on elsewhere, and what it awaits of the Context returns what was recorded. The key of a call is
    assigned when the method is called, before it is awaited, so calls that are gathered are numbered in the order
    in which they are written.
    """

    __slots__ = ()

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

    # Other runs

    def run_job(self, job: str | Callable[..., Awaitable[R]], input: Any = None, **options: Any) -> Pending[R]:  # noqa: A002
        """Start a run of `job`, and return what it returns.

        It is cancelled if this run ends before it.

        Args:
            job: its name, or the function that was declared.
            options: `scope`, `priority`, `delay`, `idempotency_key` and `tags`, as of a Trigger.

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
        tags: Iterable[str] = (),
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
            tags=tuple(tags),
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


def _returned(job: str | Callable[..., Any]) -> Typed:
    return Typed(get_type_hints(job).get("return", Any)) if isfunction(job) else ANYTHING
