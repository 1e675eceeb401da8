"""Search: runs that fit what is looked for, a page at a time, however many there are.

A page reads at most `SCAN` rows of the one index that fits best, in its order. What else is asked for is looked at in
those rows; if they do not fill the page, it says how far back it has looked, and the next page goes on from there.

A job's runs are asked for as what lies between two ends of the index of both columns: were the job told by itself, the
planner might read all runs in the order of their ids until it has met enough of that job. So are those in a state.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import asyncpg
from msgspec import Struct

from hookline.codec import first_uuid7
from hookline.store.database import Connection, transaction
from hookline.store.states import STATES, TERMINAL

SCAN = 10_000

NIL, LAST = UUID(int=0), UUID(int=2**128 - 1)

IN_ORDER = "set local enable_sort = off; set local enable_bitmapscan = off"
"""Have Postgres read from the index that gives the order: it cannot know how few it will have to look at."""


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
id, job, version, scope, state, priority, created_at, started_at, finished_at, due_at, delivery_id as delivery,
parent_id as parent, reason, attempt, worker_id as worker, forked_from, superseded_by, correlation, data_deletion
"""


class Wanted(Struct, frozen=True):
    """Which runs are meant: those that fit all that is said.

    Args:
        source: of the delivery that started them.
        since: when they were created at the earliest; their ids tell.
        is_ended: whether they have ended, if that matters.
    """

    run: UUID | None = None
    job: str | None = None
    state: str | None = None
    scope: str | None = None
    correlation: str | None = None
    source: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    is_ended: bool | None = None


async def runs(
    connection: Connection, wanted: Wanted, *, before: UUID | None = None, limit: int = 50, scan: int | None = None
) -> Found:
    """The newest runs that fit, without their data.

    Args:
        before: the last id of the page before.
        scan: rows that are looked at, at most; `SCAN` unless it is given.
    """
    scan = scan or SCAN
    leading, near = _near(wanted, before)
    far = {
        "job = {}": wanted.job,
        "state = {}": wanted.state,
        "scope = {}": wanted.scope,
        "correlation = {}": wanted.correlation,
        "(select source from hookline.deliveries where deliveries.id = delivery) = {}": wanted.source,
        "state = any({})": None if wanted.is_ended is None else _AMONG[wanted.is_ended],
    }
    values: list[Any] = []
    order = "".join(f"{column} desc, " for column in leading)
    candidates = f"from hookline.runs{_clause(near, values)} order by {order}id desc"
    given = len(values)
    looked = f"(select {_RUN} {candidates} limit {scan}) as looked{_clause(far, values)}"
    async with transaction(connection):
        await connection.execute(IN_ORDER)
        # What is filtered out of rows in an order leaves the others in it.
        rows = await connection.fetch(f"select * from {looked} limit {int(limit) + 1}", *values)  # noqa: S608 - constants
        if len(rows) > limit:
            return Found(rows[:limit], rows[limit - 1]["id"])
        if len(values) == given:
            return Found(rows)
        edge = f"select id, created_at as at {candidates} offset {scan - 1} limit 1"
        last = await connection.fetchrow(edge, *values[:given])
    return Found(rows) if last is None else Found(rows, last["id"], last["at"])


_AMONG = {True: list(TERMINAL), False: [state for state in STATES if state not in TERMINAL]}


def _near(wanted: Wanted, before: UUID | None) -> tuple[Sequence[str], dict[str, Any]]:
    """What one index is led by, of what is likely the rarest, and the conditions that it meets."""
    first = wanted.since and first_uuid7(wanted.since)
    behind = min((each for each in (before, wanted.until and first_uuid7(wanted.until)) if each), default=None)
    leading: tuple[str, ...]
    values: tuple[str, ...]
    if wanted.run is not None:
        return (), {"id = {}": wanted.run, "id < {}": behind}
    if wanted.job is not None and wanted.correlation is not None:
        leading, values, within = ("job", "correlation"), (wanted.job, wanted.correlation), "correlation is not null"
    elif wanted.state not in (None, "succeeded"):
        leading, values, within = ("left(state, 2)",), (wanted.state[:2],), "left(state, 2) <> 'su'"
    elif wanted.job is not None:
        leading, values, within = ("job",), (wanted.job,), "true"
    else:
        return (), {"id >= {}": first, "id < {}": behind}
    pair, marks = ", ".join([*leading, "id"]), ", ".join(["{}"] * (len(leading) + 1))
    return leading, {
        f"{within} and ({pair}) >= ({marks})": (*values, first or NIL),
        f"({pair}) < ({marks})": (*values, behind or LAST),
    }


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
    wanted = [row["delivery"] for row in rows if row["delivery"] is not None]
    return {row["id"]: row for row in await connection.fetch(WHENCE, wanted)} if wanted else {}
