"""Rates: the moments at which the runs of a scope may begin, if that has a rate."""

from __future__ import annotations

from bisect import insort
from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta

import asyncpg

from hookline.store.database import Connection

STARTS = """
select job, scope, starts, rate, per from hookline.scopes
  join unnest($1::text[], $2::text[]) as wanted (job, scope) using (job, scope)
"""

NOTE = "update hookline.scopes set starts = $3 where job = $1 and scope = $2"

MOVE = """
update hookline.runs set due_at = given.at from unnest($1::uuid[], $2::timestamptz[]) as given (id, at)
 where runs.id = given.id and runs.due_at <> given.at
"""


async def space(connection: Connection, entered: Sequence[asyncpg.Record]) -> None:
    """Put off the runs that have `entered` scopes with a rate, locked before, until they may begin."""
    by_scope = defaultdict(list)
    for row in entered:
        by_scope[row["job"], row["scope"]].append(row)
    names = [job for job, _ in by_scope], [scope for _, scope in by_scope]
    for scope in await connection.fetch(STARTS, *names):
        rows = by_scope[scope["job"], scope["scope"]]
        moments, starts = spaced(scope["starts"], [row["due_at"] for row in rows], scope["rate"], scope["per"])
        await connection.execute(NOTE, scope["job"], scope["scope"], starts)
        await connection.execute(MOVE, [row["id"] for row in rows], moments)


def spaced(
    starts: Iterable[datetime], wanted: Iterable[datetime], count: int, per: float
) -> tuple[list[datetime], list[datetime]]:
    """When those may begin that are due at `wanted`, and the starts to remember then.

    Args:
        starts: when those before them began, or will; of all of them the latest `2 * count`.
        per: seconds, in any span of which no more than `count` begin.

    Each is moved behind the span that the `count`-th latest opened, so the spans that it is in hold fewer than `count`
    others. Twice as many are remembered as that needs, so that some may be given back.
    """
    taken = sorted(starts)
    moments = []
    for at in wanted:
        moment = max(at, taken[-count] + timedelta(seconds=per)) if len(taken) >= count else at
        moments.append(moment)
        insort(taken, moment)
    return moments, taken[-2 * count :]


GIVE_BACK = """
update hookline.scopes
   set starts = array(select start from unnest(starts) as start where start <> all(gone.moments) order by start)
  from (
    select job, scope, array_agg(moment) as moments
      from unnest($1::text[], $2::text[], $3::timestamptz[]) as given (job, scope, moment) group by job, scope
  ) as gone
 where scopes.job = gone.job and scopes.scope = gone.scope and rate is not null
"""


async def give_back(connection: Connection, gone: Sequence[asyncpg.Record]) -> None:
    """Let others begin when those that are `gone` would have, in scopes that are locked."""
    names = [row["job"] for row in gone], [row["scope"] for row in gone]
    await connection.execute(GIVE_BACK, *names, [row["due_at"] for row in gone])
