"""The listener: one client of a stream, and what is to be sent to it, which is never much."""

from __future__ import annotations

import asyncio
from contextlib import suppress

from hookline import metrics
from hookline.web.frames import Filter, Portion

BEAT = 15.0
"""Seconds of silence after which a client is given a sign of life."""

MOST_BEHIND = 1024 * 1024
"""Bytes that a listener may have to be sent; one with more is dropped, and asks again for what it missed."""


class Listener:
    """One who listens, and what is to be sent to it.

    Args:
        after: the number up to which it has been told already.
    """

    def __init__(self, wanted: Filter, after: int) -> None:
        self.is_over = False
        self._wanted = wanted
        self._after = after
        self._waiting: list[Portion] = []
        self._behind = 0
        self._woken = asyncio.Event()

    def give(self, portion: Portion) -> bool:
        """Have it sent this; whether there is something to send."""
        if self.is_over:
            return False
        if portion.told and portion.told[0].seq <= self._after:  # it knows them from a snapshot
            portion = self._wanted.portion([each for each in portion.told if each.seq > self._after], portion.upto)
        self._after = max(self._after, portion.upto)
        if portion.told:
            self._waiting.append(portion)
            self._behind += portion.size
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

    async def take(self) -> list[Portion]:
        """What is to be sent, as soon as there is anything: a sign of life after a while of silence, and nothing when
        it is over."""
        if not self._waiting and not self.is_over:
            with suppress(TimeoutError):
                async with asyncio.timeout(BEAT):
                    await self._woken.wait()
        self._woken.clear()
        taken, self._waiting, self._behind = self._waiting, [], 0
        return [] if self.is_over else taken or [self._wanted.portion((), self._after)]
