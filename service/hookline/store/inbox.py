"""The inbox: what people and their tools ask about deliveries; nothing here writes.

A page reads a bounded number of rows, as `hookline.store.search` does, whose words it uses.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from uuid import UUID

import asyncpg
from msgspec import Struct

from hookline.codec import first_uuid7
from hookline.store.database import Connection, transaction
from hookline.store.delivery import Status
from hookline.store.search import IN_ORDER, LAST, NIL, SCAN, Found


class Filter(Struct, frozen=True):
    """Which deliveries are meant: those that fit all that is said.

    Args:
        key: the sender's id of it.
        type: its events' type, or a type that this is a sub-type of.
        subject: what it is about.
        since: when it came at the earliest; its id tells, by the clock of the replica that took it.
        until: up to when it came.
    """

    source: str | None = None
    key: str | None = None
    type: str | None = None
    subject: str | None = None
    status: Status | None = None
    since: datetime | None = None
    until: datetime | None = None


LISTED = """
select id, source, key, type, subject, status, reason, conflict_of, replay_of, received_at,
       hookline.body_size(body) as size,
       array(select id from (
                select runs.id, event_index from hookline.runs
                 where runs.delivery_id = deliveries.id and event_index is distinct from -1
                 union all
                select run_id, event_index from hookline.signals
                 where signals.delivery_id = deliveries.id and data is not null
             ) as started order by event_index) as runs
  from hookline.deliveries
"""

_SOURCES = """
with recursive known (source) as (
    (select deliveries.source from hookline.deliveries order by deliveries.source limit 1)
     union all
    select (select deliveries.source from hookline.deliveries where deliveries.source > known.source
             order by deliveries.source limit 1)
      from known where known.source is not null
)
select source from known where source is not null
"""
"""Every source that has deliveries, each found by one look into an index."""

_OF_KEY = f"""
id = any(array(
    select id from hookline.deliveries where conflict_of is null and source = any(array({_SOURCES})) and key = {{key}}
     union all
    select id from hookline.deliveries
     where conflict_of is not null and source = any(array({_SOURCES})) and key = {{key}}
))
"""  # noqa: S608 - constants

_TYPES = """
    with recursive known (type) as (
        select {type}::text collate "C"
         union all
        select (select deliveries.type collate "C" from hookline.deliveries
                 where deliveries.type collate "C" > greatest(known.type, {type} || '.' collate "C")
                   and deliveries.type collate "C" < {type} || '/' collate "C"
                 order by deliveries.type collate "C" limit 1)
          from known where known.type is not null
    )
"""
"""The type and each of its sub-types, each found by one look into an index."""

_OF_TYPE = f"""
id = any(array(
    {_TYPES}
    select newest.id from known cross join lateral (
        select id from hookline.deliveries where {{first}} order by {{order}} limit {{limit}}) as newest
))
"""  # noqa: S608 - constants
"""The newest of each of the types: among them are the newest of all."""

SCAN_OF_TYPE = 500
"""Rows of each sub-type that are looked at for what else is asked for."""

_FROM = "({column}, id) >= ({value}, $1) and ({column}, id) < ({value}, $2)"
"""The deliveries with a value in a column, said so that only the index of both can give them in their order.

Asked for the value alone, Postgres may walk through all deliveries in the order of their ids: it does not know that the
value is a rare one.
"""

_COLUMNS = {"subject": "subject", "type": 'deliveries.type collate "C"', "source": "source", "status": "status"}

_FITTING = {
    "subject": "subject = {value}",
    "type": "(type = {value} or starts_with(type, {value} || '.'))",
    "source": "source = {value}",
    "status": "status = {value}",
}


async def listed(connection: Connection, wanted: Filter, *, before: UUID | None = None, limit: int = 50) -> Found:
    """The newest deliveries that fit, without headers and bodies; `before` is the last id of the page before."""
    ends = [each for each in (before, wanted.until and first_uuid7(wanted.until)) if each is not None]
    first, behind = NIL if wanted.since is None else first_uuid7(wanted.since), min(ends, default=LAST)
    given = _given(wanted)
    leading, *others = given or ("id",)
    number = {name: f"${place}" for place, name in enumerate(given, 3)}
    near, order = _near(leading, number)
    async with transaction(connection):
        await connection.execute(IN_ORDER)
        edge = None
        if others and leading != "key":
            edge = await connection.fetchrow(_edge(leading, number, near, order), first, behind, given[leading])
            first = first if edge is None else edge["id"]
        clause = " and ".join([near, *(_FITTING[name].format(value=number[name]) for name in others)])
        if leading == "type":
            clause = _OF_TYPE.format(type=number["type"], first=clause, order=order, limit=int(limit) + 1)
            order = "id desc"
        statement = f"{LISTED} where {clause} order by {order} limit {int(limit) + 1}"
        rows = await connection.fetch(statement, first, behind, *given.values())
    if len(rows) > limit:
        return Found(rows[:limit], rows[limit - 1]["id"])
    return Found(rows) if edge is None else Found(rows, edge["id"], edge["at"])


def _near(leading: str, number: Mapping[str, str]) -> tuple[str, str]:
    """The condition that one index meets, and its order."""
    if leading == "id":
        return "id >= $1 and id < $2", "id desc"
    if leading == "key":
        return f"id >= $1 and id < $2 and {_OF_KEY.format(key=number['key'])}", "id desc"
    column, value = _COLUMNS[leading], "known.type" if leading == "type" else number[leading]
    return f"{column} is not null and {_FROM.format(column=column, value=value)}", f"{column} desc, id desc"


def _edge(leading: str, number: Mapping[str, str], near: str, order: str) -> str:
    """What tells the oldest row that is looked at, if there are more than that."""
    looked = f"select id, received_at as at from hookline.deliveries where {near} order by {order}"  # noqa: S608
    if leading != "type":
        return f"{looked} offset {SCAN - 1} limit 1"
    types = _TYPES.format(type=number["type"])
    each = f"{looked} offset {SCAN_OF_TYPE - 1} limit 1"
    return f"{types} select oldest.* from known cross join lateral ({each}) as oldest order by id desc limit 1"  # noqa: S608


def _given(wanted: Filter) -> dict[str, str]:
    """What is asked for by value, first what is likely to be the rarest."""
    alarming = wanted.status in ("quarantined", "conflict")
    names = ("key", "subject", *(["status"] if alarming else []), "type", "source", "status")
    return {name: value for name in names if (value := getattr(wanted, name)) is not None}


DELIVERY = """
select id, source, key, type, subject, status, reason, conflict_of, replay_of, received_at, secret, headers, body,
       bindings, events,
       array(select replays.id from hookline.deliveries replays where replays.replay_of = deliveries.id order by id)
           as replays
  from hookline.deliveries where id = $1
"""

STARTED = """
select id, job, version, state, case when event_index >= 0 then event_index end as event, scope, reason
  from hookline.runs where delivery_id = $1
 union all
select runs.id, job, version, state, signals.event_index, scope, reason
  from hookline.signals join hookline.runs on runs.id = run_id
 where signals.delivery_id = $1 and data is not null
 order by event, job
"""


async def delivery(connection: Connection, id_: UUID) -> tuple[asyncpg.Record, list[asyncpg.Record]] | None:
    """One delivery with all that is known of it, and the runs that it started; `None` if there is no such one."""
    row = await connection.fetchrow(DELIVERY, id_)
    return None if row is None else (row, await connection.fetch(STARTED, id_))
