"""Finishes: how a worker gives up the runs that it has, ended or to be continued."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from msgspec import Struct

from hookline.store import control, scopes, signals, waits
from hookline.store.claims import Claim
from hookline.store.database import Connection
from hookline.store.runs import NewRun
from hookline.store.states import TERMINAL, State


class Finish(Struct, frozen=True):
    """How a worker gives up a run: ended, or to be continued.

    Args:
        claim: what is given up.
        state: a terminal one, `paused`, `waiting` or `queued`.
        output: JSON, of a run that succeeded.
        error: JSON, of a run that failed.
        reason: for people, why it is in this state.
        bare: the same without what its code said, if that is quoted; what quotes may hold payload.
        delay: seconds until it is due; `None` if time alone does not make it so.
        attempt: the try of the whole run that comes next.
        retries: whether the next try is of what failed, so that its failure is forgotten.
        forget: what is recorded at these keys, and under them, is to be done again.
        waits: whether it may have waited for events.
        children: whether it may have children that it waited for.
        hooks: runs to start along with this.
    """

    claim: Claim
    state: State
    output: bytes | None = None
    error: bytes | None = None
    reason: str | None = None
    bare: str | None = None
    delay: float | None = 0.0
    attempt: int = 1
    retries: bool = False
    forget: tuple[str, ...] = ()
    waits: bool = False
    children: bool = False
    hooks: tuple[NewRun, ...] = ()


FINISH = """
update hookline.runs
   set state = case when given.state = 'waiting' and (runs.mail or runs.control is not null)
                      or given.state = 'paused' and runs.control = 'cancel'
                    then 'queued' else given.state end,
       worker_id = null,
       reason = case when given.state = 'cancelled' and runs.superseded_by is not null
                     then 'superseded by run ' || runs.superseded_by else given.reason end,
       superseded_by = case when given.state not in ('succeeded', 'failed') then runs.superseded_by end,
       attempt = given.attempt, mail = false,
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
   and (journal.key = given.key or starts_with(journal.key, given.key || '/') or kind = 'skip'
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
        failed = [(each.claim.id, key) for each in retried for key in each.forget or (None,)]
        await connection.execute(FORGET, [run for run, _ in failed], [key for _, key in failed])
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


def followed(given: Sequence[Finish]) -> list[UUID]:
    """The runs that are followed by another if these end without having taken what was sent to them."""
    return [e.claim.id for e in given if e.claim.correlation is not None and e.state in ("succeeded", "failed")]
