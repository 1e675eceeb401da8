"""Fan: several branches of a run at once, and when they have done enough, or failed too often."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, Generic, Literal, TypeVar, overload

import msgspec

from hookline.errors import HooklineError, Interrupt
from hookline.jobs.call import Decision, Performer

T = TypeVar("T")
Why = Literal["completed", "enough", "failures"]


class Batch(Sequence["T | None"], Generic[T]):
    """What came of several branches, in the order in which they were given.

    As a sequence it holds what each returned; `None` for those that failed or were not needed.

    Attributes:
        errors: by the index of each that failed, what it raised.
        succeeded: the indices of those that returned.
        why: what ended it: all `completed`, `enough` succeeded, or too many `failures`.
    """

    def __init__(self, size: int, results: dict[int, T], errors: dict[int, Exception], why: Why) -> None:
        self._results = results
        self._size = size
        self.errors = dict(sorted(errors.items()))
        self.succeeded = sorted(results)
        self.why = why

    @property
    def failed(self) -> list[int]:
        """The indices of those that failed."""
        return list(self.errors)

    def __len__(self) -> int:
        return self._size

    @overload
    def __getitem__(self, index: int) -> T | None: ...
    @overload
    def __getitem__(self, index: slice) -> list[T | None]: ...
    def __getitem__(self, index: int | slice) -> T | list[T | None] | None:
        if isinstance(index, slice):
            return [self._results.get(each) for each in range(self._size)[index]]
        return self._results.get(range(self._size)[index])

    def __repr__(self) -> str:
        return f"<{len(self.succeeded)} of {self._size} succeeded, {len(self.errors)} failed: {self.why}>"


class TooManyFailed(HooklineError):
    """More branches of a `map` failed than it tolerates; `batch` tells which, and why."""

    def __init__(self, batch: Batch[Any]) -> None:
        first = next(iter(batch.errors.values()))
        super().__init__(f"{len(batch.errors)} of {len(batch)} failed, the first with {type(first).__name__}: {first}")
        self.batch = batch
        self.errors = batch.errors


@dataclass(frozen=True, slots=True)
class Branch:
    """One of several: where its calls are recorded, and how it begins."""

    path: str
    begin: Callable[[], Awaitable[Any]]


class _Ended(msgspec.Struct):
    """A decision, as it is recorded: the indices of the branches that count."""

    why: Why
    succeeded: list[int]
    failed: list[int]


@dataclass(slots=True)
class Fan:
    """Runs branches, at most `concurrency` at once, until they are enough or too bad.

    Args:
        decision: under which key it is recorded how they ended, if they did not all complete.
        tolerated: failures that are put up with.
        enough: successes that will do; `None` is all.
        first: whether the first that ends, well or not, ends all.
    """

    performer: Performer
    decision: Decision
    branches: Sequence[Branch]
    concurrency: int | None = None
    tolerated: int = 0
    enough: int | None = None
    first: bool = False
    _results: dict[int, Any] = field(default_factory=dict)
    _errors: dict[int, Exception] = field(default_factory=dict)

    async def run(self) -> Batch[Any]:
        """What came of the branches."""
        recorded = await self.performer.recall(self.decision)
        why = await self._live() if recorded is None else await self._again(msgspec.json.decode(recorded, type=_Ended))
        return Batch(len(self.branches), self._results, self._errors, why)

    async def _live(self) -> Why:
        ahead = iter(enumerate(self.branches))
        in_flight: dict[asyncio.Task[Any], int] = {}
        ended: deque[asyncio.Task[Any]] = deque()
        woken = asyncio.Event()

        def on_end(task: asyncio.Task[Any]) -> None:
            ended.append(task)
            woken.set()

        try:
            while (why := self._verdict()) is None:
                free = None if self.concurrency is None else self.concurrency - len(in_flight)
                for index, branch in islice(ahead, free):
                    task = asyncio.ensure_future(_done(branch))
                    in_flight[task] = index
                    task.add_done_callback(on_end)
                    self.performer.moves(1)
                if not in_flight:
                    return "completed"
                woken.clear()
                if not ended:
                    self.performer.moves(-1)
                    try:
                        await woken.wait()
                    finally:
                        self.performer.moves(1)
                while ended and self._verdict() is None:
                    task = ended.popleft()
                    self.performer.moves(-1)
                    self._take(in_flight.pop(task), task)
            await self._decide(why, in_flight)
            return why
        finally:
            self.performer.moves(-len(in_flight))
            await _end(in_flight)

    def _verdict(self) -> Why | None:
        if len(self._errors) > self.tolerated:
            return "failures"
        if self.enough is not None and len(self._results) >= self.enough:
            return "enough"
        if self.first and (self._results or self._errors):
            return "enough"
        return None

    def _take(self, index: int, task: asyncio.Task[Any]) -> None:
        error = None if task.cancelled() else task.exception()
        if isinstance(error, Exception):
            self._errors[index] = error
        elif error is not None or task.cancelled():
            raise error or asyncio.CancelledError
        else:
            self._results[index] = task.result()

    async def _decide(self, why: Why, in_flight: dict[asyncio.Task[Any], int]) -> None:
        ended = _Ended(why, sorted(self._results), sorted(self._errors))
        await self.performer.decide(self.decision, msgspec.json.encode(ended))
        await _end(in_flight)
        await self.performer.abandon(self._losers(ended))

    async def _again(self, ended: _Ended) -> Why:
        """The branches that counted once, whose calls are all recorded."""
        for index in sorted([*ended.succeeded, *ended.failed]):
            try:
                self._results[index] = await self.branches[index].begin()
            except Exception as error:  # noqa: BLE001 - it is the branch's outcome
                self._errors[index] = error
        await self.performer.abandon(self._losers(ended))
        return ended.why

    def _losers(self, ended: _Ended) -> list[str]:
        counted = {*ended.succeeded, *ended.failed}
        return [branch.path for index, branch in enumerate(self.branches) if index not in counted]


async def _done(branch: Branch) -> Any:
    return await branch.begin()


async def _end(in_flight: dict[asyncio.Task[Any], int]) -> None:
    """Cancel the branches that nobody waits for, and see them end."""
    for task in in_flight:
        task.cancel()
    for outcome in await asyncio.gather(*in_flight, return_exceptions=True):
        if isinstance(outcome, Interrupt):
            raise outcome


def tolerance(tolerate: int | str, size: int) -> int:
    """How many of `size` may fail: a number, or a percentage such as `"10%"`; raises `ValueError`."""
    if isinstance(tolerate, str):
        if not tolerate.endswith("%"):
            raise ValueError(f"tolerate is a number or a percentage like '10%', not {tolerate!r}")
        return int(size * float(tolerate[:-1]) / 100)
    return tolerate
