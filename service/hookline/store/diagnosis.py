"""Diagnosis: what Postgres tells of itself and of our tables, for whoever looks for what is wrong."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from time import perf_counter

import asyncpg

from hookline.store.database import Connection
from hookline.store.overview import MANY

SERVER = """
select current_setting('server_version_num')::int / 10000 as version,
       pg_is_in_recovery() as standby,
       current_setting('plan_cache_mode') as plans,
       current_setting('autovacuum')::boolean as autovacuum,
       current_setting('fsync')::boolean as fsync,
       current_setting('synchronous_commit') <> 'off' as commits,
       current_setting('max_connections')::int - current_setting('superuser_reserved_connections')::int as connections,
       (select count(*) from pg_stat_activity where backend_type = 'client backend') as connected,
       (select age(datfrozenxid) from pg_database where datname = current_database()) as age,
       coalesce((select extract(epoch from max(clock_timestamp() - xact_start))::float8 from pg_stat_activity
                  where datname = current_database() and pid <> pg_backend_pid()), 0) as oldest_transaction,
       extract(epoch from clock_timestamp())::float8 as now
"""


async def server(connection: Connection) -> asyncpg.Record:
    """How the server is set up, and how busy it is; times in seconds, `now` since the epoch."""
    row = await connection.fetchrow(SERVER)
    assert row is not None  # noqa: S101 - it has one row
    return row


async def latency(connection: Connection, tries: int = 5) -> float:
    """Seconds to Postgres and back, the median of some tries."""
    took = []
    for _ in range(tries):
        began = perf_counter()
        await connection.execute("select 1")
        took.append(perf_counter() - began)
    return sorted(took)[tries // 2]


CHANNEL = "hookline_doctor"


async def is_heard(listening: asyncpg.Connection[asyncpg.Record], speaking: Connection, patience: float) -> bool:
    """Whether what one connection notifies arrives at another within `patience` seconds."""
    heard = asyncio.Event()
    await listening.add_listener(CHANNEL, lambda *_: heard.set())
    await speaking.execute("select pg_notify($1, '')", CHANNEL)
    try:
        async with asyncio.timeout(patience):
            await heard.wait()
    except TimeoutError:
        return False
    return True


STANDBY = """
select pg_is_in_recovery() as standby,
       case when pg_last_wal_receive_lsn() = pg_last_wal_replay_lsn() then 0
            else coalesce(extract(epoch from clock_timestamp() - pg_last_xact_replay_timestamp()), 0) end::float8 as lag
"""


async def standby(connection: Connection) -> asyncpg.Record:
    """Whether this is a read replica, and by how many seconds it is behind."""
    row = await connection.fetchrow(STANDBY)
    assert row is not None  # noqa: S101 - it has one row
    return row


LACKING = """
select relname || ': ' || string_agg(privilege, ', ' order by privilege)
  from pg_class cross join unnest(array['select', 'insert', 'update', 'delete']) as privilege
 where relnamespace = to_regnamespace('hookline') and relkind in ('r', 'p') and relname <> 'alembic_version'
   and not has_table_privilege(pg_class.oid, privilege)
 group by relname order by relname
"""


async def lacking(connection: Connection) -> Sequence[str]:
    """Of each table of ours, the privileges that this user has not."""
    return [row[0] for row in await connection.fetch(LACKING)]


TABLES = """
select relname as name, n_live_tup as live, n_dead_tup as dead, pg_total_relation_size(relid) as bytes
  from pg_stat_user_tables where schemaname = 'hookline' order by bytes desc
"""


async def tables(connection: Connection) -> list[asyncpg.Record]:
    """Our tables, the largest first: rows that live, rows that are dead and not vacuumed yet, and bytes."""
    return await connection.fetch(TABLES)


_OPEN = " union all ".join(
    f"(select job, version from hookline.runs where state = '{state}' limit {MANY})"  # noqa: S608 - constants
    for state in ("blocked", "queued", "waiting", "paused")
)

UNOFFERED = f"""
select job, version, count(*) as runs from ({_OPEN}) as unfinished
 where not job || '@' || version = any (array(select unnest(offers) from hookline.workers where expires_at > now()))
 group by job, version order by job, version
"""  # noqa: S608 - constants


async def unoffered(connection: Connection) -> list[asyncpg.Record]:
    """The unfinished runs that no live worker can run, by job and version."""
    return await connection.fetch(UNOFFERED)


EVENTS = "select extract(epoch from now() - at)::float8 from hookline.run_events order by seq offset 1 limit 1"


async def events_age(connection: Connection) -> float:
    """How many seconds ago the oldest event came that is to be deleted once it is old."""
    return await connection.fetchval(EVENTS) or 0.0
