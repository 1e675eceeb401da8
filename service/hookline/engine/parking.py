"""Parking: which calls of an execution are open, which of them only wait, and since when nothing else moves."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager

GRACE = 0.05
"""Seconds in which a task of the author's own whose call just ended makes its next one, if it makes one.

The job and its branches need no such guess: each of them moves until a call of it is parked.
"""

STRAY = 2.0
"""Seconds after which a branch that moves, and yet calls nothing, counts as waiting for something of the author."""


class Parking:
    """Notices when all that an execution does is wait; within `with` a call of it is open.

    Args:
        on_idle: called then, with the moment on the loop's clock at which the first wait ends by itself, if any.
    """

    def __init__(self, on_idle: Callable[[float | None], None]) -> None:
        self._on_idle: Callable[[float | None], None] | None = on_idle
        self._open = 0
        self._moving = 1
        self._until: dict[str, float | None] = {}
        self._changed = 0.0
        self._timer: asyncio.TimerHandle | None = None

    def __enter__(self) -> None:
        """A call is open from here on."""
        self._open += 1

    def __exit__(self, *_: object) -> None:
        """It is open no longer."""
        self._open -= 1
        self.consider()

    def moves(self, more: int) -> None:
        """So many more branches of the job move; the job itself does not while it waits for them."""
        self._moving += more
        self.consider()

    @contextmanager
    def parked(self, key: str, until: float | None) -> Iterator[None]:
        """Within the block, the open call `key` only waits, until a moment on the loop's clock or for something."""
        self._until[key] = until
        self._moving -= 1
        self.consider()
        try:
            yield
        finally:
            self._moving += 1
            del self._until[key]

    def consider(self) -> None:
        """Look, once the grace is over, whether everybody waits."""
        if not self._until:
            return
        self._changed = asyncio.get_running_loop().time()
        if self._timer is not None and self._timer.when() > self._changed + GRACE:
            self._timer.cancel()
            self._timer = None
        if self._timer is None:
            self._judge_at(self._changed + GRACE)

    def close(self) -> None:
        """Notice nothing any more."""
        self._on_idle = None

    def _judge_at(self, moment: float) -> None:
        self._timer = asyncio.get_running_loop().call_at(moment, self._judge, moment)

    def _judge(self, moment: float) -> None:
        self._timer = None
        if not self._until or self._open != len(self._until) or self._on_idle is None:
            return
        now = asyncio.get_running_loop().time()
        if now > moment + GRACE:
            self._changed = now  # a loop that is this late has let nobody move
        quiet = self._changed + (GRACE if self._moving <= 0 else STRAY)
        if now < quiet - GRACE / 10:
            self._judge_at(quiet)
        else:
            self._on_idle(min((moment for moment in self._until.values() if moment is not None), default=None))
