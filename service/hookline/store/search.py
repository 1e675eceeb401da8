"""Search: runs that fit what is looked for, a page at a time, however many there are.

A page reads at most `SCAN` rows of the one index that fits best, in its order. What else is asked for is looked at in
those rows; if they do not fill the page, it says how far back it has looked, and the next page goes on from there.

A job's runs are asked for as what lies between two ends of the index of both columns: were the job told by itself, the
planner might read all runs in the order of their ids until it has met enough of that job. So are those in a state.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import asyncpg
from msgspec import Struct

from hookline.codec import first_uuid7
from hookline.store.database import Connection, transaction
from hookline.store.states import STATES, TERMINAL
from hookline.store.views import COLUMNS

SCAN = 10_000

NIL, LAST = UUID(int=0), UUID(int=2**128 - 1)

IN_ORDER = """
set local enable_sort = off; set local enable_incremental_sort = off; set local enable_bitmapscan = off
"""
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


_RUNS = "hookline.runs"

_TAGGED = "hookline.run_tags cross join lateral (select * from hookline.runs where id = run_id offset 0) as runs"
"""The runs of a tag, each looked up by its id, whatever the planner thinks of it."""


class Wanted(Struct, frozen=True):
    """Which runs are meant: those that fit all that is said.

    Args:
        source: of the delivery that started them, or what they descend from.
        subject: what that is about, such as a repository.
        tag: which they have; with `*` in it for any text, those that are looked at are compared with it.
        since: when they were created at the earliest; their ids tell.
        is_ended: whether they have ended, if that matters.
    """

    run: UUID | None = None
    job: str | None = None
    state: str | None = None
    scope: str | None = None
    correlation: str | None = None
    source: str | None = None
    subject: str | None = None
    tag: str | None = None
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
    table, leading, near = _near(wanted, before)
    far = {
        "job = {}": wanted.job,
        "state = {}": wanted.state,
        "scope = {}": wanted.scope,
        "correlation = {}": wanted.correlation,
        "source = {}": wanted.source,
        "subject = {}": wanted.subject,
        "tags @> array[{}::text]": _exact(wanted.tag),
        "exists (select from unnest(tags) as tag where tag like {})": _pattern(wanted.tag),
        "state = any({})": None if wanted.is_ended is None else _AMONG[wanted.is_ended],
    }
    values: list[Any] = []
    order = ", ".join(f"{column} desc" for column in leading)
    candidates = f"from {table}{_clause(near, values)} order by {order}"
    given = len(values)
    looked = f"(select {COLUMNS} {candidates} limit {scan}) as looked{_clause(far, values)}"
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


def _near(wanted: Wanted, before: UUID | None) -> tuple[str, Sequence[str], dict[str, Any]]:
    """What is read: of which table, in which order, and the conditions that one index meets.

    That is the index of what is likely the rarest of all that is asked for.
    """
    first = wanted.since and first_uuid7(wanted.since)
    behind = min((each for each in (before, wanted.until and first_uuid7(wanted.until)) if each), default=None)
    if wanted.run is not None:
        return _RUNS, ("id",), {"id = {}": wanted.run, "id < {}": behind}
    leading: tuple[str, ...]
    values: tuple[str, ...]
    table, id_, within = _RUNS, "id", "true"
    if wanted.subject is not None:
        leading, values, within = ("subject",), (wanted.subject,), "subject is not null"
    elif (tag := _exact(wanted.tag)) is not None:
        leading, values, table, id_ = ("tag",), (tag,), _TAGGED, "run_id"
    elif wanted.job is not None and wanted.correlation is not None:
        leading, values, within = ("job", "correlation"), (wanted.job, wanted.correlation), "correlation is not null"
    elif wanted.state not in (None, "succeeded"):
        leading, values, within = ("left(state, 2)",), (wanted.state[:2],), "left(state, 2) <> 'su'"
    elif wanted.job is not None:
        leading, values = ("job",), (wanted.job,)
    elif wanted.source is not None:
        leading, values, within = ("source",), (wanted.source,), "source is not null"
    else:
        return _RUNS, ("id",), {"id >= {}": first, "id < {}": behind}
    order = (*leading, id_)
    row, marks = ", ".join(order), ", ".join(["{}"] * len(order))
    return table, order, {
        f"{within} and ({row}) >= ({marks})": (*values, first or NIL),
        f"({row}) < ({marks})": (*values, behind or LAST),
    }  # fmt: skip


def _exact(tag: str | None) -> str | None:
    """`tag`, if it stands for itself."""
    return None if tag is None or "*" in tag else tag


def _pattern(tag: str | None) -> str | None:
    """What the texts are like that `tag` stands for, if it stands for several."""
    if tag is None or "*" not in tag:
        return None
    return re.sub(r"([\\%_])", r"\\\1", tag).replace("*", "%")


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
