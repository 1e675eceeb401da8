"""Due: what the clock has made due, and what nobody takes though it is."""

from __future__ import annotations

from collections.abc import Sequence

import asyncpg

from hookline.store.database import Connection
from hookline.store.signals import WAKE

LOOK = """
select exists (
           select from hookline.runs where state = 'queued' and due_at <= now() and job || '@' || version = any($1)
       ) as due,
       exists (select from hookline.arrivals) as arrived,
       exists (select from hookline.runs where data_deletion = 'requested') as deletions,
       (select extract(epoch from min(due_at) - now())::float8 from hookline.runs
         where left(state, 1) in ('w', 'p') and due_at is not null) as next,
       (select extract(epoch from min(next_at) - now())::float8 from hookline.schedules
         where name = any($2) and active) as tick,
       (select coalesce(max(seq), 0) from hookline.definitions) as definitions
"""


async def look(connection: Connection, offers: Sequence[str], schedules: Sequence[str]) -> asyncpg.Record:
    """What there is to do: a run of `offers` is due, deliveries have arrived, in how many seconds a run wakes up, and
    in how many one of `schedules` ticks."""
    row = await connection.fetchrow(LOOK, offers, schedules)
    assert row is not None  # noqa: S101 - it is one row whatever there is
    return row


# Only waiting and paused runs: so written that `runs_waking` is the one index that fits.
RISE = """
update hookline.runs set state = 'queued'
 where id in (
    select id from hookline.runs
     where left(state, 1) in ('w', 'p') and due_at <= now()
     order by due_at limit $1 for update skip locked
 )
"""

MOST_AT_ONCE = 1000


async def rise(connection: Connection) -> bool:
    """Queue runs that waited for a time that has come; whether there may be more."""
    told = await connection.execute(RISE, MOST_AT_ONCE)
    if told != "UPDATE 0":
        await connection.execute(WAKE, "due")
    return told == f"UPDATE {MOST_AT_ONCE}"


SURVEY = """
select extract(epoch from now() - min(due_at))::float8 as age,
       count(*) filter (where job || '@' || version <> all (
           array(select unnest(offers) from hookline.workers)
       )) as stranded
  from hookline.runs
 where state = 'queued' and due_at <= now()
"""


async def survey(connection: Connection) -> tuple[float, int]:
    """The age in seconds of the oldest due run, and how many due runs no live worker offers to run."""
    row = await connection.fetchrow(SURVEY)
    return (row["age"] or 0.0, row["stranded"]) if row is not None else (0.0, 0)
