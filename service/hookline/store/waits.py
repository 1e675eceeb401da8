"""Waits for events: who waits for which, and how what arrives finds them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import asyncpg
import msgspec
from msgspec import Struct

from hookline.payloads import Plain
from hookline.store import signals
from hookline.store.database import Connection, transaction

ANY = "*"
"""The type of a wait whose own types are globs, which no index knows."""


class NewWait(Struct, frozen=True):
    """A wait for one type of events.

    Args:
        key: the wait's own in its run's journal.
        type: the type that it picks, with all its sub-types, or `ANY`.
        anchor: `field=value` that an event must have; empty if nothing can be said.
        pattern: JSON of the types and filters.
    """

    run: UUID
    key: str
    type: str
    anchor: str
    pattern: bytes


SUBSCRIBE = """
insert into hookline.waits (run_id, key, type, anchor, pattern)
select * from unnest($1::uuid[], $2::text[], $3::text[], $4::text[], $5::json[])
on conflict do nothing
"""


async def subscribe(connection: Connection, waits: Sequence[NewWait]) -> None:
    """Store `waits`, which look back once this transaction has ended: what comes later is brought to them."""
    if waits:
        await connection.execute(
            SUBSCRIBE,
            [each.run for each in waits],
            [each.key for each in waits],
            [each.type for each in waits],
            [each.anchor for each in waits],
            [each.pattern for each in waits],
        )


UNSUBSCRIBE = """
delete from hookline.waits using unnest($1::uuid[], $2::text[]) as given (run_id, key)
 where waits.run_id = given.run_id and (given.key is null or waits.key = given.key)
"""


LEFT_OVER = """
delete from hookline.signals using unnest($1::uuid[], $2::text[]) as given (run_id, key)
 where signals.run_id = given.run_id and taken_by is null and data is null
   and (given.key is null or signals.name = 'event:' || given.key)
"""


async def unsubscribe(connection: Connection, waits: Sequence[tuple[UUID, str | None]]) -> None:
    """Forget waits, by run and key, and what was brought for them; a key that is `None` is all of the run's."""
    if waits:
        given = [run for run, _ in waits], [key for _, key in waits]
        await connection.execute(UNSUBSCRIBE, *given)
        await connection.execute(LEFT_OVER, *given)


ARRIVE = """
insert into hookline.arrivals (delivery_id, types)
select id, types from json_to_recordset($1::json) as happened (id uuid, types json)
on conflict do nothing
"""


class Happened(Struct, frozen=True):
    """A delivery with events, by the types of these, and all that whoever waits for one of them may call it."""

    id: UUID
    types: tuple[str, ...]


def noted(happened: Sequence[Happened]) -> Plain:
    """What `happened`, as it is noted: JSON."""
    return Plain(msgspec.json.encode(happened))


async def arrive(connection: Connection, happened: Sequence[Happened]) -> None:
    """Note what happened: once this is committed, `route` brings it on."""
    if happened:
        await connection.execute(ARRIVE, noted(happened))


_EVENTS = "deliveries.id, deliveries.events, deliveries.body, deliveries.received_at"

LOOK_BACK = f"""
with found as (
    select id from unnest($3::text[]) as wanted (type)
      join hookline.deliveries on deliveries.type collate "C" = wanted.type and id > $2
     union
    select id from unnest($3::text[]) as wanted (type)
      join hookline.deliveries on deliveries.type collate "C" > wanted.type || '.'
       and deliveries.type collate "C" < wanted.type || '/' and id > $2
     union
    select id from hookline.deliveries where mixed and id > $2
     union
    select id from hookline.deliveries where '*' = any($3) and id > $2
)
select {_EVENTS} from found join hookline.deliveries using (id)
 where received_at >= $1 and events is not null
 order by id limit $4
"""  # noqa: S608 - constants


async def look_back(
    connection: Connection, types: Sequence[str], since: datetime, after: UUID, limit: int
) -> list[asyncpg.Record]:
    """Deliveries since `since` with an id behind `after` that may hold an event of one of `types`, the oldest first."""
    return await connection.fetch(LOOK_BACK, since, after, list(types), limit)


SWEEP = """
delete from hookline.arrivals
 where delivery_id in (
           select delivery_id from hookline.arrivals order by delivery_id limit $1 for update skip locked)
   and not exists (select from hookline.waits where type in (select json_array_elements_text(types)))
"""

TAKE_ARRIVALS = f"""
with taken as (
    delete from hookline.arrivals where delivery_id in (
        select delivery_id from hookline.arrivals order by delivery_id limit $1 for update skip locked)
    returning delivery_id
)
select {_EVENTS} from taken join hookline.deliveries on id = delivery_id order by id
"""  # noqa: S608 - constants

WAITING = """
select run_id, key, pattern from hookline.waits where type = any($1) and anchor = any($2)
"""

ROUTE = """
insert into hookline.signals (id, run_id, name, delivery_id, event_index)
select gen_random_uuid(), run_id, name, delivery_id, event_index
  from unnest($1::uuid[], $2::text[], $3::uuid[], $4::smallint[]) as given (run_id, name, delivery_id, event_index)
on conflict do nothing
"""


SWEPT_AT_ONCE, TAKEN_AT_ONCE = 1000, 50


async def route(
    connection: Connection,
    about: Callable[[asyncpg.Record], tuple[Sequence[str], Sequence[str]]],
    fits: Callable[[asyncpg.Record, bytes], Sequence[int]],
) -> bool:
    """Turn the events of what has arrived into signals of the runs that wait for them; whether there may be more.

    Args:
        about: of a delivery, the types and anchors by which waits for its events are found.
        fits: of a delivery and a wait's pattern, the indices of the events that fit.
    """
    swept = await connection.execute(SWEEP, SWEPT_AT_ONCE)
    async with transaction(connection):
        arrived = await connection.fetch(TAKE_ARRIVALS, TAKEN_AT_ONCE)
        rows: list[tuple[UUID, str, UUID, int]] = []
        for delivery in arrived:
            types, anchors = about(delivery)
            for wait in await connection.fetch(WAITING, types, anchors):
                rows += [
                    (wait["run_id"], f"event:{wait['key']}", delivery["id"], index)
                    for index in fits(delivery, wait["pattern"])
                ]
        if rows:
            await signals.lock(connection, (run for run, *_ in rows))
            columns: list[list[Any]] = [list(column) for column in zip(*rows, strict=True)]
            await connection.execute(ROUTE, *columns)
            await signals.ring(connection, list({run for run, *_ in rows}))
    return len(arrived) == TAKEN_AT_ONCE or swept == f"DELETE {SWEPT_AT_ONCE}"


ROUTED = f"""
select signals.id as signal, signals.event_index, {_EVENTS}
  from hookline.signals join hookline.deliveries on deliveries.id = signals.delivery_id
 where run_id = $1 and name = $2 and taken_by is null
 order by signals.seq
"""  # noqa: S608 - constants


async def routed(connection: Connection, run: UUID, mailbox: str) -> list[asyncpg.Record]:
    """The events that were turned into signals of `run`, the first first."""
    return await connection.fetch(ROUTED, run, mailbox)


DROP = "delete from hookline.signals where id = any($1)"


async def drop(connection: Connection, signals_: Sequence[UUID]) -> None:
    """Forget signals that turned out not to fit, or that were taken by way of looking back."""
    await connection.execute(DROP, signals_)
