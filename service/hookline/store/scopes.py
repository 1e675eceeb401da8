"""Scopes: the rows on which the transactions that fill and empty a scope meet."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager

import asyncpg

from hookline.spans import seconds
from hookline.store import policies, rates
from hookline.store.database import Connection, transaction
from hookline.store.policies import Newcomer
from hookline.terms import Terms

Scope = tuple[str, str]
"""A job's name and the scope's own."""

ENSURE = """
insert into hookline.scopes (job, scope)
select job, scope from unnest($1::text[], $2::text[]) as wanted (job, scope) order by job, scope
on conflict do nothing
"""

LOCK = """
select job, scope, width, rate, per from hookline.scopes
  join unnest($1::text[], $2::text[]) as wanted (job, scope) using (job, scope)
 order by job, scope for update of scopes
"""


async def lock(connection: Connection, scopes: Iterable[Scope]) -> Mapping[Scope, asyncpg.Record]:
    """Lock `scopes` for this transaction, in an order that all follow; returns the terms of each.

    Who is in them must be read in a later statement.
    """
    wanted = sorted(set(scopes))
    if not wanted:
        return {}
    names = [job for job, _ in wanted], [scope for _, scope in wanted]
    await connection.execute(ENSURE, *names)
    return {(row["job"], row["scope"]): row for row in await connection.fetch(LOCK, *names)}


SET_TERMS = "update hookline.scopes set width = $3, rate = $4, per = $5 where job = $1 and scope = $2"

PROMOTE = """
with entered as (
    update hookline.runs set state = 'queued', due_at = greatest(due_at, now())
      from (
        select next.id, rate
          from unnest($1::text[], $2::text[]) as wanted (job, scope)
          join hookline.scopes using (job, scope)
         cross join lateral (
            select id, seq, row_number() over (order by seq) as place from (
                select id, seq from hookline.runs
                 where runs.job = wanted.job and runs.scope = wanted.scope and left(state, 1) = 'b'
                 order by seq limit width
            ) as first
         ) as next
         cross join lateral (
            select count(*) as many from (
                select from hookline.runs
                 where runs.job = wanted.job and runs.scope = wanted.scope and seq < next.seq
                   and state in ('queued', 'running', 'waiting', 'paused')
                 limit width
            ) as counted
         ) as ahead
         where width is null or place + ahead.many <= width
      ) as entering
     where runs.id = entering.id
    returning runs.id, job, scope, seq, due_at, rate
)
select id, job, scope, due_at from entered where rate is not null order by seq
"""


@asynccontextmanager
async def filling(connection: Connection, come: Sequence[Newcomer]) -> AsyncIterator[None]:
    """Within the block, which is one transaction, those that `come` may be stored; at its end the first ones go in.

    Without any the block is no transaction: the one statement in it is as good.
    """
    if not come:
        yield
        return
    async with transaction(connection):
        held = await lock(connection, ((each.job, each.scope) for each in come))
        for place, terms in {(each.job, each.scope): each.terms for each in come}.items():
            if tuple(held[place])[2:] != (kept := _kept(terms)):
                await connection.execute(SET_TERMS, *place, *kept)
        yield
        await policies.settle(connection, come)
        await promote(connection, held)


def _kept(terms: Terms) -> tuple[int | None, int | None, float | None]:
    """What a scope keeps of its job's terms, for those who do not know the job."""
    if terms.rate is None:
        return terms.limit, None, None
    return terms.limit, terms.rate.count, seconds(terms.rate.per)


async def promote(connection: Connection, scopes: Iterable[Scope]) -> None:
    """Queue the runs of each of `scopes`, locked before, that have few enough ahead of them, when its rate allows it.

    Ahead of a run are those that came before it and have not ended, so that one that was paused before its turn came
    keeps nobody out who was there before it.
    """
    wanted = list(scopes)
    if not wanted:
        return
    entered = await connection.fetch(PROMOTE, [job for job, _ in wanted], [scope for _, scope in wanted])
    if entered:
        await rates.space(connection, entered)
