"""A step: a function with the options under which a run calls it, and one such call."""

from __future__ import annotations

import asyncio
import base64
import inspect
from collections.abc import Awaitable, Callable, Mapping
from concurrent.futures import Executor
from contextlib import suppress
from contextvars import copy_context
from copy import copy
from dataclasses import dataclass
from functools import cached_property, partial, update_wrapper
from typing import (
    Any,
    ClassVar,
    Generic,
    Literal,
    ParamSpec,
    Protocol,
    TypedDict,
    TypeVar,
    Unpack,
    get_type_hints,
    overload,
)

from hookline import codec
from hookline.codec import Typed
from hookline.jobs.call import ANYTHING, Call
from hookline.jobs.retry import ONCE, Retry
from hookline.jobs.tree import Action, Tree
from hookline.spans import Seconds, seconds

P = ParamSpec("P")
R = TypeVar("R")


LONGEST_NAME = 200

KEPT = "__hookline_step__"
"""Where a function keeps the Step that it is without options, for as long as there is the function."""


class Serializer(Protocol):
    """How the output of a step is kept when JSON cannot hold it, such as by `pickle` or `pyarrow`."""

    def dumps(self, value: Any, /) -> bytes:
        """`value` as bytes."""

    def loads(self, data: bytes, /) -> Any:
        """What `dumps` was given."""


Unknown = Literal["pause", "retry"] | Callable[..., Any]
"""What to do with a step `once` whose process died in it."""


class Options(TypedDict, total=False):
    """How a run calls a step.

    Args:
        name: what the journal calls it; the function's name unless said otherwise.
        retry: when a call that failed is tried again; once only, unless said otherwise.
        timeout: for each try; a number is in seconds. A `def` that exceeds it is abandoned, not stopped.
        once: record that a try begins before it does, so that nobody begins it again unknowingly.
        unknown: what to do when a try `once` may have been done, since its process died: `pause` the run for a
            person, `retry` with the same idempotency key, or a function that finds out. It is called with the
            step's arguments and returns what the step would have, or raises `NotDone` to have it done again.
        heartbeat: how long a try may go without calling `progress`; a number is in seconds.
        serializer: how its output is kept; JSON unless said otherwise.
    """

    name: str
    retry: Retry
    timeout: Seconds | None
    once: bool
    unknown: Unknown
    heartbeat: Seconds | None
    serializer: Serializer


@dataclass(eq=False)
class Step(Generic[P, R]):
    """A function and how a run calls it; calling a Step directly just calls the function.

    Args:
        function: `async def`, or `def`, which then runs in a thread.
    """

    function: Callable[P, R]
    name: str
    retry: Retry = ONCE
    timeout: float | None = None
    once: bool = False
    unknown: Unknown = "pause"
    heartbeat: float | None = None
    serializer: Serializer | None = None

    def __post_init__(self) -> None:
        check_name(self.name, "step")
        update_wrapper(self, self.function, updated=())

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        return self.function(*args, **kwargs)

    def options(self, **options: Unpack[Options]) -> Step[P, R]:
        """This step with other options, for one call: `await ctx.step(build.options(timeout=5), commit)`."""
        if unknown := options.keys() - Options.__annotations__.keys():
            raise TypeError(f"a step has no option {', '.join(sorted(unknown))}")
        given: dict[str, Any] = {name: value for name, value in options.items() if value is not None}
        for span in {"timeout", "heartbeat"} & given.keys():
            given[span] = seconds(given[span])
        other = copy(self)
        for name, value in given.items():
            setattr(other, name, value)
        check_name(other.name, "step")
        return other

    def then(self, *following: Tree | Action) -> Tree:
        """In a Chain: what follows, one after the other, if this step succeeds."""
        return Tree(self).then(*following)

    def otherwise(self, following: Tree | Action) -> Tree:
        """In a Chain: what follows if this step fails."""
        return Tree(self).otherwise(following)

    @cached_property
    def returns(self) -> Typed:
        """What the function says that it returns; anything, if that says nothing to us."""
        try:
            return Typed(get_type_hints(self.function).get("return", Any))
        except Exception:  # noqa: BLE001 - a hint that cannot be read, or that pydantic has no schema for
            return ANYTHING

    @cached_property
    def is_async(self) -> bool:
        """Whether the function is awaited, not called in a thread."""
        function: Any = self.function
        while isinstance(function, partial):
            function = function.func
        return inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(
            getattr(function, "__call__", None)  # noqa: B004 - an object whose call is a coroutine
        )

    def encode(self, value: Any) -> bytes:
        """`value`, which the function returned, as the JSON that is recorded; raises `Undecodable`."""
        if self.serializer is not None:
            value = base64.b64encode(self.serializer.dumps(value)).decode("ascii")
        return codec.encode(value)

    def decode(self, output: bytes) -> Any:
        """The value that was recorded as `output`; raises `Undecodable`."""
        if self.serializer is not None:
            return self.serializer.loads(base64.b64decode(codec.decode(output)))
        return self.returns.decode(output)


