"""Logs: the lines that runs have said, written along with what they commit, and read by page."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, Literal
from uuid import UUID

import asyncpg
from msgspec import Struct

from hookline.store.database import Connection
from hookline.store.views import where

LEVELS = {"debug": 10, "info": 20, "warning": 30, "error": 40, "critical": 50}

DROPPED = 0
"""The key of the row that counts the lines of a run that were dropped."""


class Line(Struct, frozen=True):
    """One line of a run.

    Args:
        key: the same of a line that is said again by a replay.
        claim: the claim of the run that it was said under, and `number`, which line of that claim it is, from 1.
        at: when it was said, by the database's clock, in seconds since the epoch.
        level: of `LEVELS`.
        kind: `call` of a request to others.
        step: the key of the step that said it; `None` if the job did.
        attempt: which try of the step.
        data: JSON `{event, fields}`.
    """

    run: UUID
    key: int
    claim: int
    number: int
    at: float
    level: int
    kind: Literal["log", "call"]
    step: str | None
    attempt: int | None
    data: bytes


# Written

WRITE = """
insert into hookline.run_logs (run_id, key, claim, number, at, level, kind, step, attempt, data)
select run_id, key, claim, number, to_timestamp(at), level, kind, step, attempt, data
  from unnest($1::uuid[], $2::bigint[], $3::int[], $4::int[], $5::float8[], $6::smallint[], $7::text[], $8::text[],
              $9::smallint[], $10::json[])
       as given (run_id, key, claim, number, at, level, kind, step, attempt, data)
on conflict do nothing
"""

COUNT = "select run_id, count(*) from hookline.run_logs where run_id = any($1) and key <> 0 group by run_id"

DROP = f"""
insert into hookline.run_logs (run_id, key, claim, number, level, kind)
select run_id, {DROPPED}, 0, dropped, 30, 'dropped' from unnest($1::uuid[], $2::int[]) as given (run_id, dropped)
on conflict (run_id, key) do update set number = run_logs.number + excluded.number, at = excluded.at
"""  # noqa: S608 - a constant


async def write(connection: Connection, lines: Sequence[Line], dropped: Mapping[UUID, int], most: int) -> None:
    """Write `lines`, in a transaction that fenced the worker, and count those of each run that were `dropped`.

    What is there already stays: it was said before. Of a run that other claims have spoken for, all together have
    `most` lines; should an answer of Postgres be lost, what is dropped then may be counted twice.
    """
    resumed = list({each.run for each in lines if each.claim > 1})
    left = dict.fromkeys(resumed, most)
    if resumed:
        left |= {row["run_id"]: most - row["count"] for row in await connection.fetch(COUNT, resumed)}
    kept, over = list[Line](), Counter(dropped)
    for line in lines:
        room = left.get(line.run)
        if room is None or room > 0:
            kept.append(line)
        else:
            over[line.run] += 1
        if room is not None:
            left[line.run] = room - 1
    if kept:
        await connection.execute(
            WRITE,
            [each.run for each in kept],
            [each.key for each in kept],
            [each.claim for each in kept],
            [each.number for each in kept],
            [each.at for each in kept],
            [each.level for each in kept],
            [each.kind for each in kept],
            [each.step for each in kept],
            [each.attempt for each in kept],
            [each.data for each in kept],
        )
    if over:
        await connection.execute(DROP, list(over), list(over.values()))


# Read

_LINE = "claim, number, at, level, kind, step, attempt, data"


async def of_run(
    connection: Connection,
    run: UUID,
    *,
    level: int | None = None,
    step: str | None = None,
    kind: str | None = None,
    after: tuple[int, int] = (0, 0),
    limit: int = 200,
) -> list[asyncpg.Record]:
    """The lines of `run` that fit, in the order in which they were said.

    Args:
        level: the least.
        step: a step's key, or a path that steps are under.
        after: claim and number of the last line of the page before.
    """
    rows, values = _fitting(run, level, step, kind)
    values += after
    return await connection.fetch(
        f"{rows} and (claim, number) > (${len(values) - 1}, ${len(values)}) order by claim, number limit {int(limit)}",
        *values,
    )


async def last_of_run(
    connection: Connection,
    run: UUID,
    *,
    level: int | None = None,
    step: str | None = None,
    kind: str | None = None,
    limit: int = 200,
) -> list[asyncpg.Record]:
    """The last lines of `run` that fit, in the order in which they were said; what is asked is as of `of_run`."""
    rows, values = _fitting(run, level, step, kind)
    return (await connection.fetch(f"{rows} order by claim desc, number desc limit {int(limit)}", *values))[::-1]


def _fitting(run: UUID, level: int | None, step: str | None, kind: str | None) -> tuple[str, list[Any]]:
    """The rows of lines that fit, of which a run has so few that they are sorted when they are asked for."""
    clause, values = where(
        {
            "run_id = {}": run,
            "level >= {}": level,
            "kind = {}": kind,
            "(step = {0} or starts_with(step, {0} || '/'))": step,
        }
    )
    return f"select {_LINE} from hookline.run_logs{clause} and key <> {DROPPED}", values  # noqa: S608 - of constants


DROPPED_OF = f"select number from hookline.run_logs where run_id = $1 and key = {DROPPED}"  # noqa: S608 - a constant


async def dropped(connection: Connection, run: UUID) -> int:
    """How many lines of `run` were dropped, because it has said so many."""
    return await connection.fetchval(DROPPED_OF, run) or 0


# Deleted

DELETE = "delete from hookline.run_logs where run_id = $1"

RETIRE = """
delete from hookline.run_logs
 where ctid = any(array(select ctid from hookline.run_logs where at < now() - make_interval(secs => $1)
                         order by at limit $2))
"""

MOST_AT_ONCE = 5000


async def delete(connection: Connection, run: UUID) -> None:
    """Delete all that `run` has said."""
    await connection.execute(DELETE, run)


async def retire(connection: Connection, kept: float) -> bool:
    """Delete some of the lines that were said more than `kept` seconds ago; whether there may be more."""
    return await connection.execute(RETIRE, kept, MOST_AT_ONCE) == f"DELETE {MOST_AT_ONCE}"
