"""The pace: how fast those who listen are told, so that runs and requests do not wait for those who watch them."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from hookline.web.listener import Listener

BESIDE_RUNS, ALONE = 0.01, 0.5
"""The part of a process's time that streams may take where runs are executed, and where none are; when they would take
more they fall behind."""

SECONDS_PER_SEND, SECONDS_PER_BYTE = 80e-6, 1e-9
"""What it takes, about, to wake a listener and send it something; and to send a byte. It is not timed: on one loop what
others do meanwhile would count as well."""

SHORTEST = 1e-3
"""Seconds of a rest: the loop's clock has no shorter ones."""


class Pace:
    """Takes no more than a `share` of this process's time."""

    def __init__(self, share: float) -> None:
        self._share = share
        self._owed = 0.0

    async def wake(self, given: Sequence[tuple[Listener, int]]) -> None:
        """Wake listeners, each of which is to be sent so many bytes; as few at once as can be."""
        for listener, size in given:
            listener.wake()
            await self.rest(SECONDS_PER_SEND + size * SECONDS_PER_BYTE)

    async def rest(self, took: float) -> None:
        """Leave the others their time for `took` seconds of work."""
        self._owed += took / self._share
        if self._owed >= SHORTEST:
            owed, self._owed = self._owed, 0.0
            await asyncio.sleep(owed)
