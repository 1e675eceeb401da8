"""Terms: how the runs of one scope get along, when another comes, and how many and how often they may begin."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

from hookline.errors import ConfigurationError
from hookline.spans import Seconds, seconds

Word = Literal["queue", "cancel_running", "replace_waiting", "skip"]

MOST_AT_A_RATE = 1000


@dataclass(frozen=True, slots=True)
class Rate:
    """No more than so many runs of a scope become due in any span of so long; the others wait.

    Args:
        count: from 1 to 1000.

    Example:
        @app.job(on=slack.event("message"), scope="{team}", limit=None, rate=Rate(10, per=timedelta(minutes=1)))
    """

    count: int
    per: Seconds

    def __post_init__(self) -> None:
        if not 1 <= self.count <= MOST_AT_A_RATE or not seconds(self.per) > 0:
            raise ValueError(f"a Rate is 1 to {MOST_AT_A_RATE} runs in some time, not {self.count} per {self.per}")


@dataclass(frozen=True, slots=True)
class Debounce:
    """A policy: each newcomer replaces who waits, and is due when no other has come for a while.

    Args:
        quiet: how long none may have come.
        at_most: how long the first to come is put off, by however many others; `None` for as long as they come.

    Example:
        @app.job(on=github.push(), scope="{repository}", policy=Debounce(30, at_most=timedelta(minutes=10)))
    """

    quiet: Seconds
    at_most: Seconds | None = None

    def __post_init__(self) -> None:
        if not seconds(self.quiet) > 0 or (self.at_most is not None and seconds(self.at_most) < seconds(self.quiet)):
            raise ValueError("a Debounce waits for some quiet time, and at most for longer than that")


Policy = Word | Debounce
"""What becomes of the others in a scope when a run comes, or of the newcomer."""


@dataclass(frozen=True, slots=True)
class Terms:
    """What a job says of the runs in each of its scopes.

    Args:
        limit: how many of them are under way at once; `None` for as many as there are.
        rate: how many become due in any span of time.

    Raises:
        ConfigurationError: they make no sense.
    """

    policy: Policy = "queue"
    limit: int | None = 1
    rate: Rate | None = None

    def __post_init__(self) -> None:
        words = get_args(Word)
        if self.policy not in words and not isinstance(self.policy, Debounce):
            raise ConfigurationError(f"a policy is {', '.join(words)} or a Debounce, not {self.policy!r}")
        if self.limit is not None and self.limit < 1:
            raise ConfigurationError(f"a limit is at least 1, or None for no limit, not {self.limit}")
        if self.policy == "cancel_running" and self.limit != 1:
            raise ConfigurationError("of runs of which the newest cancels the others only 1 is under way")

    @property
    def replaces(self) -> bool:
        """Whether a newcomer takes the place of those that have not begun."""
        return self.policy in ("replace_waiting", "cancel_running") or isinstance(self.policy, Debounce)


ONE_AT_A_TIME = Terms()
