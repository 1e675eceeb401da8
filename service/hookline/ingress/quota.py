"""Quota: what one source takes in at once, and over time, whatever the others do; each replica counts for itself."""

from __future__ import annotations

from time import monotonic

from hookline.errors import TooOften, Unavailable
from hookline.source_settings import SourceLimits


class Quota:
    """Counts the deliveries of one source; within `with` one is in flight.

    A rate of N in a span lets N come at once, and then one every Nth of the span.
    """

    __slots__ = ("_full_at", "_held", "_interval", "_most", "_span", "limits")

    def __init__(self, limits: SourceLimits) -> None:
        self.limits = limits
        self._most = limits.max_in_flight
        self._held = 0
        self._span = float(limits.rate.span) if limits.rate else 0.0
        self._interval = self._span / limits.rate.count if limits.rate else 0.0
        self._full_at = 0.0
        """The moment at which the whole span's worth may come at once again."""

    def __enter__(self) -> None:
        if self._most is not None and self._held >= self._most:
            raise Unavailable("too many deliveries of one source are in flight")
        if self._interval:
            self._check(monotonic())
        self._held += 1

    def __exit__(self, *_: object) -> None:
        self._held -= 1

    def spend(self) -> None:
        """Count one delivery, which is authentic: what anybody could send would use up what the sender may.

        Raises:
            TooOften: it comes too soon.
        """
        if self._interval:
            now = monotonic()
            self._check(now)
            self._full_at = max(self._full_at, now) + self._interval

    def _check(self, now: float) -> None:
        early = self._full_at + self._interval - self._span - now
        if early > 1e-6:
            raise TooOften(early)
