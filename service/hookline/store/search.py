"""Search: runs that fit what a person looks for, a page at a time, however many there are.

A page reads at most `SCAN` rows of the one index that fits best, in its order. What else is asked for is looked at in
those rows; if they do not fill the page, it says how far back it has looked, and the next page goes on from there.

A job's runs are asked for as what lies between two ends of the index of both columns: were the job told by itself, the
planner might read all runs in the order of their ids until it has met enough of that job.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import asyncpg
from msgspec import Struct

from hookline.codec import first_uuid7
from hookline.store.database import Connection
from hookline.store.states import STATES

SCAN = 10_000

_INDEXED: dict[str, str] = {state: f"state = '{state}'" for state in STATES if state != "succeeded"}
"""The states for which an index is kept, said so that it fits; most runs have succeeded."""


class Found(Struct, frozen=True):
    """A page of what fits, the newest first.

    Args:
        next: the id behind which the next page begins; `None` if there is none.
        looked_at: when the oldest row came that was looked at, if the page ends there and not because it is full.
    """

    rows: list[asyncpg.Record]
    next: UUID | None = None
    looked_at: datetime | None = None


_RUN = """
id, job, version, scope, state, created_at, started_at, finished_at, due_at, delivery_id, parent_id, reason, attempt,
correlation
"""


async def runs(
    connection: Connection,
    *,
    job: str | None = None,
    state: str | None = None,
    scope: str | None = None,
    source: str | None = None,
    since: datetime | None = None,
    until: datetime | None = None,
    before: UUID | None = None,
    limit: int = 50,
) -> Found:
    """The newest runs that fit.

    Args:
        source: of the delivery that started them.
        since: when they were created at the earliest; their ids tell.
        before: the last id of the page before.
    """
    indexed = _INDEXED.get(state or "")
    near = _near("job", indexed, job, since, until, before)
    far = {
        "job = {}": job if indexed else None,
        "state = {}": None if indexed else state,
        "scope = {}": scope,
        "(select source from hookline.deliveries where deliveries.id = delivery_id) = {}": source,
    }
    order = "job desc, id desc" if job and not indexed else "id desc"
    return await _page(connection, "hookline.runs", order, _RUN, "created_at", near, far, limit)


def _near(
    column: str,
    indexed: str | None,
    name: str | None,
    since: datetime | None,
    until: datetime | None,
    before: UUID | None,
) -> dict[str, Any]:
    """The conditions that one index meets: what is `indexed`, or else whose `column` is `name`, between two ids."""
    first = since and first_uuid7(since)
    behind = min((each for each in (before, until and first_uuid7(until)) if each), default=None)
    if indexed is not None or name is None:
        return {indexed or "true": True if indexed else None, "id >= {}": first, "id < {}": behind}
    return {
        f"({column}, id) >= ({{}}, {{}})": (name, first or UUID(int=0)),
        f"({column}, id) < ({{}}, {{}})": (name, behind or UUID(int=2**128 - 1)),
    }


async def _page(
    connection: Connection,
    table: str,
    order: str,
    columns: str,
    moment: str,
    near: Mapping[str, Any],
    far: Mapping[str, Any],
    limit: int,
) -> Found:
    """A page of `table`: of the first rows that meet the conditions of `near`, those that also meet those of `far`."""
    values: list[Any] = []
    inner = _clause(near, values)
    given = len(values)
    outer = _clause(far, values)
    candidates = f"from {table}{inner} order by {order}"
    looked = f"(select * {candidates} limit {SCAN}) as looked"
    rows = await connection.fetch(
        f"select {columns} from {looked}{outer} order by {order} limit {limit + 1}",  # noqa: S608 - of constants
        *values,
    )
    if len(rows) > limit:
        return Found(rows[:limit], rows[limit - 1]["id"])
    last = await connection.fetchrow(
        f"select id, {moment} as at {candidates} offset {SCAN - 1} limit 1",
        *values[:given],
    )
    return Found(rows) if last is None else Found(rows, last["id"], last["at"])


def _clause(conditions: Mapping[str, Any], values: list[Any]) -> str:
    """The clause of those `conditions` that are given a value, which is added to `values`."""
    told: list[str] = []
    for condition, value in conditions.items():
        if value is None:
            continue
        given = value if isinstance(value, tuple) else (value,) if "{" in condition else ()
        told.append(condition.format(*(f"${len(values) + number}" for number in range(1, len(given) + 1))))
        values.extend(given)
    return f" where {' and '.join(told)}" if told else ""


WHENCE = "select id, source, type from hookline.deliveries where id = any($1)"


async def whence(connection: Connection, rows: Sequence[asyncpg.Record]) -> dict[UUID, asyncpg.Record]:
    """Source and type of the deliveries that started the runs `rows`, by their ids."""
    wanted = [row["delivery_id"] for row in rows if row["delivery_id"] is not None]
    return {row["id"]: row for row in await connection.fetch(WHENCE, wanted)} if wanted else {}
