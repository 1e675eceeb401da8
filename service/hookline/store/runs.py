"""Runs: how they come to be, each once, whoever asks for it and however often."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from msgspec import Struct

from hookline.store import scopes
from hookline.store.database import Connection
from hookline.store.policies import Newcomer
from hookline.terms import ONE_AT_A_TIME, Terms


class NewRun(Struct, frozen=True):
    """A run that somebody asked for, checked against its job, not yet stored.

    Args:
        input: JSON; `None` when it is the body of the delivery `delivery`, which is not copied.
        event: the envelope of the event that started it, JSON.
        event_index: which of its delivery's events that is.
        parent: the run that asked for it.
        attached: whether its parent waits for it, and takes it along when it ends.
        correlation: what it is about; at most one unfinished run of its job is about the same.
        delay: seconds from now until it is due.
        terms: how it gets along with the others in its scope.
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
    parent: UUID | None = None
    attached: bool = False
    correlation: str | None = None
    terms: Terms = ONE_AT_A_TIME


CREATING = """
created as (
    insert into hookline.runs
           (id, job, version, scope, state, priority, due_at, idempotency_key, delivery_id, event_index, parent_id,
            attached, correlation)
    select id, job, version, scope, case when scope is null then 'queued' else 'blocked' end,
           priority, now() + make_interval(secs => delay), idempotency_key, delivery_id, event_index, parent, attached,
           correlation
      from new order by position
    on conflict do nothing
    returning id
),
stored as (
    insert into hookline.run_data (run_id, input, event, body_from)
    select id, input, event, body_from from new join created using (id)
)
"""
"""The part of a statement that makes runs of the rows `new`."""

ONE_HINT = "case when row_number() over () = 1 then pg_notify('hookline', 'due') end"
"""`WAKE` for as many rows as there may be, none included."""

CREATE = f"""
with new as materialized (
    select * from unnest($1::uuid[], $2::text[], $3::int[], $4::text[], $5::smallint[], $6::float8[], $7::text[],
                         $8::uuid[], $9::smallint[], $10::json[], $11::json[], $12::uuid[], $13::uuid[], $14::bool[],
                         $15::text[])
             with ordinality as new (id, job, version, scope, priority, delay, idempotency_key, delivery_id,
                                     event_index, input, event, body_from, parent, attached, correlation, position)
),
{CREATING}
select id, {ONE_HINT} from created
"""  # noqa: S608 - constants


def newcomers(runs: Sequence[NewRun]) -> list[Newcomer]:
    """Those of `runs` that come into a scope."""
    return [Newcomer(run.id, run.job, run.scope, run.terms) for run in runs if run.scope is not None]


def columns(runs: Sequence[NewRun]) -> tuple[list[Any], ...]:
    """`runs` as the arrays that the rows `new` are made of."""
    return (
        [run.id for run in runs],
        [run.job for run in runs],
        [run.version for run in runs],
        [run.scope for run in runs],
        [run.priority for run in runs],
        [run.delay for run in runs],
        [run.idempotency_key for run in runs],
        [run.delivery for run in runs],
        [run.event_index for run in runs],
        [run.input for run in runs],
        [run.event for run in runs],
        [run.delivery if run.input is None else None for run in runs],
        [run.parent for run in runs],
        [run.attached for run in runs],
        [run.correlation for run in runs],
    )


EXISTING = """
select wanted.id as wanted, runs.id
  from unnest($1::uuid[], $2::text[], $3::text[], $4::uuid[], $5::smallint[], $6::text[])
       as wanted (id, job, idempotency_key, delivery_id, event_index, correlation)
 cross join lateral (
    select id from hookline.runs where runs.id = wanted.id
     union all
    select id from hookline.runs
     where runs.job = wanted.job and runs.idempotency_key = wanted.idempotency_key
     union all
    select id from hookline.runs
     where runs.job = wanted.job and runs.delivery_id = wanted.delivery_id
       and runs.event_index = wanted.event_index
     union all
    (select id from hookline.runs
      where runs.job = wanted.job and runs.correlation = wanted.correlation order by id desc limit 1)
     limit 1
 ) as runs
"""


async def create(connection: Connection, runs: Sequence[NewRun]) -> dict[UUID, UUID]:
    """Store `runs` and return by the id of each its own id, or that of the run that was there already.

    A run is there already if its id is (the write is being repeated), if its idempotency key is, or if its
    event has started its job. A scoped run is born blocked, and queued at once if nobody is ahead of it.
    """
    if not runs:
        return {}
    async with scopes.filling(connection, newcomers(runs)):
        created = {row["id"] for row in await connection.fetch(CREATE, *columns(runs))}
    there = await existing(connection, [run for run in runs if run.id not in created])
    return {run.id: there.get(run.id, run.id) for run in runs}


async def existing(connection: Connection, runs: Sequence[NewRun]) -> dict[UUID, UUID]:
    """By the id of each of `runs`, which could not be stored, that of the run that is there in its place."""
    if not runs:
        return {}
    rows = await connection.fetch(
        EXISTING,
        [run.id for run in runs],
        [run.job for run in runs],
        [run.idempotency_key for run in runs],
        [run.delivery for run in runs],
        [run.event_index for run in runs],
        [run.correlation for run in runs],
    )
    return {row["wanted"]: row["id"] for row in rows}
