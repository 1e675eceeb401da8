"""The lookout: hears Postgres hint at work, and looks for itself when nobody hints."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

import asyncpg

from hookline import telemetry
from hookline.store import claims
from hookline.store.database import AWAY, Database

CHANNEL = "hookline"


class Lookout:
    """Listens on a connection of its own; a hint may be lost, so polling remains the truth.

    Args:
        offers: the `job@version` whose due runs matter.
        heard: called with the payload of each notification.
    """

    def __init__(self, database: Database, offers: Sequence[str], heard: Callable[[str], None]) -> None:
        self._database = database
        self._offers = offers
        self._heard = heard
        self._connection: asyncpg.Connection[asyncpg.Record] | None = None

    async def run(self) -> None:
        """Listen until cancelled, on a new connection whenever the old one is lost."""
        try:
            while True:
                lost = asyncio.Event()
                try:
                    connection = await self._database.connect()
                    connection.add_termination_listener(lambda _, lost=lost: lost.set())
                    await connection.add_listener(CHANNEL, self._on_notification)
                except AWAY as error:
                    telemetry.log.warning("lookout.disconnected", error=repr(error))
                    await asyncio.sleep(0.5)
                    continue
                self._connection = connection
                self._heard("due")
                await lost.wait()
                self._connection = None
        finally:
            if self._connection is not None:
                self._connection.terminate()

    async def sees_due(self) -> bool:
        """Whether a run that this worker could claim is due; not while Postgres is away."""
        if self._connection is None:
            return False
        try:
            return await claims.any_due(self._connection, self._offers)
        except AWAY:
            return False

    def _on_notification(self, _connection: object, _pid: int, _channel: str, payload: object) -> None:
        self._heard(str(payload))
