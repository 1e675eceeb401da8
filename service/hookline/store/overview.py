"""Overview: how things stand, told from a bounded number of rows, however many there are."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

import asyncpg

from hookline.codec import first_uuid7
from hookline.store.database import Connection

SAMPLE = 100
"""Rows that are looked at for each span of a chart; where there are more, their ids tell how many there would be."""

MANY = 10_000
"""What is counted exactly."""

_IN_SPANS = """
  from unnest($1::uuid[], $2::uuid[]) with ordinality as span (first, behind, number)
 cross join lateral
"""

RUN_SPANS = f"""
select number, tally.* {_IN_SPANS} (
    select count(*) as seen, (array_agg(id order by id desc))[1] as last,
           count(*) filter (where state = 'succeeded') as succeeded,
           count(*) filter (where state = 'failed') as failed,
           count(*) filter (where state = 'cancelled') as cancelled,
           extract(epoch from percentile_disc(0.5) within group (order by started_at - created_at))::float8 as typical,
           extract(epoch from percentile_disc(0.95) within group (order by started_at - created_at))::float8 as slow
      from (select id, state, started_at, created_at from hookline.runs
             where id >= first and id < behind order by id limit {SAMPLE}) as few
) as tally order by number
"""  # noqa: S608 - constants

DELIVERY_SPANS = f"""
select number, tally.* {_IN_SPANS} (
    select count(*) as seen, (array_agg(id order by id desc))[1] as last,
           count(*) filter (where status = 'accepted') as accepted,
           count(*) filter (where status = 'ignored') as ignored,
           count(*) filter (where status in ('quarantined', 'conflict')) as alarming
      from (select id, status from hookline.deliveries
             where id >= first and id < behind order by id limit {SAMPLE}) as few
) as tally order by number
"""  # noqa: S608 - constants


async def run_spans(connection: Connection, edges: Sequence[datetime]) -> list[asyncpg.Record]:
    """What became of the runs that were created between each two of `edges`, and how long they waited, in seconds."""
    ids = [first_uuid7(edge) for edge in edges]
    return await connection.fetch(RUN_SPANS, ids[:-1], ids[1:])


async def delivery_spans(connection: Connection, edges: Sequence[datetime]) -> list[asyncpg.Record]:
    """What became of the deliveries that came between each two of `edges`."""
    ids = [first_uuid7(edge) for edge in edges]
    return await connection.fetch(DELIVERY_SPANS, ids[:-1], ids[1:])


_OPEN = ("queued", "blocked", "running", "waiting", "paused")

COUNTS = " union all ".join(
    f"select '{state}' as state, count(*)"  # noqa: S608 - constants
    f" from (select from hookline.runs where state = '{state}'{more} limit {MANY}) as few"
    for state, more in (*((state, "") for state in _OPEN), ("failed", " and id >= $1"), ("cancelled", " and id >= $1"))
)


async def counts(connection: Connection, since: datetime) -> dict[str, int]:
    """How many runs there are in each state, at most `MANY`; of `failed` and `cancelled` ones those created `since`."""
    return {row["state"]: row["count"] for row in await connection.fetch(COUNTS, first_uuid7(since))}


QUEUES = f"""
with recursive priorities as (
    (select priority from hookline.runs where state = 'queued' order by priority desc limit 1)
     union all
    select (select priority from hookline.runs
             where state = 'queued' and runs.priority < priorities.priority order by priority desc limit 1)
      from priorities where priority is not null
)
select job, version, count(*) as runs, min(due_at) as since,
       job || '@' || version = any (array(select unnest(offers) from hookline.workers where expires_at > now()))
           as offered
  from priorities
 cross join lateral (
    select job, version, due_at from hookline.runs
     where state = 'queued' and runs.priority = priorities.priority and due_at <= now()
     order by due_at limit {MANY // 2}
 ) as head
 group by job, version order by since
"""  # noqa: S608 - constants


async def queues(connection: Connection) -> list[asyncpg.Record]:
    """The runs that are due, those that have been for longest of each priority: how many of each job and version, since
    when, and whether a live worker offers it."""
    return await connection.fetch(QUEUES)


FAILING = """
select job, count(*) as runs, max(finished_at) as last, (array_agg(id order by id desc))[1] as id,
       (array_agg(reason order by id desc))[1] as reason
  from (select id, job, finished_at, reason from hookline.runs
         where state = 'failed' and id >= $1 order by id desc limit 2000) as few
 group by job order by runs desc, job
"""

PAUSED = """
select job, reason, count(*) as runs, max(created_at) as last, (array_agg(id order by id desc))[1] as id
  from (select id, job, reason, created_at from hookline.runs where state = 'paused' order by id desc limit 2000) as few
 group by job, reason order by runs desc, job, reason limit 20
"""

ALARMING = """
select source, status, count(*) as deliveries, max(received_at) as last, (array_agg(id order by id desc))[1] as id,
       (array_agg(reason order by id desc))[1] as reason
  from (select id, source, status, reason, received_at from hookline.deliveries
         where status in ('quarantined', 'conflict') and id >= $1 order by id desc limit 2000) as few
 group by source, status order by source, status
"""


async def failing(connection: Connection, since: datetime) -> list[asyncpg.Record]:
    """The jobs of which runs created `since` have failed, of the newest 2000."""
    return await connection.fetch(FAILING, first_uuid7(since))


async def paused(connection: Connection) -> list[asyncpg.Record]:
    """Why runs are paused, of the newest 2000."""
    return await connection.fetch(PAUSED)


async def alarming(connection: Connection, since: datetime) -> list[asyncpg.Record]:
    """The sources of which deliveries that came `since` are quarantined or in conflict, of the newest 2000."""
    return await connection.fetch(ALARMING, first_uuid7(since))


# "From this to this", and not "this": else the planner may read all sources' deliveries in the order of their ids.
SOURCES = """
with recursive known (source) as (
    (select source from hookline.deliveries order by source limit 1)
     union all
    select (select deliveries.source from hookline.deliveries
             where deliveries.source > known.source order by deliveries.source limit 1)
      from known where source is not null
)
select source, last.*, tally.*
  from (select source from known where source is not null union select unnest($1::text[])) as named
  left join lateral (
    select id, type, status, received_at from hookline.deliveries
     where deliveries.source >= named.source and deliveries.source <= named.source
     order by deliveries.source desc, deliveries.id desc limit 1
  ) as last on true
 cross join lateral (
    select count(*) as seen, count(*) filter (where status = 'accepted') as accepted,
           count(*) filter (where status = 'ignored') as ignored,
           count(*) filter (where status = 'quarantined') as quarantined,
           count(*) filter (where status = 'conflict') as conflict
      from (select status from hookline.deliveries
             where (deliveries.source, deliveries.id) >= (named.source, $2) and deliveries.source <= named.source
             order by deliveries.source desc, deliveries.id desc limit 2000) as newest
 ) as tally
 order by source
"""


async def sources(connection: Connection, names: Sequence[str], since: datetime) -> list[asyncpg.Record]:
    """Every source that is one of `names` or ever brought anything: its last delivery, and what became of those that
    came `since`, of the newest 2000."""
    return await connection.fetch(SOURCES, names, first_uuid7(since))


RECENT = """
select job, recent.id, recent.state, recent.created_at, recent.started_at, recent.finished_at
  from unnest($1::text[]) as wanted (job)
 cross join lateral (
    select id, state, created_at, started_at, finished_at from hookline.runs
     where runs.job = wanted.job order by id desc limit $2
 ) as recent
 order by job, recent.id
"""


async def recent(connection: Connection, jobs: Sequence[str], limit: int) -> list[asyncpg.Record]:
    """The newest `limit` runs of each of `jobs`, the oldest of these first."""
    return await connection.fetch(RECENT, jobs, limit)


OPEN_BY_JOB = " union all ".join(
    f"select job, '{state}' as state, count(*) from"  # noqa: S608 - constants
    f" (select job from hookline.runs where state = '{state}' limit {MANY}) as s group by job"
    for state in _OPEN
)


async def open_by_job(connection: Connection) -> list[asyncpg.Record]:
    """How many runs of each job are in each state that is not final, of `MANY` in each state."""
    return await connection.fetch(OPEN_BY_JOB)


NOW = "select now()"


async def now(connection: Connection) -> datetime:
    """The database's time."""
    moment: datetime = await connection.fetchval(NOW)
    return moment


def edges(until: datetime, span: timedelta, count: int) -> list[datetime]:
    """The edges of `count` spans, on whole multiples of `span`, the last of which `until` is in."""
    length = span.total_seconds()
    end = (until.timestamp() // length + 1) * length
    return [datetime.fromtimestamp(end - length * (count - number), until.tzinfo) for number in range(count + 1)]
