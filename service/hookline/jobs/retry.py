"""Retry: how often, after what, and how long apart something that failed is tried again."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from hookline.errors import Fatal
from hookline.spans import Seconds, seconds


@dataclass(frozen=True, slots=True)
class Retry:
    """A policy of trying again, with exponentially growing pauses.

    Args:
        attempts: tries in all, the first included; at least 1.
        delay: the pause before the second try; or a list of the pauses, of which the last is repeated.
        factor: what each further pause is multiplied by; 1 keeps it constant.
        cap: the longest pause that growing leads to; a longer `delay` stays what it is.
        jitter: the part of each pause, from 0 to 1, that is left to chance, so that many do not return at once.
        on: the exceptions worth another try. `Fatal` never is.

    Example:
        >>> Retry(attempts=4, delay=1, factor=2, jitter=0).pause(3)
        4.0
    """

    attempts: int = 3
    delay: Seconds | Sequence[Seconds] = 1.0
    factor: float = 2.0
    cap: Seconds = 300.0
    jitter: float = 0.2
    on: tuple[type[Exception], ...] = (Exception,)

    def __post_init__(self) -> None:
        if self.attempts < 1:
            raise ValueError(f"a Retry has at least 1 attempt, not {self.attempts}")
        object.__setattr__(self, "delay", tuple(self.delay) if isinstance(self.delay, Sequence) else self.delay)
        negative = not self._delays or min(*map(seconds, self._delays), seconds(self.cap), self.factor) < 0
        if negative or not 0 <= self.jitter <= 1:
            raise ValueError("a Retry has no negative delay, cap or factor, and a jitter from 0 to 1")

    def wants(self, attempt: int, error: Exception) -> bool:
        """Whether `error`, which ended try number `attempt`, is worth another."""
        return attempt < self.attempts and isinstance(error, self.on) and not _is_fatal(error)

    def pause(self, attempt: int) -> float:
        """Seconds to wait after try number `attempt`."""
        return self._pause(attempt) * (1 - self.jitter * random.random())  # noqa: S311 - spreads load, hides nothing

    def _pause(self, attempt: int) -> float:
        if isinstance(self.delay, tuple):
            return seconds(self._delays[min(attempt, len(self._delays)) - 1])
        longest = max(seconds(self.cap), seconds(self._delays[0]))
        try:
            return min(seconds(self._delays[0]) * self.factor ** (attempt - 1), longest)
        except OverflowError:
            return longest

    @property
    def _delays(self) -> Sequence[Seconds]:
        return self.delay if isinstance(self.delay, Sequence) else (self.delay,)


def _is_fatal(error: Exception) -> bool:
    """Whether `error`, or one of the several that it tells of, is `Fatal`."""
    several: Mapping[Any, Exception] = getattr(error, "errors", None) or {}
    return isinstance(error, Fatal) or any(isinstance(each, Fatal) for each in several.values())


ONCE = Retry(attempts=1)
"""The policy of whatever declares none: a failure is a failure."""
