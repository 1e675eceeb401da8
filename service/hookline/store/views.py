"""Views: what people and their tools ask about runs, jobs and deliveries; nothing here writes."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

import asyncpg

from hookline.store.database import Connection

_RUN = """
runs.id, runs.job, runs.version, runs.scope, runs.state, runs.priority, runs.created_at, runs.started_at,
runs.finished_at, runs.due_at, runs.delivery_id as delivery, runs.parent_id as parent, runs.reason,
runs.attempt, runs.worker_id as worker
"""

RUNS = f"""
select {_RUN} from hookline.runs
 where ($1::text is null or job = $1)
   and ($2::text is null or scope = $2)
   and ($3::text is null or state = $3)
   and ($4::uuid is null or id < $4)
 order by id desc limit $5
"""  # noqa: S608 - a constant


async def runs(
    connection: Connection,
    *,
    job: str | None = None,
    scope: str | None = None,
    state: str | None = None,
    before: UUID | None = None,
    limit: int = 50,
) -> list[asyncpg.Record]:
    """The newest runs that fit, without their data; `before` is the last id of the page before."""
    return await connection.fetch(RUNS, job, scope, state, before, limit)


RUN = f"""
select {_RUN}, event, input, body, output, error
  from hookline.runs
  join hookline.run_data on run_id = runs.id
  left join hookline.deliveries on deliveries.id = body_from
 where runs.id = $1
"""  # noqa: S608 - a constant

JOURNAL = """
select key, kind, state, attempt, output, error, started_at, finished_at
  from hookline.journal where run_id = $1 order by position
"""


async def run(connection: Connection, id_: UUID) -> tuple[asyncpg.Record, list[asyncpg.Record]] | None:
    """One run with its data, and its journal in the order of its calls; `None` if there is no such run."""
    row = await connection.fetchrow(RUN, id_)
    return None if row is None else (row, await connection.fetch(JOURNAL, id_))


DELIVERIES = """
select id, source, key, type, status, reason, conflict_of, received_at, octet_length(body) as size,
       array(select runs.id from hookline.runs
              where runs.delivery_id = deliveries.id order by event_index, job) as runs
  from hookline.deliveries
 where ($1::text is null or source = $1)
   and ($2::text is null or status = $2)
   and ($3::uuid is null or id < $3)
 order by id desc limit $4
"""


async def deliveries(
    connection: Connection,
    *,
    source: str | None = None,
    status: str | None = None,
    before: UUID | None = None,
    limit: int = 50,
) -> list[asyncpg.Record]:
    """The newest deliveries that fit, without headers and bodies; `before` is the last id of the page before."""
    return await connection.fetch(DELIVERIES, source, status, before, limit)


UNFINISHED = """
select job, state, count(*) from hookline.runs
 where state in ('blocked', 'queued', 'running', 'waiting', 'paused')
 group by job, state
"""

OFFERED = "select distinct unnest(offers) from hookline.workers where expires_at > now()"


async def unfinished(connection: Connection) -> list[asyncpg.Record]:
    """How many runs of each job are in each state that is not final: rows `(job, state, count)`."""
    return await connection.fetch(UNFINISHED)


async def offered(connection: Connection) -> Sequence[str]:
    """The `job@version` that live workers can run."""
    return [row[0] for row in await connection.fetch(OFFERED)]
