"""Policies: what becomes of the others in a scope when a run comes into it, or of the newcomer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple
from uuid import UUID

import asyncpg

from hookline.spans import seconds
from hookline.store import rates, signals
from hookline.store.database import Connection
from hookline.terms import Debounce, Terms


class Newcomer(NamedTuple):
    """A run that comes into a scope."""

    id: UUID
    job: str
    scope: str
    terms: Terms


SKIP = """
update hookline.runs
   set state = 'cancelled', finished_at = now(), superseded_by = ahead.id,
       reason = 'run ' || ahead.id || ' is there, and the policy is to skip'
  from unnest($1::uuid[]) as given (id)
  join hookline.runs as come using (id)
  join hookline.scopes using (job, scope)
 cross join lateral (
    select id from (
        select id, seq from hookline.runs
         where runs.job = come.job and runs.scope = come.scope and seq < come.seq and left(state, 1) = 'b'
         union all
        select id, seq from hookline.runs
         where runs.job = come.job and runs.scope = come.scope and seq < come.seq
           and state in ('queued', 'running', 'waiting', 'paused')
    ) as others order by seq offset width - 1 limit 1
 ) as ahead
 where runs.id = given.id and runs.state = 'blocked' and width is not null
returning runs.parent_id, runs.attached
"""

SKIP_RATED = """
update hookline.runs
   set state = 'cancelled', finished_at = now(),
       reason = format('there were %s in %s s already, and the policy is to skip', rate, per)
  from unnest($1::uuid[]) as given (id)
  join hookline.runs as come using (id)
  join hookline.scopes using (job, scope)
 cross join lateral (
    select count(*) as many from unnest(starts) as start where start > now() - make_interval(secs => per)
 ) as begun
 cross join lateral (
    select count(*) as many from hookline.runs
     where runs.job = come.job and runs.scope = come.scope and seq < come.seq and left(state, 1) = 'b'
 ) as ahead
 where runs.id = given.id and runs.state = 'blocked' and begun.many + ahead.many >= rate
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
    select runs.id, newest.id as by, runs.state = 'queued' as was_in
      from newest
     cross join lateral (
        select id from hookline.runs
         where job = newest.job and scope = newest.scope and seq < newest.seq and left(state, 1) = 'b'
         union all
        select id from hookline.runs
         where job = newest.job and scope = newest.scope and seq < newest.seq
           and state in ('queued', 'running', 'waiting', 'paused')
           and left(state, 1) = 'q'
     ) as waiting
      join hookline.runs on runs.id = waiting.id
     where runs.claims = 0 and runs.state in ('blocked', 'queued')
     order by runs.id for update of runs skip locked
)
update hookline.runs
   set state = 'cancelled', finished_at = now(), control = null, superseded_by = replaced.by,
       reason = 'superseded by run ' || replaced.by
  from replaced where runs.id = replaced.id
returning runs.id, runs.job, runs.scope, runs.due_at, replaced.was_in, runs.parent_id, runs.attached
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


PUT_OFF = """
with put_off as (
    update hookline.scopes set since = case when given.again then coalesce(since, now()) else now() end
      from unnest($1::uuid[], $2::text[], $3::text[], $4::float8[], $5::float8[], $6::bool[])
           as given (id, job, scope, quiet, at_most, again)
      join hookline.runs using (id)
     where scopes.job = given.job and scopes.scope = given.scope and runs.state = 'blocked'
    returning given.id,
              least(now() + make_interval(secs => quiet), since + make_interval(secs => at_most)) as till
)
update hookline.runs set due_at = greatest(due_at, till) from put_off where runs.id = put_off.id
"""


async def settle(connection: Connection, come: Sequence[Newcomer]) -> None:
    """Do what the policies of those that have `come` into scopes, locked before, say; runs before one is let in.

    Of those that have not begun nothing has to be made up for, so they end at once; those that have begun are asked to,
    and whoever has them does that, with their compensations.
    """
    skipping = [each for each in come if each.terms.policy == "skip"]
    rated = [each.id for each in skipping if each.terms.rate is not None]
    replacing = [each.id for each in come if each.terms.replaces]
    ending = [each.id for each in come if each.terms.policy == "cancel_running"]
    skipped = await connection.fetch(SKIP, [each.id for each in skipping]) if skipping else []
    late = await connection.fetch(SKIP_RATED, rated) if rated else []
    replaced = await connection.fetch(REPLACE, replacing) if replacing else []
    if was_in := [row for row in replaced if row["was_in"]]:
        await rates.give_back(connection, was_in)
    await _put_off(connection, come, replaced)
    if ending and await connection.execute(END, ending) != "UPDATE 0":
        await connection.execute(signals.WAKE, "control")
        await connection.execute(signals.WAKE, "due")
    gone = [*skipped, *late, *replaced]
    await signals.ring(connection, [row["parent_id"] for row in gone if row["attached"] and row["parent_id"]])


async def _put_off(connection: Connection, come: Sequence[Newcomer], replaced: Sequence[asyncpg.Record]) -> None:
    """Have those that are debounced wait for quiet, but not longer than the first of those that they `replaced` may."""
    debounced = [(each, each.terms.policy) for each in come if isinstance(each.terms.policy, Debounce)]
    if not debounced:
        return
    new = {each.id for each in come}
    earlier = {(row["job"], row["scope"]) for row in replaced if row["id"] not in new}
    await connection.execute(
        PUT_OFF,
        [each.id for each, _ in debounced],
        [each.job for each, _ in debounced],
        [each.scope for each, _ in debounced],
        [seconds(policy.quiet) for _, policy in debounced],
        [None if policy.at_most is None else seconds(policy.at_most) for _, policy in debounced],
        [(each.job, each.scope) in earlier for each, _ in debounced],
    )
