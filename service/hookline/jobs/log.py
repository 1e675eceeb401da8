"""The log of a job: what it says once, it does not say again on a replay."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hookline import telemetry
from hookline.jobs.call import Performer
from hookline.jobs.current import CURRENT


class Log:
    """Says what it is told, with the ids of the run, unless that is only replayed; the run's page shows it."""

    __slots__ = ("_performer",)

    def __init__(self, performer: Performer) -> None:
        self._performer = performer

    def debug(self, event: str, **fields: Any) -> None:
        """For whoever looks for a fault."""
        if self._is_new("debug", event, fields):
            telemetry.log.debug(event, **fields)

    def info(self, event: str, **fields: Any) -> None:
        """For whoever wants to know."""
        if self._is_new("info", event, fields):
            telemetry.log.info(event, **fields)

    def warning(self, event: str, **fields: Any) -> None:
        """For whoever may have to act."""
        if self._is_new("warning", event, fields):
            telemetry.log.warning(event, **fields)

    def error(self, event: str, **fields: Any) -> None:
        """For whoever must act."""
        if self._is_new("error", event, fields):
            telemetry.log.error(event, **fields)

    def _is_new(self, level: str, event: str, fields: Mapping[str, Any]) -> bool:
        """Whether this is said for the first time; a step speaks for itself, whatever is replayed beside it."""
        if CURRENT.get() is not None or not self._performer.replaying:
            return True
        self._performer.said_before(level, event, fields)
        return False
