"""Search: runs that fit what a person looks for, a page at a time, however many there are.

A page reads at most `SCAN` rows of the one index that fits best, in its order. What else is asked for is looked at in
those rows; if they do not fill the page, it says how far back it has looked, and the next page goes on from there.

A job's runs are asked for as what lies between two ends of the index of both columns: were the job told by itself, the
planner might read all runs in the order of their ids until it has met enough of that job.
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


_INDEXES: tuple[tuple[str, ...], ...] = (
    ("subject",), ("tag",), ("job", "correlation"), ("state",), ("job",), ("source",),
)  # fmt: skip
"""What there is an index of, behind which it has the id; the ones that fit the fewest runs, as a rule, first."""

_CONDITIONS = {
    name: "tags @> array[{}::text]" if name == "tag" else f"{name} = {{}}"
    for name in ("job", "state", "scope", "correlation", "source", "subject", "tag")
}

_RUN = """
id, job, version, scope, state, created_at, started_at, finished_at, due_at, delivery_id, parent_id, reason, attempt,
correlation, source, subject, tags
"""

_TAGGED = "hookline.run_tags cross join lateral (select * from hookline.runs where id = run_id offset 0) as runs"
"""The runs of a tag, each looked up by its id, whatever the planner thinks of it."""


async def runs(
    connection: Connection,
    *,
    columns: str = _RUN,
    job: str | None = None,
    state: str | None = None,
    scope: str | None = None,
    correlation: str | None = None,
    source: str | None = None,
    subject: str | None = None,
    tag: str | None = None,
    since: datetime | None = None,
    until: datetime | None = None,
    before: UUID | None = None,
    limit: int = 50,
) -> Found:
    """The newest runs that fit.

    Args:
        source: of the delivery that started them, or what they descend from.
        subject: what that is about, such as a repository.
        tag: which they have; with `*` in it for any text, those that are looked at are compared with it.
        since: when they were created at the earliest; their ids tell.
        before: the last id of the page before.
    """
    exact = None if tag is None or "*" in tag else tag
    given = {"job": job, "state": state, "scope": scope, "correlation": correlation, "source": source,
             "subject": subject, "tag": exact}  # fmt: skip
    index = next((each for each in _INDEXES if all(_is_indexed(name, given[name]) for name in each)), ())
    near = _between(index, given, since, until, before)
    far = {condition: given[name] for name, condition in _CONDITIONS.items() if name not in index}
    far["exists (select from unnest(tags) as tag where tag like {})"] = _pattern(tag)
    order = [name for name in index if len(index) == 1 and name != "state"] + [_id(index)]
    table = _TAGGED if "tag" in index else "hookline.runs"
    return await _page(connection, table, order, columns, "created_at", near, far, limit)


def _is_indexed(name: str, value: str | None) -> bool:
    return value in _INDEXED if name == "state" else value is not None


def _pattern(tag: str | None) -> str | None:
    """What the texts are like that `tag` stands for, if it stands for several."""
    if tag is None or "*" not in tag:
        return None
    return re.sub(r"([\\%_])", r"\\\1", tag).replace("*", "%")


def _between(
    index: Sequence[str],
    given: Mapping[str, str | None],
    since: datetime | None,
    until: datetime | None,
    before: UUID | None,
) -> dict[str, Any]:
    """The conditions that one index meets: what is `given` of its columns, and behind them an id between two others."""
    first = since and first_uuid7(since)
    behind = min((each for each in (before, until and first_uuid7(until)) if each), default=None)
    if len(index) != 1 or index == ("state",):
        exactly = {_CONDITIONS[name]: given[name] for name in index if name != "state"}
        state = {_INDEXED[str(given["state"])]: True} if "state" in index else {}
        return exactly | state | {"id >= {}": first, "id < {}": behind}
    (column,) = index
    row = f"({column}, {_id(index)})"
    return {
        f"{row} >= ({{}}, {{}})": (given[column], first or UUID(int=0)),
        f"{row} < ({{}}, {{}})": (given[column], behind or UUID(int=2**128 - 1)),
        f"{column} is not null": True,
    }


def _id(index: Sequence[str]) -> str:
    """What the index calls a run's id."""
    return "run_id" if "tag" in index else "id"


async def _page(
    connection: Connection,
    table: str,
    ordered: Sequence[str],
    columns: str,
    moment: str,
    near: Mapping[str, Any],
    far: Mapping[str, Any],
    limit: int,
) -> Found:
    """A page of `table`: of the first rows that meet the conditions of `near`, those that also meet those of `far`."""
    order = ", ".join(f"{each} desc" for each in ordered)
    values: list[Any] = []
    inner = _clause(near, values)
    given = len(values)
    outer = _clause(far, values)
    candidates = f"from {table}{inner} order by {order}"
    looked = f"(select * {candidates} limit {SCAN}) as runs"
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
