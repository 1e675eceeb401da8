"""Policies: what becomes of the others in a scope when a run comes into it, or of the newcomer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, NamedTuple
from uuid import UUID

from hookline.store import signals
from hookline.store.database import Connection

Policy = Literal["queue", "cancel_running", "replace_waiting", "skip"]
"""Whoever comes waits for its turn; or it takes the place of all before it, or of those that have not begun; or it
goes again if anybody is there."""


class Newcomer(NamedTuple):
    """A run that comes into a scope."""

    id: UUID
    job: str
    scope: str
    policy: Policy


SKIP = """
update hookline.runs
   set state = 'cancelled', finished_at = now(), superseded_by = ahead.id,
       reason = 'run ' || ahead.id || ' is there, and the policy is to skip'
  from unnest($1::uuid[]) as given (id)
  join hookline.runs as come using (id)
 cross join lateral (
    select id from hookline.runs
     where runs.job = come.job and runs.scope = come.scope and runs.seq < come.seq
       and state in ('blocked', 'queued', 'running', 'waiting', 'paused')
     order by seq limit 1
 ) as ahead
 where runs.id = given.id and runs.state = 'blocked'
returning runs.parent_id, runs.attached
"""

_NEWEST = """
newest as (
    select distinct on (job, scope) id, job, scope, seq from hookline.runs
     where id = any($1) and state = 'blocked' order by job, scope, seq desc
)
"""

REPLACE = f"""
with {_NEWEST},
replaced as (
    select runs.id, newest.id as by from newest join hookline.runs using (job, scope)
     where runs.seq < newest.seq and runs.state in ('blocked', 'queued') and runs.claims = 0
     order by runs.id for update of runs skip locked
)
update hookline.runs
   set state = 'cancelled', finished_at = now(), control = null, superseded_by = replaced.by,
       reason = 'superseded by run ' || replaced.by
  from replaced where runs.id = replaced.id
returning runs.parent_id, runs.attached
"""  # noqa: S608 - a constant

END = f"""
with {_NEWEST},
ended as (
    select runs.id, newest.id as by from newest join hookline.runs using (job, scope)
     where runs.seq < newest.seq and runs.state in ('queued', 'running', 'waiting', 'paused')
     order by runs.id for update of runs
)
update hookline.runs
   set control = 'cancel', superseded_by = ended.by,
       reason = case when state = 'running' then reason end,
       due_at = case when state = 'running' then due_at else now() end,
       state = case when state = 'running' then state else 'queued' end
  from ended where runs.id = ended.id
"""  # noqa: S608 - a constant


async def settle(connection: Connection, come: Sequence[Newcomer]) -> None:
    """Do what the policies of those that have `come` into scopes, locked before, say; runs before one is let in.

    Of those that have not begun nothing has to be made up for, so they end at once; those that have begun are asked to,
    and whoever has them does that, with their compensations.
    """
    skipping = [each.id for each in come if each.policy == "skip"]
    replacing = [each.id for each in come if each.policy in ("replace_waiting", "cancel_running")]
    ending = [each.id for each in come if each.policy == "cancel_running"]
    gone = [
        *(await connection.fetch(SKIP, skipping) if skipping else ()),
        *(await connection.fetch(REPLACE, replacing) if replacing else ()),
    ]
    if ending and await connection.execute(END, ending) != "UPDATE 0":
        await connection.execute(signals.WAKE, "control")
        await connection.execute(signals.WAKE, "due")
    await signals.ring(connection, [row["parent_id"] for row in gone if row["attached"] and row["parent_id"]])
