"""The sweeper: deletes events, lines of logs and answers to who asks again that are so old that nobody wants them."""

from __future__ import annotations

import asyncio
import random

from hookline import telemetry
from hookline.errors import Unavailable
from hookline.store import events, idempotency, logs
from hookline.store.database import Database

EVERY = 30.0
"""Seconds between two sweeps."""


class Sweeper:
    """Every replica runs one; they need not agree, since what one has deleted is not there for the others.

    Args:
        events_kept: seconds that events are kept.
        logs_kept: seconds that lines of logs are kept.
    """

    def __init__(self, database: Database, events_kept: float, logs_kept: float) -> None:
        self._database = database
        self._events_kept = events_kept
        self._logs_kept = logs_kept

    async def run(self) -> None:
        """Sweep until cancelled."""
        while True:
            await asyncio.sleep(EVERY * random.uniform(0.8, 1.2))  # noqa: S311 - spreads load
            try:
                async with self._database.session() as connection:
                    while await events.retire(connection, self._events_kept):
                        pass
                    while await logs.retire(connection, self._logs_kept):
                        pass
                    while await idempotency.retire(connection):
                        pass
            except Unavailable as error:
                telemetry.log.warning("sweeper.not_swept", error=str(error))
