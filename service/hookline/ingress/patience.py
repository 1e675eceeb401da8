"""Patience: who waits for Postgres is told when it has been too long; one clock tells all of them."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Any

from hookline.errors import Unavailable


class Patience:
    """Gives up what is not done within `seconds`.

    Those who wait come in the order in which they are given up, so that one clock does for all, and stands still while
    nobody waits.

    Args:
        seconds: that Postgres has to commit.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._waiting: deque[tuple[float, asyncio.Future[Any]]] = deque()
        self._clock: asyncio.TimerHandle | None = None

    def limit(self, future: asyncio.Future[Any]) -> None:
        """Have `future` raise `Unavailable` once it is too late; whoever writes leaves out what nobody waits for."""
        loop = asyncio.get_running_loop()
        while self._waiting and self._waiting[0][1].done():
            self._waiting.popleft()
        self._waiting.append((loop.time() + self._seconds, future))
        if self._clock is None:
            self._clock = loop.call_later(self._seconds, self._look)

    def _look(self) -> None:
        loop = asyncio.get_running_loop()
        self._clock = None
        while self._waiting and (self._waiting[0][1].done() or self._waiting[0][0] <= loop.time()):
            _, future = self._waiting.popleft()
            if not future.done():
                future.set_exception(Unavailable("Postgres did not commit in time"))
        if self._waiting:
            self._clock = loop.call_at(self._waiting[0][0], self._look)
