"""Runs: how they come to be, and how an operator ends one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from hookline.errors import IllegalTransition
from hookline.store import scopes
from hookline.store.database import Connection
from hookline.store.states import TERMINAL

WAKE = "select pg_notify('hookline', $1)"
"""A hint, one to a transaction: there is work (`due`), or a run of some worker is wanted (`control`)."""


@dataclass(frozen=True, slots=True)
class NewRun:
    """A run that somebody asked for, checked against its job, not yet stored.

    Args:
        input: JSON; `None` when it is the body of the delivery `delivery`, which is not copied.
        event: the envelope of the event that started it, JSON.
        event_index: which of its delivery's events that is.
        delay: seconds from now until it is due.
    """

    id: UUID
    job: str
    version: int
    input: bytes | None
    scope: str | None = None
    priority: int = 0
    delay: float = 0.0
    idempotency_key: str | None = None
    delivery: UUID | None = None
    event: bytes | None = None
    event_index: int | None = None


CREATE = """
insert into hookline.runs
       (id, job, version, scope, state, priority, due_at, idempotency_key, delivery_id, event_index)
select id, job, version, scope, case when scope is null then 'queued' else 'blocked' end,
       priority, now() + make_interval(secs => delay), idempotency_key, delivery_id, event_index
  from unnest($1::uuid[], $2::text[], $3::int[], $4::text[], $5::smallint[], $6::float8[], $7::text[],
              $8::uuid[], $9::smallint[])
       with ordinality as new (id, job, version, scope, priority, delay, idempotency_key, delivery_id,
                               event_index, position)
 order by position
on conflict do nothing
returning id
"""

STORE_INPUT = """
insert into hookline.run_data (run_id, input, event, body_from)
select * from unnest($1::uuid[], $2::json[], $3::json[], $4::uuid[])
on conflict (run_id) do nothing
"""

EXISTING = """
select wanted.id as wanted, runs.id
  from unnest($1::uuid[], $2::text[], $3::text[], $4::uuid[], $5::smallint[])
       as wanted (id, job, idempotency_key, delivery_id, event_index)
 cross join lateral (
    select id from hookline.runs where runs.id = wanted.id
     union all
    select id from hookline.runs
     where runs.job = wanted.job and runs.idempotency_key = wanted.idempotency_key
     union all
    select id from hookline.runs
     where runs.job = wanted.job and runs.delivery_id = wanted.delivery_id
       and runs.event_index = wanted.event_index
     limit 1
 ) as runs
"""


async def create(connection: Connection, runs: Sequence[NewRun]) -> list[UUID]:
    """Store `runs` and return the id of each: its own, or that of the run that was there already.

    A run is there already if its id is (the write is being repeated), if its idempotency key is, or if its
    event has started its job. A scoped run is born blocked, and queued at once if nobody is ahead of it.
    """
    if not runs:
        return []
    held = await scopes.lock(connection, ((run.job, run.scope) for run in runs if run.scope is not None))
    created = {
        row["id"]
        for row in await connection.fetch(
            CREATE,
            [run.id for run in runs],
            [run.job for run in runs],
            [run.version for run in runs],
            [run.scope for run in runs],
            [run.priority for run in runs],
            [run.delay for run in runs],
            [run.idempotency_key for run in runs],
            [run.delivery for run in runs],
            [run.event_index for run in runs],
        )
    }
    fresh = [run for run in runs if run.id in created]
    if fresh:
        await connection.execute(
            STORE_INPUT,
            [run.id for run in fresh],
            [run.input for run in fresh],
            [run.event for run in fresh],
            [run.delivery if run.input is None else None for run in fresh],
        )
        await scopes.promote(connection, held)
        await connection.execute(WAKE, "due")
    if len(fresh) == len(runs):
        return [run.id for run in runs]
    known = await _existing(connection, [run for run in runs if run.id not in created])
    return [run.id if run.id in created else known[run.id] for run in runs]


async def _existing(connection: Connection, runs: Sequence[NewRun]) -> dict[UUID, UUID]:
    rows = await connection.fetch(
        EXISTING,
        [run.id for run in runs],
        [run.job for run in runs],
        [run.idempotency_key for run in runs],
        [run.delivery for run in runs],
        [run.event_index for run in runs],
    )
    return {row["wanted"]: row["id"] for row in rows}


SCOPE_OF = "select job, scope from hookline.runs where id = $1"

LOCKED_STATE = "select state from hookline.runs where id = $1 for update"

CANCEL = """
update hookline.runs set state = 'cancelled', finished_at = now(), reason = 'cancelled by an operator'
 where id = $1
"""

ASK_TO_CANCEL = "update hookline.runs set control = 'cancel' where id = $1"


async def cancel(connection: Connection, run: UUID) -> str:
    """Cancel `run`, or have its worker cancel it; returns the state that it was in.

    Raises:
        LookupError: there is no such run.
        IllegalTransition: it has ended.
    """
    async with connection.transaction():
        row = await connection.fetchrow(SCOPE_OF, run)
        if row is None:
            raise LookupError(f"no run {run}")
        held = await scopes.lock(connection, [(row["job"], row["scope"])] if row["scope"] is not None else [])
        state: str = await connection.fetchval(LOCKED_STATE, run)
        if state in TERMINAL:
            raise IllegalTransition(f"run {run} is {state} already")
        if state == "running":
            await connection.execute(ASK_TO_CANCEL, run)
            await connection.execute(WAKE, "control")
        else:
            await connection.execute(CANCEL, run)
            await scopes.promote(connection, held)
            await connection.execute(WAKE, "due")
    return state
