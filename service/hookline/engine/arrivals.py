"""Arrivals: the events that have come for the waits of a run, and which of these have taken them."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

from hookline import codec
from hookline.engine import patterns
from hookline.engine.journal import Journal, opening
from hookline.engine.services import Services
from hookline.events import Event
from hookline.jobs.call import WaitForEvent
from hookline.store import waits

LOOK_AT_ONCE = 100
"""Deliveries in one look back."""

SKEW = timedelta(minutes=5)
"""How far the clocks of replicas, which make the ids of deliveries, may be apart."""


class Arrivals:
    """Finds events for the waits of one execution, each for one wait, and commits that they are taken."""

    def __init__(self, journal: Journal, services: Services) -> None:
        self._journal = journal
        self._services = services
        self._taken = {patterns.source(each.output) for each in journal.settled("event") if each.output is not None}

    async def before(self, call: WaitForEvent) -> Event | None:
        """The first event that came before the wait was committed, if one did that nobody has taken."""
        since = call.since or datetime.fromtimestamp(self._journal.claim.created, UTC)
        after = codec.first_uuid7(since - SKEW)
        while True:
            async with self._services.database.session() as connection:
                rows = await waits.look_back(connection, patterns.types(call.pattern), since, after, LOOK_AT_ONCE)
            for row in rows:
                if row["id"] != self._journal.claim.delivery and (event := await self._taken_from(call, row)):
                    return event
            if len(rows) < LOOK_AT_ONCE:
                return None
            after = rows[-1]["id"]

    async def since(self, call: WaitForEvent) -> Event | None:
        """The first event that was brought since, if one fits; what does not is forgotten."""
        async with self._services.database.session() as connection:
            rows = await waits.routed(connection, self._journal.claim.id, call.mailbox)
            event = None
            seen = []
            for row in rows:
                seen.append(row["signal"])
                if event := await self._taken_from(call, row, row["event_index"]):
                    break
            if seen:
                await waits.drop(connection, seen)
        return event

    async def _taken_from(self, call: WaitForEvent, row: Any, only: int | None = None) -> Event | None:
        """The first event of a delivery that fits and that no other wait of this run has taken, once it is recorded."""
        with opening():
            events = patterns.events(row["events"], row["body"])
        for index, event in enumerate(events):
            place = (row["id"], index)
            if only not in (None, index) or place in self._taken or not call.pattern.matches(event):
                continue
            self._taken.add(place)
            output = patterns.recorded(event, *place)
            settled = self._journal.record(call, "succeeded", output=output)
            ledger = self._services.ledger
            await asyncio.gather(ledger.record(settled), ledger.withdraw(self._journal.claim.id, call.key))
            return call.read(output)
        return None
