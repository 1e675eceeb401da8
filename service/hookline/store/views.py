"""Views: what people and their tools ask about runs and jobs; nothing here writes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

import asyncpg
from msgspec import Struct

from hookline.store.database import Connection

COLUMNS = """
runs.id, runs.job, runs.version, runs.scope, runs.state, runs.priority, runs.created_at, runs.started_at,
runs.finished_at, runs.due_at, runs.delivery_id as delivery, runs.parent_id as parent, runs.reason,
runs.attempt, runs.worker_id as worker, runs.forked_from, runs.superseded_by, runs.correlation, runs.data_deletion,
runs.source, runs.subject, runs.tags
"""


def where(conditions: Mapping[str, Any]) -> tuple[str, list[Any]]:
    """The clause of those conditions that are given a value, each a text with `{}` for its parameter, and the values.

    A clause of only what is asked for lets Postgres pick the index that is made for it.
    """
    given = {condition: value for condition, value in conditions.items() if value is not None}
    clause = " and ".join(condition.format(f"${number}") for number, condition in enumerate(given, 1))
    return f" where {clause}" if clause else "", list(given.values())


RUN = f"""
select {COLUMNS}, event, input, body, output, error
  from hookline.runs
  join hookline.run_data on run_id = runs.id
  left join hookline.deliveries on deliveries.id = body_from
 where runs.id = $1
"""  # noqa: S608 - a constant

STATE = "select state from hookline.runs where id = $1"


async def state(connection: Connection, run: UUID) -> str | None:
    """The state of `run`; `None` if there is no such run."""
    found: str | None = await connection.fetchval(STATE, run)
    return found


JOURNAL = """
select key, kind,
       case when kind = 'undo' and state = 'waiting' then 'registered' when kind = 'skip' then 'skipped' else state end
           as state,
       attempt, output, error, started_at, finished_at
  from hookline.journal where run_id = $1 order by position
"""


async def run(connection: Connection, id_: UUID) -> tuple[asyncpg.Record, list[asyncpg.Record]] | None:
    """One run with its data, and its journal in the order of its calls; `None` if there is no such run."""
    row = await connection.fetchrow(RUN, id_)
    return None if row is None else (row, await connection.fetch(JOURNAL, id_))


ENDED = "state in ('succeeded', 'failed', 'cancelled')"

AHEAD = """
select id, state from (
    select id, state, seq from hookline.runs
     where job = $1 and scope = $2 and seq < $3 and state in ('queued', 'running', 'waiting', 'paused')
     union all
    select id, state, seq from hookline.runs where job = $1 and scope = $2 and seq < $3 and left(state, 1) = 'b'
 ) as ahead order by seq limit 1
"""

OPEN_WAITS = """
select key, kind, state, due_at, output from hookline.journal
 where run_id = $1 and state in ('started', 'intent', 'retrying', 'waiting') and kind <> 'undo'
 order by position
"""

RECENT_CALLS = """
select keys
  from (select id from hookline.runs where job = $1 order by job desc, id desc limit $2) as recent
 cross join lateral (
    select array_agg(key order by position, key) as keys from hookline.journal
     where run_id = recent.id and kind not in ('var', 'stream') and state <> 'abandoned'
 ) as calls
 where keys is not null order by recent.id
"""


async def recent_calls(connection: Connection, job: str, runs: int) -> list[list[str]]:
    """The keys in the journals of the newest `runs` of `job`, in the order of their calls."""
    return [row["keys"] for row in await connection.fetch(RECENT_CALLS, job, runs)]


VARIABLES = """
select key, output from hookline.journal where run_id = $1 and kind = 'var' and state = 'succeeded' order by position
"""

HELD = """
select name, count(*) as held from hookline.signals where run_id = $1 and taken_by is null group by name order by name
"""

UNDERNEATH = """
select seq, control, mail, losses, claims, worker_id, data_deletion, forked_from,
       job || '@' || version = any (array(select unnest(offers) from hookline.workers where expires_at > now()))
           as offered,
       due_at > now() as early
  from hookline.runs where id = $1
"""

OFFSPRING = "select id, job, state, attached from hookline.runs where parent_id = $1 order by id limit 1000"


async def variables(connection: Connection, run: UUID) -> dict[str, bytes]:
    """What `run` last set under each name, JSON."""
    rows = await connection.fetch(VARIABLES, run)
    return {row["key"].rpartition("/")[2].removeprefix("var:").partition("#")[0]: row["output"] for row in rows}


class Insight(Struct, frozen=True):
    """What there is to know of a run that explains why it does what it does."""

    underneath: asyncpg.Record
    ahead: asyncpg.Record | None
    waits: list[asyncpg.Record]
    held: list[asyncpg.Record]
    children: list[asyncpg.Record]


async def insight(connection: Connection, row: asyncpg.Record) -> Insight:
    """What explains the state of a run, `row` as `run` returns it."""
    underneath = await connection.fetchrow(UNDERNEATH, row["id"])
    assert underneath is not None  # noqa: S101 - it was just read
    scoped = row["scope"] is not None and row["state"] == "blocked"
    ahead = await connection.fetchrow(AHEAD, row["job"], row["scope"], underneath["seq"]) if scoped else None
    return Insight(
        underneath,
        ahead,
        await connection.fetch(OPEN_WAITS, row["id"]),
        await connection.fetch(HELD, row["id"]),
        await connection.fetch(OFFSPRING, row["id"]),
    )


OFFERED = "select distinct unnest(offers) from hookline.workers where expires_at > now()"


async def offered(connection: Connection) -> Sequence[str]:
    """The `job@version` that live workers can run."""
    return [row[0] for row in await connection.fetch(OFFERED)]


OUTCOMES = f"""
select runs.id, job, state, reason, output from hookline.runs join hookline.run_data on run_id = runs.id
 where runs.id = any($1) and {ENDED} order by array_position($1, runs.id)
"""  # noqa: S608 - a constant


async def outcomes(connection: Connection, ids: Sequence[UUID]) -> list[asyncpg.Record] | None:
    """What each run has come to, in this order; `None` while one has not ended."""
    rows = await connection.fetch(OUTCOMES, ids)
    return rows if len(rows) == len(set(ids)) else None
