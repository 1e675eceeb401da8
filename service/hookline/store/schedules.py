"""Schedules: which are on, and when each ticks next."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import asyncpg

from hookline.store.database import Connection

NOW = "select now()"

DECLARE = """
insert into hookline.schedules (name, job, spec, next_at)
select name, job, spec, next_at from unnest($1::text[], $2::text[], $3::text[], $4::timestamptz[])
       as given (name, job, spec, next_at) order by name
on conflict (name) do update
   set job = excluded.job, spec = excluded.spec,
       next_at = case when schedules.spec = excluded.spec then schedules.next_at else excluded.next_at end
 where schedules.spec <> excluded.spec or schedules.job <> excluded.job
"""


async def now(connection: Connection) -> datetime:
    """The database's time."""
    moment: datetime = await connection.fetchval(NOW)
    return moment


async def declare(connection: Connection, declared: Sequence[tuple[str, str, str, datetime | None]]) -> None:
    """Make schedules known, as `(name, job, spec, next tick)`; one that is known and the same goes on as it is."""
    if declared:
        await connection.execute(DECLARE, *(list(column) for column in zip(*declared, strict=True)))


DUE = """
select name, next_at, now() as now from hookline.schedules
 where name = any($1) and active and next_at <= now()
 order by name for update skip locked
"""


async def due(connection: Connection, names: Sequence[str]) -> list[asyncpg.Record]:
    """Those of `names` whose tick has come, locked: nobody else fires them before this transaction ends."""
    return await connection.fetch(DUE, names)


ADVANCE = """
update hookline.schedules set next_at = $2, last_at = coalesce($3, last_at), problem = $4 where name = $1
"""


async def advance(
    connection: Connection, name: str, next_at: datetime | None, last_at: datetime | None, problem: str | None
) -> None:
    """Move a schedule on; `last_at` is the tick that fired last, if one did, `problem` why one could not."""
    await connection.execute(ADVANCE, name, next_at, last_at, problem)


BUSY = """
select id from (
    select id, seq from hookline.runs
     where job = $1 and scope = $2 and state in ('queued', 'running', 'waiting', 'paused')
     union all
    select id, seq from hookline.runs where job = $1 and scope = $2 and left(state, 1) = 'b'
 ) as unfinished order by seq
"""


async def busy(connection: Connection, job: str, scope: str) -> list[asyncpg.Record]:
    """The unfinished runs of a scope, the first first."""
    return await connection.fetch(BUSY, job, scope)


LISTED = "select name, job, spec, active, next_at, last_at, problem from hookline.schedules order by name"


async def listed(connection: Connection) -> list[asyncpg.Record]:
    """All schedules that were ever declared."""
    return await connection.fetch(LISTED)


SWITCH = """
update hookline.schedules
   set active = $2, next_at = case when $2 and not active then $3 else next_at end
 where name = $1
returning active
"""


async def switch(connection: Connection, name: str, *, on: bool, next_at: datetime | None) -> bool:
    """Switch a schedule on or off; one that is switched on ticks next at `next_at`. Whether there is such a one."""
    return await connection.fetchval(SWITCH, name, on, next_at) is not None
