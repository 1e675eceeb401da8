"""The listener: one client of a stream, and what is to be sent to it, which is never much."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import suppress

from hookline import metrics
from hookline.web.frames import Told

BEAT = 15.0
"""Seconds of silence after which a client is given a sign of life."""

MOST_BEHIND = 1024 * 1024
"""Bytes that a listener may have to be sent; one with more is dropped, and asks again for what it missed."""


class Listener:
    """One who listens, and what is to be sent to it.

    Args:
        after: the number up to which it has been told already.
    """

    def __init__(self, after: int) -> None:
        self.after = after
        self.is_over = False
        self._waiting: list[Told] = []
        self._behind = 0
        self._woken = asyncio.Event()

    def give(self, fitting: Sequence[Told], size: int, upto: int) -> bool:
        """Have it sent these, `size` bytes, which are all up to `upto`; whether there is something to send."""
        if self.is_over:
            return False
        if fitting and fitting[0].seq <= self.after:  # it knows them from a snapshot
            fitting = [each for each in fitting if each.seq > self.after]
        self.after = max(self.after, upto)
        self._waiting.extend(fitting)
        self._behind += size
        if self._behind > MOST_BEHIND:
            metrics.STREAMS_DROPPED.count()
            self.end()
        return bool(self._waiting)

    def wake(self) -> None:
        """There is something to send."""
        self._woken.set()

    def end(self) -> None:
        """Send it nothing more, also not what is waiting."""
        self.is_over = True
        self._waiting = []
        self._woken.set()

    async def take(self) -> list[Told]:
        """What is to be sent, as soon as there is anything; nothing when it is over, or after a while of silence."""
        if not self._waiting and not self.is_over:
            with suppress(TimeoutError):
                async with asyncio.timeout(BEAT):
                    await self._woken.wait()
        self._woken.clear()
        taken, self._waiting, self._behind = self._waiting, [], 0
        return taken