def check_name(name: str, what: str) -> str:
    """`name`, if it can be part of a key; raises `ValueError`."""
    if not 0 < len(name) <= LONGEST_NAME or not name.isprintable() or set("/#") & set(name):
        raise ValueError(
            f"a {what}'s name is 1 to {LONGEST_NAME} printable characters without / and #, not {name[:50]!r}"
        )
    return name


@overload
def step(function: Callable[P, R], /) -> Step[P, R]: ...
@overload
def step(**options: Unpack[Options]) -> Callable[[Callable[P, R]], Step[P, R]]: ...
def step(
    function: Callable[P, R] | None = None, /, **options: Unpack[Options]
) -> Step[P, R] | Callable[[Callable[P, R]], Step[P, R]]:
    """Give a function the options under which `ctx.step` calls it: see `Options`.

    Example:
        >>> @step(retry=Retry(attempts=5), timeout=30)
        ... async def fetch(url: str) -> str: ...
    """

    def declare(function: Callable[P, R]) -> Step[P, R]:
        return as_step(function).options(**options)

    return declare if function is None else declare(function)


def as_step(function: Callable[P, R]) -> Step[P, R]:
    """`function` as a Step, with no options if it declared none."""
    if isinstance(function, Step):
        return function
    if not callable(function):
        raise TypeError(f"a step is a function, not {type(function).__name__}: pass the function and its arguments")
    found = getattr(function, KEPT, None)
    if isinstance(found, Step) and found.function is function:
        return found
    named = getattr(function, "__name__", None)
    if named is None:
        raise TypeError(f"{function!r} has no name: give it one with `step(name=...)(...)`")
    plain = Step(function, named)
    with suppress(AttributeError, TypeError):  # what takes no attributes, such as a bound method, is made anew
        setattr(function, KEPT, plain)
    return plain


class StepCall(Call, frozen=True, kw_only=True):
    """One call of a step in a run."""

    kind: ClassVar[str] = "step"

    step: Step[Any, Any]
    args: tuple[Any, ...]
    kwargs: Mapping[str, Any]

    def read(self, output: bytes) -> Any:
        """The value that is recorded as `output`, JSON."""
        return self.step.decode(output)

    def invoke(self, threads: Executor) -> Awaitable[Any]:
        """Call the function, a `def` in one of `threads`."""
        function = self.step.function
        if self.step.is_async:
            awaited: Awaitable[Any] = function(*self.args, **self.kwargs)
            return awaited
        return self._invoke_in(threads)

    async def _invoke_in(self, threads: Executor) -> Any:
        call = partial(copy_context().run, self.step.function, *self.args, **self.kwargs)
        value = await asyncio.get_running_loop().run_in_executor(threads, call)
        return await value if inspect.isawaitable(value) else value  # a wrapped `async def` looks like a `def`


class Undo(StepCall, frozen=True, kw_only=True):
    """A step that makes up for another, if the run does not succeed."""

    kind: ClassVar[str] = "undo"


class Poll(StepCall, frozen=True, kw_only=True):
    """A step that is done again and again until what it returns will do.

    Args:
        every: seconds between two looks.
        factor: what each further pause is multiplied by.
        cap: the longest pause, in seconds.
        until: whether what it returned will do.
        carries: whether it is called with what it returned before.
        state: what it is called with first, if so.
        limit: seconds from the first look to giving up.
    """

    kind: ClassVar[str] = "poll"

    every: float
    factor: float
    cap: float
    until: Callable[[Any], object]
    carries: bool
    state: Any
    limit: float | None

    def pause(self, looks: int) -> float:
        """Seconds to wait after so many looks."""
        try:
            return min(self.every * self.factor ** (looks - 1), max(self.cap, self.every))
        except OverflowError:
            return self.cap
