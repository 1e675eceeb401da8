"""The Context: what a job is handed, and all that it may do that touches the world."""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Any, ParamSpec, TypeVar, overload
from uuid import UUID

from hookline import codec
from hookline.jobs.step import Call, as_step

P = ParamSpec("P")
R = TypeVar("R")

Perform = Callable[[Call], Awaitable[Any]]
"""Has a call done once and recorded, or returns what was recorded of it."""


class Context:
    """One execution of a run, as its job sees it.

    Between two calls of the Context a job does nothing but compute: it is called again from the top whenever
    the run goes on elsewhere, and what it awaits of the Context returns what was recorded.

    Attributes:
        run: the run's id.
        job: the job's name.
        version: the job's version, which the run keeps.
        attempt: which try of the whole run this is, from 1.
        scope: the key that serialises runs of the job, if it has one.
        delivery: the id of the webhook that started the run, if one did.
    """

    __slots__ = ("_calls", "_names", "_perform", "attempt", "delivery", "job", "run", "scope", "version")

    def __init__(
        self,
        perform: Perform,
        *,
        run: UUID,
        job: str,
        version: int = 1,
        attempt: int = 1,
        scope: str | None = None,
        delivery: UUID | None = None,
    ) -> None:
        self.run = run
        self.job = job
        self.version = version
        self.attempt = attempt
        self.scope = scope
        self.delivery = delivery
        self._perform = perform
        self._names: Counter[str] = Counter()
        self._calls = 0

    @overload
    def step(self, function: Callable[P, Awaitable[R]], /, *args: P.args, **kwargs: P.kwargs) -> Awaitable[R]: ...
    @overload
    def step(self, function: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs) -> Awaitable[R]: ...
    def step(self, function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Awaitable[Any]:
        """Call `function` once, record what it returns, and return that, now and on every replay.

        What is returned is what the journal holds: the value as JSON, read back as the type that the function
        says it returns. The key is assigned when this is called, before it is awaited, so calls that are
        gathered are numbered in the order in which they are written.

        Args:
            function: `async def` or `def`, or a Step; its arguments follow.

        Raises:
            Exception: what the function raised, when its retries are used up. It has the type and the text of
                the original, as it will have on a replay, and nothing else of it.

        Example:
            image = await ctx.step(build_image, commit)
        """
        called = as_step(function)
        call = Call(self._key(called.name), self._calls, called, args, kwargs, _fingerprint(args, kwargs))
        self._calls += 1
        return self._perform(call)

    def _key(self, name: str) -> str:
        """`name`, or `name#2` for the second call of that name, and so on."""
        self._names[name] += 1
        return name if self._names[name] == 1 else f"{name}#{self._names[name]}"


def _fingerprint(args: tuple[Any, ...], kwargs: dict[str, Any]) -> bytes | None:
    try:
        return codec.digest(codec.encode([args, kwargs]))
    except codec.Undecodable:
        return None
