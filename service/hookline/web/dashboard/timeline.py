"""The timeline: a run's journal as bars over time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta

from msgspec import Struct

from hookline.web.dashboard.words import Row

UNSEEN = frozenset({"var", "patch"})
"""Kinds of calls that take no time and bring nothing."""

GROUPS = frozenset({"gather", "map", "race"})
"""Kinds that only tell how the calls under them ended."""

WAITS = frozenset({"sleep", "signal", "event", "callback", "child"})

WIDTH = 1000.0
_LEAST = 3.0
_STEPS = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600,
          7200, 14_400, 21_600, 43_200, 86_400, 172_800, 604_800, 2_592_000, 31_536_000)  # fmt: skip


class Bar(Struct, frozen=True):
    """One call of a run.

    Args:
        name: what its key has behind that of the call that it is under; `depth` is under how many it is.
        tone: how it is drawn: its state, `wait` if it has waited, `group` around others.
        x: where it begins, of `WIDTH`; `None` if it was taken over from another run.
        seconds: how long it took, or has taken until now.
        due_at: when it goes on by itself.
    """

    key: str
    name: str
    depth: int
    kind: str
    state: str
    tone: str
    x: float | None
    width: float
    seconds: float | None
    attempt: int
    started_at: datetime | None
    finished_at: datetime | None
    due_at: datetime | None


class Timeline(Struct, frozen=True):
    """The bars of a run.

    Args:
        queue: how far the bar of what it waited for before it was first begun goes.
        ticks: where times are marked, and how many seconds after the beginning.
    """

    start: datetime
    seconds: float
    queue: float
    bars: Sequence[Bar]
    ticks: Sequence[tuple[float, float]]


def timeline(run: Row, journal: Sequence[Row], now: datetime) -> Timeline:
    """The timeline of `run`, whose calls are `journal`, in their order."""
    start = run["created_at"]
    own = [each for each in journal if each["kind"] not in UNSEEN]
    ends = [each["finished_at"] for each in own if each["claim"] and each["finished_at"]]
    end = run["finished_at"] or (now if run["state"] != "paused" or not ends else max(ends))
    end = max([end, *ends, run["started_at"] or start, start + timedelta(milliseconds=1)])
    seconds: float = (end - start).total_seconds()

    def at(moment: datetime) -> float:
        part: float = (moment - start).total_seconds() / seconds
        return round(min(max(part, 0.0), 1.0) * WIDTH, 2)

    keys = {each["key"] for each in own}
    bars = [_bar(each, keys, _begun(each, own), at, end) for each in own]
    return Timeline(start, seconds, at(run["started_at"] or end), bars, ticks(seconds))


def _begun(call: Row, journal: Sequence[Row]) -> datetime | None:
    """When a call began: one that tells how others ended with the first of them, what was undone when it was."""
    begun: datetime | None = call["started_at"]
    if call["kind"] == "undo":
        return call["finished_at"] or begun
    if call["kind"] in GROUPS:
        under = [
            each["started_at"] for each in journal if each["key"].startswith(f"{call['key']}/") and each["started_at"]
        ]
        return min([*under, *([begun] if begun else [])], default=None)
    return begun


def _bar(call: Row, keys: set[str], begun: datetime | None, at: Callable[[datetime], float], end: datetime) -> Bar:
    parts = call["key"].split("/")
    above = [n for n in range(1, len(parts)) if "/".join(parts[:n]) in keys]
    is_taken_over = not call["claim"]
    x = None if is_taken_over or begun is None else at(begun)
    until = call["finished_at"] or end
    if call["state"] in ("registered", "skipped", "abandoned"):
        until = call["finished_at"] or begun
    return Bar(
        key=call["key"],
        name="/".join(parts[above[-1] if above else 0 :]),
        depth=len(above),
        kind=call["kind"],
        state=call["state"],
        tone="group" if x is not None and call["kind"] in GROUPS and begun != call["started_at"] else _tone(call),
        x=None if x is None else min(x, WIDTH - _LEAST),
        width=0.0 if x is None else max(at(until) - x, _LEAST),
        seconds=None if begun is None or is_taken_over else max((until - begun).total_seconds(), 0.0),
        attempt=call["attempt"],
        started_at=begun,
        finished_at=call["finished_at"],
        due_at=call["due_at"],
    )


def _tone(call: Row) -> str:
    match call["state"]:
        case "started" | "intent":
            return "running"
        case "succeeded" if call["kind"] in WAITS:
            return "wait"
        case state:
            return str(state)


def ticks(seconds: float, most: int = 6) -> list[tuple[float, float]]:
    """Round times up to `seconds`, at most so many, each with its place.

    Example:
        >>> ticks(10.0)
        [(0.0, 0), (200.0, 2), (400.0, 4), (600.0, 6), (800.0, 8), (1000.0, 10)]
    """
    step = next((each for each in _STEPS if seconds / each < most), float(_STEPS[-1]))
    count = int(seconds / step + 1e-9)
    return [
        (round(number * step / seconds * WIDTH, 2), round(number * step, 6)) for number in range(min(count, 50) + 1)
    ]
