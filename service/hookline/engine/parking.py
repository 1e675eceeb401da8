"""Parking: which calls of an execution are open, which of them only wait, and since when nothing else happens."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager

GRACE = 0.05
"""Seconds in which a branch whose call just ended makes its next one, if it makes one."""


class Parking:
    """Notices when all that an execution does is wait.

    Args:
        on_idle: called then, with the moment on the loop's clock at which the first wait ends by itself, if any.
    """

    def __init__(self, on_idle: Callable[[float | None], None]) -> None:
        self._on_idle: Callable[[float | None], None] | None = on_idle
        self._open = 0
        self._until: dict[str, float | None] = {}
        self._changed = 0.0
        self._timer: asyncio.TimerHandle | None = None

    def enter(self) -> None:
        """A call begins."""
        self._open += 1

    def leave(self) -> None:
        """A call ends."""
        self._open -= 1
        self.consider()

    @contextmanager
    def parked(self, key: str, until: float | None) -> Iterator[None]:
        """Within the block, the open call `key` only waits, until a moment on the loop's clock or for something."""
        self._until[key] = until
        self.consider()
        try:
            yield
        finally:
            del self._until[key]

    def consider(self) -> None:
        """Look, once the grace is over, whether everybody waits."""
        if not self._until:
            return
        loop = asyncio.get_running_loop()
        self._changed = loop.time()
        if self._timer is None:
            self._timer = loop.call_later(GRACE, self._judge)

    def close(self) -> None:
        """Notice nothing any more."""
        self._on_idle = None

    def _judge(self) -> None:
        self._timer = None
        if not self._until or self._on_idle is None:
            return
        loop = asyncio.get_running_loop()
        if loop.time() < self._changed + GRACE * 0.9:
            self._timer = loop.call_at(self._changed + GRACE, self._judge)
        elif self._open == len(self._until):
            self._on_idle(min((moment for moment in self._until.values() if moment is not None), default=None))
