"""Events: what happened, in the order in which those who watch are told of it."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from uuid import UUID

import asyncpg

from hookline.store.database import Connection
from hookline.store.states import TERMINAL
from hookline.store.views import where

_EVENT = "seq, at, run_id, delivery_id, job, scope, source, type, run_events.state, reason, run_events.key"


class Lost(Exception):
    """What came behind a number is not kept any more."""


# Written

PUBLISH = """
insert into hookline.run_events (run_id, key)
select run_id, key from unnest($1::uuid[], $2::text[]) with ordinality as given (run_id, key, position)
 order by position
on conflict (run_id, key) where key is not null do nothing
"""


async def publish(connection: Connection, published: Sequence[tuple[UUID, str]]) -> None:
    """Tell that runs published what the journal holds at these keys, in this order; may be repeated."""
    if published:
        await connection.execute(PUBLISH, [run for run, _ in published], [key for _, key in published])


RETIRE = """
delete from hookline.run_events
 where seq < (select max(seq) from (select seq, at from hookline.run_events order by seq limit $2) as oldest
               where at < now() - make_interval(secs => $1))
"""

MOST_AT_ONCE = 5000


async def retire(connection: Connection, kept: float) -> bool:
    """Delete the oldest events that are older than `kept` seconds, all but the last of those; whether there may be
    more."""
    told = await connection.execute(RETIRE, kept, MOST_AT_ONCE)
    return told == f"DELETE {MOST_AT_ONCE - 1}"


# Read in order

MOST_FOLLOWING = 1000
"""Events that are told at once: more make each cheaper to send, and hold up the process that reads them for longer."""

FOLLOWING = f"select {_EVENT} from hookline.run_events where seq > $1 order by seq limit $2"  # noqa: S608 - a constant


async def following(connection: Connection, after: int) -> list[asyncpg.Record]:
    """The next events behind `after`, before none of which another will ever come.

    Raises:
        Lost: the next ones are not kept any more.
    """
    rows = await connection.fetch(FOLLOWING, after, MOST_FOLLOWING)
    if not rows or rows[0]["seq"] == after + 1:
        return [row for number, row in enumerate(rows, after + 1) if row["seq"] == number]
    await _written(connection)
    again = await connection.fetch(FOLLOWING, after, MOST_FOLLOWING)
    if not await is_kept(connection, after):
        raise Lost
    return [row for row in again if row["seq"] <= rows[-1]["seq"]]


NEWEST = "select max(seq) from hookline.run_events"


async def newest(connection: Connection) -> int:
    """A number up to which everything has been told, so that whatever is read now knows of all of that."""
    found: int = await connection.fetchval(NEWEST)
    await _written(connection)
    return found


KEPT = "select $1 between min(seq) and max(seq) from hookline.run_events"


async def is_kept(connection: Connection, after: int) -> bool:
    """Whether all that came behind `after`, a number that there has been, is still there."""
    return bool(await connection.fetchval(KEPT, after))


WRITING = """
select virtualtransaction from pg_locks
 where locktype = 'relation' and relation = 'hookline.run_events'::regclass and mode = 'RowExclusiveLock' and granted
   and database = (select oid from pg_database where datname = current_database())
"""

FIRST_PAUSE, LONGEST_PAUSE = 0.002, 0.2
"""Seconds between two looks at whether those who write have done so, at first, and at last."""


async def _written(connection: Connection) -> None:
    """Wait until the transactions that write events now have ended: then each number below the newest that was
    seen before is there or never will be."""
    writing, pause = await _writing(connection), FIRST_PAUSE
    while writing:
        await asyncio.sleep(pause)  # nobody is told of a transaction's end
        pause = min(2 * pause, LONGEST_PAUSE)
        writing &= await _writing(connection)


async def _writing(connection: Connection) -> set[str]:
    return {row[0] for row in await connection.fetch(WRITING)}


# Read again

PAST = f"""
select {_EVENT}, output as data from hookline.run_events
  left join hookline.journal using (run_id, key)
"""  # noqa: S608 - a constant

PAGE, PAGE_OF_RUN, SPAN = 500, 50, 2000
"""Events that are read again at once, of many runs, and of one, with what it published; and numbers that are looked
through for them."""


async def past(
    connection: Connection,
    after: int,
    upto: int,
    *,
    run: UUID | None = None,
    job: str | None = None,
    scope: str | None = None,
    state: str | None = None,
) -> tuple[list[asyncpg.Record], int]:
    """Some of the events behind `after` and up to `upto` that fit, and the number up to which these are all.

    Args:
        upto: a number up to which everything has been told.
        run: whose; only then come those that it published, with their data.

    Raises:
        Lost: they are not kept any more.
    """
    limit = PAGE if run is None else PAGE_OF_RUN
    reached = upto if run is not None else min(after + SPAN, upto)
    clause, values = where(
        {
            "run_id = {}": run,
            "seq > {}": after,
            "seq <= {}": reached,
            "job = {}": job,
            "scope = {}": scope,
            "run_events.state = {}": state,
            "run_events.key is null and {}": True if run is None else None,
        }
    )
    rows = await connection.fetch(f"{PAST}{clause} order by seq limit {limit}", *values)
    if not await is_kept(connection, after):
        raise Lost
    return rows, rows[-1]["seq"] if len(rows) == limit else reached


PUBLISHED = """
select run_id, key, output from hookline.journal
  join unnest($1::uuid[], $2::text[]) as wanted (run_id, key) using (run_id, key)
"""


async def published(connection: Connection, wanted: Sequence[tuple[UUID, str]]) -> dict[tuple[UUID, str], bytes | None]:
    """What runs published under their keys, JSON; `None` where the data have been deleted."""
    rows = await connection.fetch(PUBLISHED, [run for run, _ in wanted], [key for _, key in wanted])
    return dict.fromkeys(wanted) | {(row["run_id"], row["key"]): row["output"] for row in rows}


OF_RUN = """
select runs.state, oldest.seq as oldest, runs.created_at <= oldest.at as is_cut,
       (select max(seq) from hookline.run_events where run_id = runs.id and run_events.state = any($2)) as ended
  from hookline.runs, (select seq, at from hookline.run_events order by seq limit 1) as oldest
 where runs.id = $1
"""


async def of_run(connection: Connection, run: UUID) -> asyncpg.Record | None:
    """The state of `run`, the number behind which all is kept, whether it may have begun before that, and the number
    that told of its end; `None` if there is no such run."""
    return await connection.fetchrow(OF_RUN, run, list(TERMINAL))
