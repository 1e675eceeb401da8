"""A schedule: at which moments runs of a job start, and what becomes of those that were missed or overlap."""

from __future__ import annotations

import math
import random
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Any, Literal, get_args
from zoneinfo import ZoneInfo

from cronsim import CronSim, CronSimError

from hookline.errors import ConfigurationError
from hookline.spans import Seconds, seconds

CatchUp = Literal["skip", "one", "all"]
"""What becomes of ticks that nobody was there for: none is made up for; the last one is; all are, up to `most`."""

Overlap = Literal["allow", "skip", "queue", "cancel_running"]
"""What a tick does when the run of an earlier one is unfinished: start another; nothing; start one behind it; cancel
the unfinished ones and start one behind them."""

ON_TIME = timedelta(seconds=60)
"""A tick that is later than this was missed."""

ALIASES = {
    "@yearly": "0 0 1 1 *", "@annually": "0 0 1 1 *", "@monthly": "0 0 1 * *", "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *", "@midnight": "0 0 * * *", "@hourly": "0 * * * *",
}  # fmt: skip

_EVERY = re.compile(r"@every\s+((?:\d+[dhms])+)")
_UNITS = {"d": 86_400, "h": 3600, "m": 60, "s": 1}


@dataclass(frozen=True, slots=True)
class Schedule:
    """When runs of a job start by themselves.

    Args:
        cron: five fields, or six with seconds in front; names of months and days; `@daily` and its like; or
            `@every 1h30m`, counted from 1970.
        timezone: by which the fields are read; as in Debian's cron, what would fall into the hour that is left out in
            spring happens right after it, and what would happen twice in autumn happens once.
        input: what each run is handed; `{"schedule", "at"}`, unless said otherwise.
        catch_up: what becomes of ticks that were missed.
        most: how many missed ticks are made up for, at most; the latest ones.
        overlap: what a tick does when an earlier run is unfinished.
        jitter: each run is due up to so much after its tick, by chance.
        filter: asked with each tick whether it counts.
        name: what the schedule is called; the job's name, unless said otherwise.

    Raises:
        ConfigurationError: one of these makes no sense.

    Example:
        >>> Schedule("30 2 * * MON-FRI", timezone="Europe/Berlin").after(datetime(2026, 3, 27, 12, tzinfo=UTC))
        datetime.datetime(2026, 3, 30, 0, 30, tzinfo=datetime.timezone.utc)
    """

    cron: str
    timezone: str = "UTC"
    input: Any = None
    catch_up: CatchUp = "skip"
    most: int = 100
    overlap: Overlap = "allow"
    jitter: Seconds = 0
    filter: Callable[[datetime], object] | None = None
    name: str | None = None

    def __post_init__(self) -> None:
        try:
            ZoneInfo(self.timezone)
        except (KeyError, ValueError, OSError):
            raise ConfigurationError(f"schedule {self.cron!r}: there is no time zone {self.timezone!r}") from None
        if self.catch_up not in get_args(CatchUp) or self.overlap not in get_args(Overlap):
            told = f"catch_up is one of {get_args(CatchUp)}, overlap of {get_args(Overlap)}"
            raise ConfigurationError(f"schedule {self.cron!r}: {told}")
        if not 1 <= self.most <= 10_000 or not 0 <= seconds(self.jitter) <= 86_400:
            raise ConfigurationError(f"schedule {self.cron!r}: `most` is 1 to 10000, the jitter up to a day")
        try:
            next(self.ticks(datetime(2026, 1, 1, tzinfo=UTC)))
        except (CronSimError, StopIteration) as error:
            why = str(error) or "it never comes"
            raise ConfigurationError(f"schedule {self.cron!r} is not as cron's are: {why}") from None

    @property
    def spec(self) -> str:
        """What changes when the moments change."""
        return f"{self.cron} {self.timezone}"

    @property
    def interval(self) -> int | None:
        """The seconds between two ticks of `@every`; `None` of others."""
        if not self.cron.startswith("@every"):
            return None
        found = _EVERY.fullmatch(self.cron)
        total = sum(int(n) * _UNITS[unit] for n, unit in re.findall(r"(\d+)([dhms])", found[1])) if found else 0
        if not 0 < total <= 366 * 86_400:
            raise CronSimError("@every is followed by a time such as 1h30m, up to a year")
        return total

    def ticks(self, after: datetime) -> Iterator[datetime]:
        """The moments behind `after`, the first first, in UTC."""
        if (interval := self.interval) is not None:
            number = math.floor(after.timestamp() / interval)
            while True:
                number += 1
                yield datetime.fromtimestamp(number * interval, UTC)
        fields = ALIASES.get(self.cron.strip().lower(), self.cron)
        zone = UTC if self.timezone == "UTC" else ZoneInfo(self.timezone)
        last = after.astimezone(UTC)
        for tick in CronSim(fields, after.astimezone(zone)):
            moment = tick.astimezone(UTC)
            if moment > last:
                last = moment
                yield moment

    def after(self, moment: datetime) -> datetime | None:
        """The first tick behind `moment`, in UTC; `None` if there is none any more."""
        return next(self.ticks(moment), None)

    def upcoming(self, moment: datetime, count: int) -> list[datetime]:
        """The first ticks behind `moment`."""
        return list(islice(self.ticks(moment), count))

    def due(self, first: datetime, now: datetime) -> tuple[list[datetime], int]:
        """The ticks from `first` to `now` that are to fire, the oldest first, and how many are missed for good."""
        passed: list[datetime] = []
        count = 0
        for tick in self.ticks(first - timedelta(microseconds=1)):
            if tick > now:
                break
            count += 1
            passed = [*passed, tick][-self.most :]
        match self.catch_up:
            case "skip":
                fire = [tick for tick in passed[-1:] if now - tick <= ON_TIME]
            case "one":
                fire = passed[-1:]
            case "all":
                fire = passed
        return fire, count - len(fire)

    def delay(self, name: str, tick: datetime) -> float:
        """Seconds by which the run of `tick` is late on purpose; the same on every replica."""
        return random.Random(f"{name} {tick.timestamp()}").uniform(0, seconds(self.jitter))  # noqa: S311 - spreads load
