"""Parallel: several branches of a job at once."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Any, TypeVar, cast

from hookline.jobs.call import Decision, Pending, Skip
from hookline.jobs.calls import Calls
from hookline.jobs.fan import Batch, Branch, Fan, TooManyFailed, tolerance
from hookline.jobs.step import as_step, check_name

R = TypeVar("R")
Self = TypeVar("Self", bound="Parallel")


class Parallel(Calls):
    """The part of a Context that does several things at once."""

    __slots__ = ()

    def group(self: Self, name: str) -> Self:
        """A Context whose calls are recorded under `name/`, for a part of the job that is a whole of its own."""
        return self._at(self._key(check_name(name, "group")))

    async def gather(self, *branches: Awaitable[Any] | Callable[..., Awaitable[Any]]) -> list[Any]:
        """Do several things at once, and return what each returns, in this order.

        Args:
            branches: calls of this Context, not yet awaited, or functions that take a Context of their own.

        Raises:
            Exception: the first failure; what the other branches still do is cancelled.
        """
        batch = await self._fan("gather", branches)
        return list(batch)

    async def race(self, *branches: Awaitable[Any] | Callable[..., Awaitable[Any]]) -> tuple[int, Any]:
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

    async def together(self, branches: Mapping[str, Callable[[], Awaitable[Any]]]) -> None:
        """Do several things at once until all have ended, each by its name; none of them may raise."""
        begun = [Branch(f"{self._path}{name}", begin) for name, begin in branches.items()]
        decision = Decision(key=f"{self._path}together", position=-1, what="gather")  # never made: all complete
        await Fan(self._performer, decision, begun, tolerated=len(begun)).run()

    def skip(self, name: str, why: str) -> Pending[None]:
        """Tell that what is called `name` is not done, and why."""
        return Pending(self._performer.perform, Skip(key=self._key(name), position=next(self._positions), why=why))

    def knows(self, name: str) -> bool:
        """Whether anything is recorded under `name` from an earlier execution."""
        return self._performer.knows(self.at(name))

    def redo(self, keys: Iterable[str]) -> None:
        """Should the run be tried again or resumed, what is recorded at `keys`, and under them, is done again."""
        self._performer.redo(list(keys))

    def at(self, name: str) -> str:
        """The key of what is called `name` here, for the first time."""
        return f"{self._path}{name}"

    @property
    def clock(self) -> float:
        """The database's time, in seconds since the epoch; not recorded, so nothing may be decided by it."""
        return self._performer.clock

    @property
    def replaying(self) -> bool:
        """Whether what is asked for is still what was recorded; nothing may be decided by it."""
        return self._performer.replaying

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


def _takes_context(function: Callable[..., Any]) -> bool:
    """Whether `function` is a branch, which is handed a Context before its item."""
    try:
        first = next(iter(inspect.signature(function).parameters.values()), None)
    except (TypeError, ValueError):
        return False
    if first is None:
        return False
    return first.name == "ctx" or getattr(first.annotation, "__name__", first.annotation) == "Context"
