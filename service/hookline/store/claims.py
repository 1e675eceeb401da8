"""Claims: how a worker takes runs, gives them back, and loses them when it dies."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from uuid import UUID

import asyncpg
from msgspec import Struct

from hookline.store import control, scopes, signals, waits
from hookline.store.database import Connection
from hookline.store.runs import NewRun
from hookline.store.states import TERMINAL, State


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
runs.id, runs.job, runs.version, runs.scope, runs.claims, runs.attempt, runs.delivery_id,
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


class Finish(Struct, frozen=True):
    """How a worker gives up a run: ended, or to be continued.

    Args:
        claim: what is given up.
        state: a terminal one, `paused`, `waiting` or `queued`.
        output: JSON, of a run that succeeded.
        error: JSON, of a run that failed.
        reason: for people, why it is in this state.
        delay: seconds until it is due; `None` if time alone does not make it so.
        attempt: the try of the whole run that comes next.
        retries: whether the next try is of what failed, so that its failure is forgotten.
        forget: the key of the call that failed, if it was one.
        waits: whether it may have waited for events.
        children: whether it may have children that it waited for.
        hooks: runs to start along with this.
    """

    claim: Claim
    state: State
    output: bytes | None = None
    error: bytes | None = None
    reason: str | None = None
    delay: float | None = 0.0
    attempt: int = 1
    retries: bool = False
    forget: str | None = None
    waits: bool = False
    children: bool = False
    hooks: tuple[NewRun, ...] = ()


FINISH = """
update hookline.runs
   set state = case when given.state = 'waiting' and (runs.mail or runs.control is not null)
                      or given.state = 'paused' and runs.control = 'cancel'
                    then 'queued' else given.state end,
       worker_id = null, reason = given.reason, attempt = given.attempt, mail = false,
       control = case when given.state in ('queued', 'waiting') or given.state = 'paused' and runs.control = 'cancel'
                      then runs.control end,
       due_at = case when given.state = 'waiting' and (runs.mail or runs.control is not null) then now()
                     when given.state in ('queued', 'waiting', 'paused')
                     then now() + make_interval(secs => given.delay) else runs.due_at end,
       finished_at = case when given.state in ('succeeded', 'failed', 'cancelled') then now() end
  from unnest($2::uuid[], $3::int[], $4::text[], $5::text[], $6::float8[], $7::smallint[])
       as given (id, claims, state, reason, delay, attempt)
 where runs.id = given.id and runs.worker_id = $1 and runs.claims = given.claims
"""

STORE_OUTCOME = """
update hookline.run_data set output = given.output, error = given.error
  from unnest($1::uuid[], $2::json[], $3::json[]) as given (id, output, error)
 where run_data.run_id = given.id
"""

FORGET = """
delete from hookline.journal using unnest($1::uuid[], $2::text[]) as given (run_id, key)
 where journal.run_id = given.run_id
   and (journal.key = given.key and state = 'failed'
        or kind in ('gather', 'map', 'race') and output->>'failed' <> '[]')
"""


async def finish(connection: Connection, worker: UUID, given: Sequence[Finish]) -> None:
    """Write how `worker`, fenced in this transaction, gives up its runs, and let go on who waited for them.

    Their scopes, and what else they touch, are locked before. May be repeated: a run that is no longer this
    claim's was given up by the first writing, since nobody else takes a run from a worker that is alive.
    """
    if not given:
        return
    await connection.execute(
        FINISH,
        worker,
        [each.claim.id for each in given],
        [each.claim.number for each in given],
        [each.state for each in given],
        [each.reason for each in given],
        [each.delay for each in given],
        [each.attempt for each in given],
    )
    if told := [each for each in given if each.output is not None or each.error is not None]:
        await connection.execute(
            STORE_OUTCOME,
            [each.claim.id for each in told],
            [each.output for each in told],
            [each.error for each in told],
        )
    if retried := [each for each in given if each.retries]:
        await connection.execute(FORGET, [each.claim.id for each in retried], [each.forget for each in retried])
    ended = [each for each in given if each.state in TERMINAL]
    await scopes.promote(connection, left_by(given))
    await waits.unsubscribe(connection, [(each.claim.id, None) for each in ended if each.waits])
    await signals.ring(connection, parents_of(given))
    await control.cancel_children(connection, [each.claim.id for each in ended if each.children])
    if any(each.state == "queued" and each.delay == 0 for each in given) or any(each.claim.scope for each in ended):
        await connection.execute(signals.WAKE, "due")


def left_by(given: Sequence[Finish]) -> list[tuple[str, str]]:
    """The scopes in which somebody may go in when these runs are given up."""
    return sorted({(e.claim.job, e.claim.scope) for e in given if e.claim.scope is not None and e.state in TERMINAL})


def parents_of(given: Sequence[Finish]) -> list[UUID]:
    """The runs that wait for these to end."""
    return [e.claim.parent for e in given if e.claim.parent is not None and e.claim.attached and e.state in TERMINAL]


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
