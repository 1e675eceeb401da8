"""A step: a function with the options under which a run calls it, and one such call."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, Callable, Mapping
from concurrent.futures import Executor
from contextvars import copy_context
from dataclasses import dataclass, replace
from functools import lru_cache, partial, update_wrapper
from typing import Any, Generic, ParamSpec, TypeVar, cast, get_type_hints, overload

from hookline.codec import Typed
from hookline.jobs.retry import ONCE, Retry, Seconds, seconds

P = ParamSpec("P")
R = TypeVar("R")


LONGEST_NAME = 200


@dataclass(eq=False)
class Step(Generic[P, R]):
    """A function and how a run calls it; calling a Step directly just calls the function.

    Args:
        function: `async def`, or `def`, which then runs in a thread.
        name: what the journal calls it.
        retry: when a call that failed is tried again.
        timeout: seconds for each try; a `def` that exceeds them is abandoned, not stopped.
    """

    function: Callable[P, R]
    name: str
    retry: Retry = ONCE
    timeout: float | None = None

    def __post_init__(self) -> None:
        if not 0 < len(self.name) <= LONGEST_NAME or not self.name.isprintable() or set("/#") & set(self.name):
            raise ValueError(
                f"a step's name is 1 to {LONGEST_NAME} printable characters without / and #, not {self.name[:50]!r}"
            )
        update_wrapper(self, self.function)

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        return self.function(*args, **kwargs)

    def options(
        self, *, name: str | None = None, retry: Retry | None = None, timeout: Seconds | None = None
    ) -> Step[P, R]:
        """This step with other options, for one call: `await ctx.step(build.options(timeout=5), commit)`."""
        return replace(
            self,
            name=self.name if name is None else name,
            retry=self.retry if retry is None else retry,
            timeout=self.timeout if timeout is None else seconds(timeout),
        )

    @property
    def returns(self) -> Typed:
        """What the function says that it returns."""
        return _returned(self.function)


@overload
def step(function: Callable[P, R], /) -> Step[P, R]: ...
@overload
def step(
    *, name: str | None = None, retry: Retry | None = None, timeout: Seconds | None = None
) -> Callable[[Callable[P, R]], Step[P, R]]: ...
def step(
    function: Callable[P, R] | None = None,
    /,
    *,
    name: str | None = None,
    retry: Retry | None = None,
    timeout: Seconds | None = None,
) -> Step[P, R] | Callable[[Callable[P, R]], Step[P, R]]:
    """Give a function the options under which `ctx.step` calls it.

    Args:
        name: what the journal calls it; the function's name unless said otherwise.
        retry: when a call that failed is tried again; once only, unless said otherwise.
        timeout: for each try; a number is in seconds.

    Example:
        >>> @step(retry=Retry(attempts=5), timeout=30)
        ... async def fetch(url: str) -> str: ...
    """

    def declare(function: Callable[P, R]) -> Step[P, R]:
        return as_step(function).options(name=name, retry=retry, timeout=timeout)

    return declare if function is None else declare(function)


def as_step(function: Callable[P, R]) -> Step[P, R]:
    """`function` as a Step, with no options if it declared none."""
    if isinstance(function, Step):
        return function
    if not callable(function):
        raise TypeError(f"a step is a function, not {type(function).__name__}: pass the function and its arguments")
    return cast("Step[P, R]", _plain(function))


@lru_cache(maxsize=4096)
def _plain(function: Callable[..., Any]) -> Step[..., Any]:
    named = getattr(function, "__name__", None)
    if named is None:
        raise TypeError(f"{function!r} has no name: give it one with `step(name=...)(...)`")
    return Step(function, named)


@lru_cache(maxsize=4096)
def _returned(function: Callable[..., Any]) -> Typed:
    try:
        return Typed(get_type_hints(function).get("return", Any))
    except Exception:  # noqa: BLE001 - a hint that cannot be read, or that pydantic has no schema for, says nothing
        return Typed(Any)


@dataclass(frozen=True, slots=True)
class Call:
    """One call of a step in a run.

    Args:
        key: its path of names, unique in the run.
        position: which call of the run it is, from 0.
        fingerprint: of the arguments, to notice when a replay brings others; `None` if they cannot be written down.
    """

    key: str
    position: int
    step: Step[Any, Any]
    args: tuple[Any, ...]
    kwargs: Mapping[str, Any]
    fingerprint: bytes | None

    async def invoke(self, threads: Executor) -> Any:
        """Call the function, a `def` in one of `threads`, for as long as its timeout allows.

        Raises:
            TimeoutError: it took too long.
        """
        if self.step.timeout is None:
            return await self._invoke(threads)
        try:
            async with asyncio.timeout(self.step.timeout) as deadline:
                return await self._invoke(threads)
        except TimeoutError:
            if deadline.expired():
                raise TimeoutError(f"step {self.key} exceeded its {self.step.timeout:g} s") from None
            raise

    def _invoke(self, threads: Executor) -> Awaitable[Any]:
        function = self.step.function
        if _is_async(function):
            awaited: Awaitable[Any] = function(*self.args, **self.kwargs)
            return awaited
        call = partial(copy_context().run, function, *self.args, **self.kwargs)
        return asyncio.get_running_loop().run_in_executor(threads, call)


@lru_cache(maxsize=4096)
def _is_async(function: Callable[..., Any]) -> bool:
    while isinstance(function, partial):
        function = function.func
    return inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(
        getattr(function, "__call__", None)  # noqa: B004 - an object whose call is a coroutine
    )
