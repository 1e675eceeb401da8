"""Workers: who is alive, proven by a lease that each renews and the watchdog ends."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

import asyncpg

from hookline.errors import LeaseLost
from hookline.store.database import Connection

REGISTER = """
insert into hookline.workers (id, name, offers, slots, expires_at)
values ($1, $2, $3, $4, now() + make_interval(secs => $5))
on conflict (id) do nothing
"""


async def register(
    connection: Connection, worker: UUID, name: str, offers: Sequence[str], slots: int, lease: float
) -> None:
    """Make `worker` known: `offers` are the `job@version` that it can run, `lease` is in seconds."""
    await connection.execute(REGISTER, worker, name, offers, slots, lease)


OFFER = "update hookline.workers set offers = $2 where id = $1"


async def offer(connection: Connection, worker: UUID, offers: Sequence[str]) -> None:
    """Say what `worker` can run from now on."""
    await connection.execute(OFFER, worker, offers)


RENEW = """
update hookline.workers
   set seen_at = now(), expires_at = now() + make_interval(secs => $2)
 where id = $1
returning id
"""

Wanted = tuple[UUID, str]
"""A run, and what is wanted of it: `cancel`, `pause`, or `mail` if something has come for it."""

_WANTED = (
    "select id || coalesce(control, 'mail') from hookline.runs where worker_id = $1 and (control is not null or mail)"
)

CONTROLLED = f"select array({_WANTED})"


async def renew(connection: Connection, worker: UUID, lease: float) -> list[Wanted]:
    """Extend the lease of `worker`, and return its runs that somebody wants something of.

    Raises:
        LeaseLost: the worker was declared dead; it can never be renewed again.
    """
    if await connection.fetchval(RENEW, worker, lease) is None:
        raise LeaseLost(f"worker {worker} was declared dead")
    return _wanted(await connection.fetchval(CONTROLLED, worker))


FENCE = f"""
with me as materialized (select id from hookline.workers where id = $1 for key share)
select array({_WANTED}) from me
"""  # noqa: S608 - a constant


async def fence(connection: Connection, worker: UUID) -> list[Wanted]:
    """Lock the row of `worker` for this transaction, so that nobody can declare it dead before the commit.

    Every transaction that writes as a worker calls this first. Returns its runs that somebody wants
    something of.

    Raises:
        LeaseLost: the row is gone, so nothing may be written.
    """
    wanted: list[str] | None = await connection.fetchval(FENCE, worker)
    if wanted is None:
        raise LeaseLost(f"worker {worker} was declared dead")
    return _wanted(wanted)


def _wanted(told: list[str]) -> list[Wanted]:
    return [(UUID(each[:36]), each[36:]) for each in told]


SILENT = """
select pg_terminate_backend(pid)
  from pg_stat_activity
 where application_name = 'hookline' and datname = current_database() and usename = current_user
   and state = 'active' and wait_event_type = 'Client' and state_change < clock_timestamp() - make_interval(secs => $1)
"""


async def end_silent(connection: Connection, patience: float) -> int:
    """End the sessions of ours in which Postgres has waited for the client to go on for `patience` seconds.

    A client that freezes between asking what a statement means and executing it counts as active to Postgres, which
    no timeout of its own ends, and keeps the locks of its transaction. Returns how many there were.
    """
    return len(await connection.fetch(SILENT, patience))


ANY_EXPIRED = "select exists (select from hookline.workers where expires_at < now())"

EXPIRE = "delete from hookline.workers where expires_at < now() returning id"

REMOVE = "delete from hookline.workers where id = $1"


async def any_expired(connection: Connection) -> bool:
    """Whether there is a worker whose lease has run out."""
    expired: bool = await connection.fetchval(ANY_EXPIRED)
    return expired


async def wait_for_locks(connection: Connection, patience: float) -> None:
    """Have this transaction wait no longer than `patience` seconds for a lock of another."""
    await connection.execute("select set_config('lock_timeout', $1, true)", str(int(patience * 1000)))


async def expire(connection: Connection) -> list[UUID]:
    """Delete the workers whose lease has run out, waiting for transactions of theirs that are under way.

    Their runs must be released in a later statement of the same transaction: this one's snapshot may be older
    than a claim that it waited for.
    """
    return [row["id"] for row in await connection.fetch(EXPIRE)]


async def remove(connection: Connection, worker: UUID) -> None:
    """Delete `worker`, which leaves of its own accord."""
    await connection.execute(REMOVE, worker)


LIST = """
select id, name, offers, slots, started_at, seen_at, expires_at,
       (select count(*) from hookline.runs where worker_id = workers.id and state = 'running')::int as running,
       extract(epoch from expires_at - now())::float8 as lease_seconds
  from hookline.workers order by started_at, id
"""


async def listed(connection: Connection) -> list[asyncpg.Record]:
    """Every worker that has a row, the oldest first."""
    return await connection.fetch(LIST)
