"""The log of a job: what it says once, it does not say again on a replay."""

from __future__ import annotations

from typing import Any

from hookline import telemetry
from hookline.jobs.call import Performer


class Log:
    """Says what it is told, with the ids of the run, unless that is only replayed."""

    __slots__ = ("_performer",)

    def __init__(self, performer: Performer) -> None:
        self._performer = performer

    def debug(self, event: str, **fields: Any) -> None:
        """For whoever looks for a fault."""
        if not self._performer.replaying:
            telemetry.log.debug(event, **fields)

    def info(self, event: str, **fields: Any) -> None:
        """For whoever wants to know."""
        if not self._performer.replaying:
            telemetry.log.info(event, **fields)

    def warning(self, event: str, **fields: Any) -> None:
        """For whoever may have to act."""
        if not self._performer.replaying:
            telemetry.log.warning(event, **fields)

    def error(self, event: str, **fields: Any) -> None:
        """For whoever must act."""
        if not self._performer.replaying:
            telemetry.log.error(event, **fields)
