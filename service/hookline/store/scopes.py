"""Scopes: the rows on which the transactions that fill and empty a scope meet."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager

from hookline.store import policies
from hookline.store.database import Connection, transaction
from hookline.store.policies import Newcomer

Scope = tuple[str, str]
"""A job's name and the scope's own."""

ENSURE = """
insert into hookline.scopes (job, scope)
select job, scope from unnest($1::text[], $2::text[]) as wanted (job, scope) order by job, scope
on conflict do nothing
"""

LOCK = """
select from hookline.scopes
  join unnest($1::text[], $2::text[]) as wanted (job, scope) using (job, scope)
 order by job, scope for update of scopes
"""


async def lock(connection: Connection, scopes: Iterable[Scope]) -> list[Scope]:
    """Lock `scopes` for this transaction, in an order that all follow; returns them without repeats.

    Who is in them must be read in a later statement.
    """
    wanted = sorted(set(scopes))
    if wanted:
        names = [job for job, _ in wanted], [scope for _, scope in wanted]
        await connection.execute(ENSURE, *names)
        await connection.execute(LOCK, *names)
    return wanted


PROMOTE = """
update hookline.runs set state = 'queued', due_at = greatest(due_at, now())
 where id in (
    select head.id
      from unnest($1::text[], $2::text[]) as wanted (job, scope)
     cross join lateral (
        select id, state from hookline.runs
         where runs.job = wanted.job and runs.scope = wanted.scope
           and state in ('blocked', 'queued', 'running', 'waiting', 'paused')
         order by seq limit 1
     ) as head
     where head.state = 'blocked'
 )
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
        yield
        await policies.settle(connection, come)
        await promote(connection, held)


async def promote(connection: Connection, scopes: Iterable[Scope]) -> None:
    """Queue the first run of each of `scopes`, locked before, in which nobody is ahead of it."""
    wanted = list(scopes)
    if wanted:
        await connection.execute(PROMOTE, [job for job, _ in wanted], [scope for _, scope in wanted])
