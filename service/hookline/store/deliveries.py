"""Deliveries: webhooks as they came, one to a source and key."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from uuid import UUID

import asyncpg

from hookline.store import large, repeats, runs, waits
from hookline.store.database import Connection, transaction
from hookline.store.delivery import FRESH, Alarm, NewDelivery, Stored, happened, parameters, silent, starting

STORE = f"""
with {FRESH},
new as materialized ({runs.rows(6)} where delivery_id in (select id from fresh)),
{runs.CREATING},
arrived as (
    insert into hookline.arrivals (delivery_id, types)
    select id, types from json_to_recordset($9::json) as happened (id uuid, types json)
     where id in (select id from fresh)
    on conflict do nothing
    returning types
)
select id, null::void from fresh
 union all
(select id, {runs.ONE_HINT} from created)
 union all
(select null::uuid, pg_notify('hookline', 'arrived') from arrived
  where exists (select from hookline.waits where type in (select json_array_elements_text(types))) limit 1)
"""  # noqa: S608 - constants

KEPT = "select id, source, key, status, secret, headers, body from hookline.deliveries where id = $1"


async def kept(connection: Connection, id_: UUID) -> asyncpg.Record | None:
    """A delivery as it came; `None` if there is none."""
    return await connection.fetchrow(KEPT, id_)


async def store(connection: Connection, new: Sequence[NewDelivery], alarm: Alarm = silent) -> list[Stored]:
    """Store each delivery once, with its runs, whoever brings it and however often.

    The first of a source and key is kept as it is. The same again is a duplicate, and if the first was
    quarantined, it is tried again. Another body under the same key is kept beside it and starts nothing, if the sender
    sent both; an API writes the same thing differently, so what was fetched from there is a duplicate.

    Args:
        alarm: what starts along with what is stored quarantined, or as a conflict; once, however often that comes.
    """
    at = next((at for at, each in enumerate(new) if large.is_large(each)), None)
    if at is not None and len(new) > 1:
        parts = (new[:at], new[at : at + 1], new[at + 1 :])
        return [stored for part in parts if part for stored in await store(connection, part, alarm)]
    settled = await (large.store if large.streams(new[0]) else _store_fresh)(connection, new, alarm)
    while repeated := [each for each in new if each.id not in settled]:
        with suppress(asyncpg.UniqueViolationError):  # what came meanwhile is there now
            async with transaction(connection):
                settled |= await repeats.store_again(connection, repeated, alarm)
    return [settled[each.id] for each in new]


async def _store_fresh(connection: Connection, new: Sequence[NewDelivery], alarm: Alarm) -> dict[UUID, Stored]:
    """Store those of `new` whose key and id are not there yet; returns what became of them, by their ids."""
    wanted = starting(new, alarm)
    async with runs.filling(connection, wanted):
        rows = await connection.fetch(STORE, *parameters(new), *runs.parameters(wanted), waits.noted(happened(new)))
        stored = {row["id"] for row in rows}
        fresh = [each for each in new if each.id in stored]
        refused = [run for run in wanted if run.id not in stored and run.delivery in stored]
        there = await runs.elsewhere(connection, refused)
    return {
        each.id: Stored(each.id, each.status, each.told, False, tuple(there.get(r.id, r.id) for r in each.runs))
        for each in fresh
    }
