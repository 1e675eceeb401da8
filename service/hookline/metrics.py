"""Metrics: what is counted and timed, each declared once, and sent over statsd."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal

import statsd

from hookline.errors import ConfigurationError
from hookline.settings import Settings


@dataclass(frozen=True, slots=True)
class Metric:
    """One metric: where it is declared is where it is described.

    Args:
        unit: of its values.
        tags: the names of its tags, in the order in which they follow the name where there are no tags.
    """

    name: str
    kind: Literal["counter", "timing", "gauge"]
    unit: str
    tags: tuple[str, ...]
    meaning: str

    def count(self, n: int = 1, **tags: object) -> None:
        """Add `n`."""
        if _sink is not None and n:
            _sink.send(self, f"{n}|c", tags)

    def time(self, milliseconds: float, **tags: object) -> None:
        """Something took so long."""
        if _sink is not None:
            _sink.send(self, f"{milliseconds:.3f}|ms", tags)

    def set(self, value: float, **tags: object) -> None:
        """It is this now."""
        if _sink is not None:
            _sink.send(self, f"{max(value, 0)}|g", tags)


ACCEPTED = Metric("deliveries.accepted", "counter", "deliveries", ("source", "status"), "Verified and committed.")
REJECTED = Metric("deliveries.rejected", "counter", "deliveries", ("source", "reason"), "Turned away, and why.")
RECONCILED = Metric(
    "deliveries.reconciled", "counter", "deliveries", ("source", "outcome"),
    "Of those not there when the provider was asked: `missing`, `asked` for, `arrived` since, `gave_up`.",
)  # fmt: skip
RUNS = Metric("runs.changed", "counter", "runs", ("job", "state"), "Changed to this state.")
TICKS = Metric("schedule.ticks", "counter", "ticks", ("schedule", "outcome"), "Of schedules, `fired` or `missed`.")
TICK_LATENESS = Metric("schedule.lateness", "timing", "ms", ("schedule",), "From a tick to the commit of its run.")
LAGGING = Metric("machine.lagging", "counter", "runs", ("job", "state"), "Came to a state's function too late.")
RUN_TIME = Metric("run.time", "timing", "ms", ("job", "state"), "From a claim to the commit that gave it up.")
STEP_TIME = Metric("step.time", "timing", "ms", ("job", "step", "outcome"), "One try of a step, with its commit.")
CLAIM_SIZE = Metric("claim.size", "gauge", "runs", (), "Runs that the last claim took.")
QUEUE_AGE = Metric("queue.age", "gauge", "s", (), "Age of the oldest run that is due.")
STRANDED = Metric("runs.stranded", "gauge", "runs", (), "Due, but no live worker offers their job and version.")
COMMIT_SIZE = Metric("commit.size", "gauge", "items", ("writer",), "What the last group commit held.")
COMMIT_TIME = Metric("commit.time", "timing", "ms", ("writer",), "One group commit.")
WORKER_LOSSES = Metric("workers.lost", "counter", "workers", (), "Declared dead by a watchdog.")
LEASE_SLACK = Metric("lease.slack", "gauge", "s", (), "What was left of the lease when it was renewed.")
STREAMS = Metric("streams.open", "gauge", "streams", (), "Streams of events that are being sent.")
STREAMS_DROPPED = Metric("streams.dropped", "counter", "streams", (), "Ended because their client took too long.")
STREAMS_LAG = Metric("streams.lag", "gauge", "s", (), "From an event to its being sent, by the clocks of both.")

METRICS: Final[tuple[Metric, ...]] = tuple(each for each in list(globals().values()) if isinstance(each, Metric))


def flush() -> None:
    """Send what has gathered."""
    if _sink is not None:
        _sink.flush()


def open_(settings: Settings) -> None:
    """Send them where `settings` say from here on; raises `ConfigurationError` if there is no such place."""
    global _sink
    if _sink is not None:
        _sink.close()
    _sink = _Sink.open(settings)


class _Sink:
    """Gathers lines, and sends them in datagrams, which never wait and never fail."""

    MOST = 200

    def __init__(self, client: statsd.StatsClient, *, tags: bool) -> None:
        self._client = client
        self._pipeline = client.pipeline()
        self._tags = tags

    @classmethod
    def open(cls, settings: Settings) -> _Sink | None:
        if settings.statsd_host is None:
            return None
        try:
            client = statsd.StatsClient(settings.statsd_host, settings.statsd_port, prefix=settings.statsd_prefix)
        except OSError as error:
            raise ConfigurationError(f"HOOKLINE_STATSD_HOST: cannot find {settings.statsd_host}: {error}") from None
        client._sock.setblocking(False)  # noqa: SLF001 - the library has no word for it
        return cls(client, tags=settings.statsd_tags)

    def send(self, metric: Metric, value: str, tags: Mapping[str, object]) -> None:
        words = [(name, _word(tags.get(name, ""))) for name in metric.tags]
        if self._tags:
            suffix = "|#" + ",".join(f"{name}:{word}" for name, word in words) if words else ""
            self._pipeline._send_stat(metric.name, value + suffix, 1)  # noqa: SLF001 - the library has no tags
        else:
            self._pipeline._send_stat(".".join((metric.name, *(word for _, word in words))), value, 1)  # noqa: SLF001
        if len(self._pipeline._stats) >= self.MOST:  # noqa: SLF001 - nor a limit
            self.flush()

    def flush(self) -> None:
        self._pipeline.send()

    def close(self) -> None:
        self.flush()
        self._client.close()


def _word(value: object) -> str:
    return "".join(each if each.isascii() and (each.isalnum() or each in "_-") else "_" for each in str(value)) or "_"


_sink: _Sink | None = None
