"""Claims: how a worker takes runs, and how they are taken from it when it leaves or dies."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from uuid import UUID

import asyncpg
from msgspec import Struct

from hookline.store import signals
from hookline.store.database import Connection


class Claim(Struct, frozen=True):
    """A run that is this worker's until it finishes it or is declared dead.

    Args:
        number: how often the run was claimed, this time included; marks all that is written of it.
        attempt: which try of the whole run this is, from 1.
        age: seconds since the run was first claimed.
        control: what an operator wants of it, `cancel` or `pause`.
        parent: the run that asked for it.
        attached: whether its parent waits for it.
        forked: whether it began with what another run had recorded.
        created: when it was created, and `clock`, when it was claimed; in seconds since the epoch.
        input: JSON.
        event: the envelope of the event that started it, JSON.
    """

    id: UUID
    job: str
    version: int
    scope: str | None
    correlation: str | None
    number: int
    attempt: int
    age: float
    control: str | None
    delivery: UUID | None
    parent: UUID | None
    attached: bool
    forked: bool
    created: float
    clock: float
    input: bytes
    event: bytes | None


_CLAIMED = """
runs.id, runs.job, runs.version, runs.scope, runs.correlation, runs.claims, runs.attempt, runs.delivery_id,
runs.control, runs.parent_id, runs.attached, runs.forked_from is not null as forked,
extract(epoch from now() - runs.started_at)::float8 as age,
extract(epoch from runs.created_at)::float8 as created, extract(epoch from now())::float8 as clock,
run_data.event, run_data.input, deliveries.body
"""

CLAIM = f"""
with due as (
    select id from hookline.runs
     where state = 'queued' and due_at <= now() and job || '@' || version = any($2)
     order by priority desc, due_at, id
     limit $3
       for update skip locked
)
update hookline.runs
   set state = 'running', worker_id = $1, claims = claims + 1, mail = false,
       started_at = coalesce(started_at, now())
  from due
  join hookline.run_data on run_data.run_id = due.id
  left join hookline.deliveries on deliveries.id = run_data.body_from
 where runs.id = due.id
returning {_CLAIMED}
"""  # noqa: S608 - a constant


async def claim(connection: Connection, worker: UUID, offers: Sequence[str], limit: int) -> list[Claim]:
    """Give up to `limit` due runs of `offers` to `worker`, which has been fenced in this transaction."""
    return [_claim(row) for row in await connection.fetch(CLAIM, worker, offers, limit)]


OWNED = f"""
select {_CLAIMED}
  from hookline.runs
  join hookline.run_data on run_data.run_id = runs.id
  left join hookline.deliveries on deliveries.id = run_data.body_from
 where runs.worker_id = $1 and runs.state = 'running' and runs.id <> all($2)
"""  # noqa: S608 - a constant


async def overlooked(connection: Connection, worker: UUID, known: Collection[UUID]) -> list[Claim]:
    """The runs that `worker` owns besides those it knows of: a claim was committed, its answer lost."""
    return [_claim(row) for row in await connection.fetch(OWNED, worker, list(known))]


UNFINISHED = f"""
select {_CLAIMED}
  from hookline.runs
  join hookline.run_data on run_data.run_id = runs.id
  left join hookline.deliveries on deliveries.id = run_data.body_from
 where runs.state in ('blocked', 'queued', 'running', 'waiting', 'paused') and claims > 0 and runs.id > $1
 order by runs.id limit $2
"""  # noqa: S608 - a constant


async def unfinished(connection: Connection, after: UUID, limit: int) -> list[Claim]:
    """Runs that have begun and not ended, as they would be claimed, with an id behind `after`; nobody is given them."""
    return [_claim(row) for row in await connection.fetch(UNFINISHED, after, limit)]


def _claim(row: asyncpg.Record) -> Claim:
    return Claim(
        id=row["id"],
        job=row["job"],
        version=row["version"],
        scope=row["scope"],
        correlation=row["correlation"],
        number=row["claims"],
        attempt=row["attempt"],
        age=row["age"],
        control=row["control"],
        delivery=row["delivery_id"],
        parent=row["parent_id"],
        attached=row["attached"],
        forked=row["forked"],
        created=row["created"],
        clock=row["clock"],
        input=row["body"] if row["input"] is None else row["input"],
        event=row["event"],
    )


RELEASE = """
with lost as (select id from hookline.runs where worker_id = any($1) and state = 'running' order by id for update)
update hookline.runs
   set worker_id = null,
       losses = losses + 1,
       state = case when losses + 1 < $2 then 'queued' else 'paused' end,
       due_at = case when losses + 1 < $2 then now() end,
       mail = false,
       reason = case when losses + 1 < $2 then null
                     else format('its worker was lost %s times while it ran', losses + 1) end
  from lost where runs.id = lost.id
returning runs.id, runs.job, runs.state, runs.losses, runs.claims, runs.reason
"""


async def release(connection: Connection, lost: Sequence[UUID], max_losses: int) -> list[asyncpg.Record]:
    """Make the runs of `lost` workers due, or pause those that lost their worker `max_losses` times.

    Runs after the rows of the workers are deleted, in a later statement of the same transaction.
    """
    released = await connection.fetch(RELEASE, lost, max_losses)
    if released:
        await connection.execute(signals.WAKE, "due")
    return released


HAND_OVER = """
update hookline.runs set state = 'queued', worker_id = null, mail = false, due_at = now()
 where worker_id = $1 and state = 'running'
"""


async def hand_over(connection: Connection, worker: UUID) -> None:
    """Make due what `worker` still owns as it leaves of its own accord, which counts as no loss."""
    if await connection.execute(HAND_OVER, worker) != "UPDATE 0":
        await connection.execute(signals.WAKE, "due")
