"""Control: how an operator cancels, pauses and resumes a run, whoever has it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from uuid import UUID

import asyncpg

from hookline.errors import IllegalTransition, RunEnded
from hookline.store import runs, scopes, signals
from hookline.store.database import Connection, transaction
from hookline.store.runs import NewRun
from hookline.store.states import TERMINAL

Hooks = Callable[[asyncpg.Record, str], Sequence[NewRun]]
"""Which runs are to start when a run, a row with `id, job, version, claims, state`, comes into a state."""

PLACE = "select job, scope, parent_id, attached from hookline.runs where id = $1"

LOCKED = "select id, job, version, scope, state, claims, control from hookline.runs where id = $1 for update"

OWES = "select exists (select from hookline.journal where run_id = $1 and kind = 'undo' and state = 'waiting')"

END = """
update hookline.runs set state = 'cancelled', finished_at = now(), reason = $2, control = null where id = $1
"""

ASK = """
update hookline.runs
   set control = $2, reason = case when state = 'running' then reason end,
       due_at = case when state = 'running' then due_at else now() end,
       state = case when state in ('waiting', 'paused') then 'queued' else state end
 where id = $1
"""

_CANCEL = """
with children as (
    select id from hookline.runs
     where {which} and attached and state in ('blocked', 'queued', 'running', 'waiting', 'paused')
     order by id for update
)
update hookline.runs
   set control = case when state <> 'blocked' then 'cancel' end,
       due_at = case when state in ('queued', 'waiting', 'paused') then now() else due_at end,
       finished_at = case when state = 'blocked' then now() end,
       reason = 'the run that waited for it has ended',
       state = case when state = 'blocked' then 'cancelled' when state in ('waiting', 'paused') then 'queued'
                    else state end
  from children where runs.id = children.id
"""

CANCEL_CHILDREN = _CANCEL.format(which="parent_id = any($1)")

CANCEL_CHILD = _CANCEL.format(which="id = any($1)")


async def cancel(connection: Connection, run: UUID, hooks: Hooks, *, why: str = "cancelled by an operator") -> str:
    """Cancel `run`, or have its worker do so; returns the state that it was in.

    A run that nobody holds ends at once, unless it has registered compensations: then a worker takes it up, for
    those alone.

    Raises:
        LookupError: there is no such run.
        IllegalTransition: it has ended.
    """
    async with transaction(connection):
        held, row = await _locked(connection, run)
        if row["state"] == "running":
            await connection.execute(ASK, run, "cancel")
            await connection.execute(signals.WAKE, "control")
        elif row["state"] != "blocked" and await connection.fetchval(OWES, run):
            await connection.execute(ASK, run, "cancel")
            await connection.execute(signals.WAKE, "due")
        else:
            await connection.execute(END, run, why)
            await scopes.promote(connection, held)
            await cancel_children(connection, [run])
            parent = await connection.fetchval("select parent_id from hookline.runs where id = $1 and attached", run)
            await signals.ring(connection, [] if parent is None else [parent])
            await runs.create(connection, hooks(row, "cancelled"))
            await connection.execute(signals.WAKE, "due")
    return str(row["state"])


async def cancel_children(connection: Connection, parents: Sequence[UUID]) -> None:
    """Have the unfinished children that `parents` waited for cancelled."""
    await _ask(connection, CANCEL_CHILDREN, parents)


async def cancel_child(connection: Connection, children: Sequence[UUID]) -> None:
    """Have those of `children` cancelled that are unfinished: their parents do not wait for them any more."""
    await _ask(connection, CANCEL_CHILD, children)


async def _ask(connection: Connection, statement: str, runs_: Sequence[UUID]) -> None:
    if runs_ and await connection.execute(statement, runs_) != "UPDATE 0":
        await connection.execute(signals.WAKE, "control")
        await connection.execute(signals.WAKE, "due")


PAUSE = """
update hookline.runs set state = 'paused', due_at = null, reason = 'paused by an operator', control = null where id = $1
"""


async def pause(connection: Connection, run: UUID, hooks: Hooks) -> str:
    """Pause `run`, or have its worker do so when the steps that it is in have ended; returns the state it was in.

    Raises:
        LookupError: there is no such run.
        IllegalTransition: it has ended, or is being cancelled.
    """
    async with transaction(connection):
        _, row = await _locked(connection, run)
        if row["control"] == "cancel":
            raise IllegalTransition(f"run {run} is being cancelled")
        if row["state"] == "running":
            await connection.execute(ASK, run, "pause")
            await connection.execute(signals.WAKE, "control")
        elif row["state"] != "paused":
            await connection.execute(PAUSE, run)
            await runs.create(connection, hooks(row, "paused"))
    return str(row["state"])


RESUME = """
update hookline.runs
   set state = case when scope is null then 'queued' else 'blocked' end, due_at = now(), reason = null, losses = 0
 where id = $1 and state = 'paused'
"""

GO_ON = "update hookline.runs set control = null where id = $1 and state = 'running' and control = 'pause'"

TRY_AGAIN = """
update hookline.journal set state = 'retrying', due_at = now() where run_id = $1 and state = 'intent'
"""


async def resume(connection: Connection, run: UUID) -> str:
    """Let `run` go on that was paused; returns the state it was in.

    A step `once` whose outcome is unknown is done again: who resumes the run has looked.

    Raises:
        LookupError: there is no such run.
        IllegalTransition: it is not paused, nor about to be.
    """
    async with transaction(connection):
        held, row = await _locked(connection, run)
        if row["state"] == "running" and row["control"] == "pause":
            await connection.execute(GO_ON, run)
        elif row["state"] == "paused":
            await connection.execute(TRY_AGAIN, run)
            await connection.execute(RESUME, run)
            await scopes.promote(connection, held)
            await connection.execute(signals.WAKE, "due")
        else:
            raise IllegalTransition(f"run {run} is {row['state']}, not paused")
    return str(row["state"])


async def _locked(connection: Connection, run: UUID) -> tuple[Iterable[scopes.Scope], asyncpg.Record]:
    """Lock the scope of `run`, its parent if that waits for it, and the run, in the order that all follow."""
    place = await connection.fetchrow(PLACE, run)
    if place is None:
        raise LookupError(f"no run {run}")
    held = await scopes.lock(connection, [(place["job"], place["scope"])] if place["scope"] is not None else [])
    await signals.lock(connection, [run, *([place["parent_id"]] if place["attached"] else [])])
    row = await connection.fetchrow(LOCKED, run)
    assert row is not None  # noqa: S101 - it is locked
    if row["state"] in TERMINAL:
        raise RunEnded(f"run {run} is {row['state']} already")
    return held, row
