"""Excerpts: a run or a delivery with as much of its data as a page can show, however large it is."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

import asyncpg

from hookline.store.database import Connection

MOST = 262_144
"""Characters of each value that are read."""

LITTLE = 4_000
"""Characters that are read of the output of each call."""

FIRST_CALLS, MOST_CALLS = 400, 500
"""Of a journal the first calls are read, and behind them those that have not succeeded."""

RUN = f"""
select runs.id, runs.job, runs.version, runs.scope, runs.state, runs.priority, runs.created_at, runs.started_at,
       runs.finished_at, runs.due_at, runs.delivery_id as delivery, runs.event_index, runs.parent_id as parent,
       runs.reason, runs.attempt, runs.worker_id as worker, runs.forked_from, runs.superseded_by, runs.correlation,
       runs.data_deletion, runs.source, runs.subject, runs.tags,
       run_data.event, run_data.body_from, hookline.excerpt(run_data.input, {MOST}) as input,
       hookline.body_excerpt(deliveries.body, {MOST}) as body,
       hookline.excerpt(run_data.output, {MOST}) as output, hookline.excerpt(run_data.error, {MOST}) as error,
       greatest(octet_length(run_data.input::text), hookline.body_size(deliveries.body)) as size, now() as now
  from hookline.runs
  join hookline.run_data on run_id = runs.id
  left join hookline.deliveries on deliveries.id = body_from
 where runs.id = $1
"""  # noqa: S608 - constants

JOURNAL = f"""
select key, kind, position, attempt, claim, started_at, finished_at, due_at,
       case when kind = 'undo' and state = 'waiting' then 'registered' when kind = 'skip' then 'skipped' else state end
           as state,
       hookline.excerpt(output, {LITTLE}) as output, hookline.excerpt(error, {MOST}) as error
  from hookline.journal
 where run_id = $1 and (position < {FIRST_CALLS} or state not in ('succeeded', 'abandoned'))
 order by position, key limit {MOST_CALLS}
"""  # noqa: S608 - constants

CALLS = "select count(*) from hookline.journal where run_id = $1"


async def run(connection: Connection, id_: UUID) -> tuple[asyncpg.Record, list[asyncpg.Record], int] | None:
    """A run with its data, what there is to show of its journal, and how many calls there are; `None` if there is no
    such run."""
    row = await connection.fetchrow(RUN, id_)
    if row is None:
        return None
    journal = await connection.fetch(JOURNAL, id_)
    total = len(journal) if len(journal) < FIRST_CALLS else await connection.fetchval(CALLS, id_)
    return row, journal, total


# "offset 0": else the planner may walk through all deliveries in the order of their ids for the first 50.
DELIVERY = f"""
select id, source, key, type, status, reason, conflict_of, replay_of, received_at, secret, headers,
       hookline.body_excerpt(body, {MOST}) as body, hookline.body_size(body) as size, bindings, events,
       array(select id from (
                select replays.id from hookline.deliveries replays where replays.replay_of = deliveries.id offset 0
             ) as replays order by id limit 50) as replays
  from hookline.deliveries where id = $1
"""  # noqa: S608 - constants

STARTED = """
select id, job, version, state, event_index as event, scope, reason from hookline.runs where delivery_id = $1
 union all
select runs.id, job, version, state, signals.event_index, scope, reason
  from hookline.signals join hookline.runs on runs.id = run_id
 where signals.delivery_id = $1 and data is not null
 order by event, job limit 200
"""

ORIGIN = "select id, source, key, type, status, received_at, bindings from hookline.deliveries where id = $1"


async def delivery(connection: Connection, id_: UUID) -> tuple[asyncpg.Record, list[asyncpg.Record]] | None:
    """A delivery with what came with it, and the runs that it started; `None` if there is no such one."""
    row = await connection.fetchrow(DELIVERY, id_)
    return None if row is None else (row, await connection.fetch(STARTED, id_))


async def origin(connection: Connection, delivery: UUID) -> asyncpg.Record | None:
    """The delivery that started a run, without its headers and body."""
    return await connection.fetchrow(ORIGIN, delivery)


NAMES = "select id, job, state from hookline.runs where id = any($1)"


async def names(connection: Connection, ids: Sequence[UUID]) -> dict[UUID, asyncpg.Record]:
    """Job and state of the runs `ids`, by their ids."""
    return {row["id"]: row for row in await connection.fetch(NAMES, ids)}


WHICH = """
select 'runs' as what, id from hookline.runs where id = $1
 union all
select 'deliveries', id from hookline.deliveries where id = $1
"""

KEYED = """
select id from hookline.deliveries
 where source = any($1) and key = $2 and conflict_of is null order by id desc limit 1
"""


async def find(connection: Connection, sources: Sequence[str], text: str) -> tuple[str, UUID] | None:
    """What `text` names, `runs` or `deliveries`, and its id: it is one's id, or the key that a sender gave one."""
    try:
        found = await connection.fetchrow(WHICH, UUID(text))
    except ValueError:
        found = None
    if found is not None:
        return found["what"], found["id"]
    keyed = await connection.fetchval(KEYED, sources, text)
    return None if keyed is None else ("deliveries", keyed)
