"""The throttle: whoever fails to log in too often has to wait."""

from __future__ import annotations

from collections import deque
from time import monotonic

from hookline.web.faults import Fault
from hookline.web.problems import Problem

FAILURES, SPAN = 10, 60.0
"""Failed attempts from one address in so many seconds, after which it has to wait."""

ADDRESSES = 10_000


class Throttle:
    """Remembers from which addresses somebody failed."""

    def __init__(self) -> None:
        self._failed: dict[str, deque[float]] = {}

    def check(self, address: str) -> None:
        """Raise `Problem` 429 if whoever is at `address` has to wait."""
        failed = self._failed.get(address, deque())
        while failed and failed[0] < monotonic() - SPAN:
            failed.popleft()
        if len(failed) >= FAILURES:
            wait = int(failed[0] + SPAN - monotonic()) + 1
            raise Problem(
                Fault.TOO_OFTEN, "too many log-ins have failed: wait a minute", headers={"Retry-After": str(wait)}
            )

    def note(self, address: str) -> None:
        """Somebody at `address` has failed."""
        if len(self._failed) >= ADDRESSES:
            self._failed.pop(next(iter(self._failed)))
        self._failed.setdefault(address, deque(maxlen=FAILURES)).append(monotonic())
