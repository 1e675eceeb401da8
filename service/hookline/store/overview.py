"""Overview: how things stand, told from a bounded number of rows, however many there are."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

import asyncpg

from hookline.codec import first_uuid7
from hookline.store.database import Connection
from hookline.store.search import LAST, NIL

SAMPLE = 100
"""Rows that are looked at for each span of a chart; where there are more, their ids tell how many there would be."""

MANY = 10_000
"""What is counted exactly, in an index."""

FEW = 1000
"""What is counted exactly, where rows are looked at for it."""

_IN_SPANS = """
  from unnest($1::uuid[], $2::uuid[]) with ordinality as span (first, behind, number)
 cross join lateral
"""

_DUE = "case when due_at between created_at and started_at or started_at is null then due_at else created_at end"
"""When a run could first be begun: the due time of one that has waited since is that of its last wake-up."""

RUN_SPANS = f"""
select number, tally.* {_IN_SPANS} (
    select count(*) as seen, (array_agg(id order by id desc))[1] as last,
           count(*) filter (where state = 'succeeded') as succeeded,
           count(*) filter (where state = 'failed') as failed,
           count(*) filter (where state = 'cancelled') as cancelled,
           extract(epoch from percentile_disc(0.5) within group (order by started_at - due))::float8 as typical,
           extract(epoch from percentile_disc(0.95) within group (order by started_at - due))::float8 as slow,
           array_agg(extract(epoch from due)::float8) filter (where is_late) as late,
           array_agg(extract(epoch from started_at)::float8) filter (where is_late) as begun
      from (select *, started_at >= ($3::timestamptz[])[number::integer] as is_late
              from (select id, state, started_at, {_DUE} as due from hookline.runs
                     where id >= first and id < behind order by id limit {SAMPLE}) as few) as judged
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
    """What became of the runs that were created between each two of `edges`, and how many seconds after they were due
    they were begun; of those that were begun after the end of the span, when they were due, and when begun."""
    ids = [first_uuid7(edge) for edge in edges]
    return await connection.fetch(RUN_SPANS, ids[:-1], ids[1:], edges[1:])


async def delivery_spans(connection: Connection, edges: Sequence[datetime]) -> list[asyncpg.Record]:
    """What became of the deliveries that came between each two of `edges`."""
    ids = [first_uuid7(edge) for edge in edges]
    return await connection.fetch(DELIVERY_SPANS, ids[:-1], ids[1:])


_OPEN = ("queued", "blocked", "running", "waiting", "paused")

# Said so that only the index by state gives the order: the planner may know of none, or of very many, in a state.
_IN_STATE = """
  from hookline.runs
 where left(state, 2) <> 'su'
   and (left(state, 2), id) >= ('{state}', {first}) and (left(state, 2), id) < ('{state}', {last})
 order by left(state, 2) desc, id desc limit {most}
"""
_NIL, _LAST = f"'{NIL}'", f"'{LAST}'"


def _in_state(state: str, first: str = _NIL, most: int = MANY) -> str:
    return _IN_STATE.format(state=state[:2], first=first, last=_LAST, most=most)


COUNTS = " union all ".join(
    f"select '{state}' as state, count(*) from (select {_in_state(state, first)}) as few"  # noqa: S608 - constants
    for state, first in (*((state, _NIL) for state in _OPEN), ("failed", "$1"), ("cancelled", "$1"))
)


async def counts(connection: Connection, since: datetime) -> dict[str, int]:
    """How many runs there are in each state, at most `MANY`; of `failed` and `cancelled` ones those created `since`."""
    return {row["state"]: row["count"] for row in await connection.fetch(COUNTS, first_uuid7(since))}


QUEUES = f"""
with recursive priorities as (
    (select priority, 1 as number from hookline.runs where state = 'queued' order by priority desc limit 1)
     union all
    select (select priority from hookline.runs
             where state = 'queued' and runs.priority < priorities.priority order by priority desc limit 1), number + 1
      from priorities where priority is not null and number < 100
),
heads as materialized (
    select head.* from priorities cross join lateral (
        select job, version, due_at from hookline.runs
         where state = 'queued' and runs.priority = priorities.priority and due_at <= now()
         order by due_at limit {FEW}
     ) as head limit {10 * FEW}
)
select job, version, count(*) as runs, min(due_at) as since,
       job || '@' || version = any (array(select unnest(offers) from hookline.workers where expires_at > now()))
           as offered, (select count(*) from heads) >= {FEW} as is_more
  from heads group by job, version order by since
"""  # noqa: S608 - constants


async def queues(connection: Connection) -> list[asyncpg.Record]:
    """The runs that are due, those that have been for longest of each priority: how many of each job and version, and
    whether there may be more, since when, and whether a live worker offers it."""
    return await connection.fetch(QUEUES)


FAILING = f"""
with few as materialized (select id, job {_in_state("failed", "$1", FEW)}),
by_job as (
    select job, count(*) as runs, (array_agg(id order by id desc))[1] as last,
           (select count(*) from few) >= {FEW} as is_more
      from few group by job
)
select by_job.job, runs, is_more, finished_at as last, id, reason from by_job join hookline.runs on id = by_job.last
 order by runs desc, job
"""  # noqa: S608 - constants

PAUSED = f"""
select job, reason, count(*) as runs, max(created_at) as last, (array_agg(id order by id desc))[1] as id,
       sum(count(*)) over () >= {FEW} as is_more
  from (select id, job, reason, created_at {_in_state("paused", most=FEW)}) as few
 group by job, reason order by runs desc, job, reason limit 20
"""  # noqa: S608 - constants

ALARMING = " union all ".join(
    f"""
    select source, '{status}' as status, count(*) as deliveries, max(received_at) as last,
           (array_agg(id order by id desc))[1] as id, (array_agg(reason order by id desc))[1] as reason,
           sum(count(*)) over () >= {FEW} as is_more
      from (select id, source, reason, received_at from hookline.deliveries
             where (status, id) >= ('{status}', $1) and (status, id) < ('{status}', {_LAST})
             order by status desc, id desc limit {FEW}) as few
     group by source
    """  # noqa: S608 - constants
    for status in ("quarantined", "conflict")
)


async def failing(connection: Connection, since: datetime) -> list[asyncpg.Record]:
    """The jobs of which runs created `since` have failed, of the newest `FEW`, and whether there may be more."""
    return await connection.fetch(FAILING, first_uuid7(since))


async def paused(connection: Connection) -> list[asyncpg.Record]:
    """Why runs are paused, of the newest `FEW`, and whether there may be more."""
    return await connection.fetch(PAUSED)


async def alarming(connection: Connection, since: datetime) -> list[asyncpg.Record]:
    """The sources of which deliveries that came `since` are quarantined or in conflict, of the newest `FEW` of each,
    and whether there may be more."""
    return await connection.fetch(ALARMING, first_uuid7(since))


# "From this to this", and not "this": else the planner may read all sources' deliveries in the order of their ids.
SOURCES = f"""
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
             order by deliveries.source desc, deliveries.id desc limit {FEW}) as newest
 ) as tally
 order by source
"""  # noqa: S608 - constants


async def sources(connection: Connection, names: Sequence[str], since: datetime) -> list[asyncpg.Record]:
    """Every source that is one of `names` or ever brought anything: its last delivery, and what became of those that
    came `since`, of the newest `FEW`."""
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
    f"select job, '{state}' as state, count(*), sum(count(*)) over () >= {MANY} as is_more"  # noqa: S608 - constants
    f" from (select job {_in_state(state)}) as few group by job"
    for state in _OPEN
)


async def open_by_job(connection: Connection) -> list[asyncpg.Record]:
    """How many runs of each job are in each state that is not final, of the newest `MANY` in each state, and whether
    there may be more."""
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
