"""Resealing: payloads are written again as the settings say now: under the first key, or plain."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import asyncpg
import msgspec
from msgspec import Struct

from hookline.codec import Unopened, first_uuid7
from hookline.payloads import Body, Payloads
from hookline.store import overview
from hookline.store.database import Connection
from hookline.store.feed import WINDOW
from hookline.store.journal import FANS

ROWS, BYTES = 500, 8 * 2**20
"""In one batch: rows that are looked at, and bytes of those, but for one that is larger alone."""


class Table(Struct, frozen=True):
    """A table with payload.

    Args:
        keys: the columns of its primary key, with their types.
        columns: those that hold payload, with their types.
        but: a condition of rows that are none.
    """

    keys: Mapping[str, str]
    columns: Mapping[str, str]
    but: str = "false"


_RUN, _DATA = {"run_id": "uuid"}, {"output": "json", "error": "json"}

TABLES = {
    "deliveries": Table({"id": "uuid"}, {"headers": "json", "events": "json", "bindings": "json", "body": "bytea"}),
    "run_data": Table(_RUN, {"event": "json", "input": "json", **_DATA}),
    "journal": Table({**_RUN, "key": "text"}, _DATA, f"kind = any('{{{','.join(FANS)}}}')"),
    "run_logs": Table({**_RUN, "key": "bigint"}, {"data": "json"}),
    "signals": Table({"id": "uuid"}, {"data": "json"}),
    "waits": Table({**_RUN, "key": "text", "type": "text"}, {"pattern": "json"}),
    "connectors": Table({"name": "text"}, {"cursor": "json"}),
}
"""All that holds payload. A column of JSON that is to be looked into by SQL, as `arrivals.types` is, holds none."""

_IS_SEALED = {
    "json": "starts_with({}::text, '\"hookline:1:')",
    "bytea": r"substring({} from 1 for 9) = '\xff00686b6c6e0d0a01'::bytea",
}
_IS_OURS = {
    "json": "starts_with({0}::text, '\"hookline:1:' || $1 || ':')",
    "bytea": r"(substring({0} from 1 for 9) = '\xff00686b6c6e0d0a01'::bytea"
    " and encode(substring({0} from 43 for 4), 'hex') = $1)",
}


class Place(Struct, frozen=True):
    """How far it has come: behind which row of which table."""

    table: str = "deliveries"
    after: tuple[str, ...] | None = None


class Progress(Struct, frozen=True):
    """What became of a batch.

    Args:
        next: where to go on; `None` if this was the last.
        seen: rows that were looked at.
        changed: those that were written again.
        unreadable: why some could not be, which stay as they are.
        young: deliveries that are too new to be touched: a reader of the feed might be told of them twice.
    """

    next: Place | None
    seen: int
    changed: int
    unreadable: Sequence[str] = ()
    young: int = 0


def page(name: str, *, is_first: bool) -> str:
    """The statement that looks at the next rows of a table, and reads those that are to be written again.

    Its parameters are the key's id, or nothing; the id of a delivery that is too new; and the row to go on behind.
    """
    table = TABLES[name]
    keys = ", ".join(table.keys)
    behind = ", ".join(f"${number}::{kind}" for number, kind in enumerate(table.keys.values(), 3))
    conditions = ["$2::uuid is not null"] + ([] if is_first else [f"({keys}) > ({behind})"])
    conditions += ["id < $2"] if name == "deliveries" else []
    size = " + ".join(f"coalesce(pg_column_size({column}), 0)" for column in table.columns)
    return f"""
with page as (
    select {keys}, {size} as size from hookline.{name} where {" and ".join(conditions)} order by {keys} limit {ROWS}
),
measured as (
    select {keys}, sum(size) over (order by {keys}) - size as before from page
)
select {keys}, {name}.xmin::text as version, {wanting(name)} as wanting,
       {", ".join(f"case when {wanting(name)} then {column} end as {column}" for column in table.columns)}
  from measured join hookline.{name} using ({keys}) where before < {BYTES}
 order by {keys}
"""  # noqa: S608 - constants


def wanting(name: str) -> str:
    """The condition that a row of a table is not as the settings say: `$1` is the id of the key, or empty for none."""
    table = TABLES[name]
    either = [
        f"{column} is not null and case when $1::text = '' then {_IS_SEALED[kind].format(column)}"
        f" else not {_IS_OURS[kind].format(column)} end"
        for column, kind in table.columns.items()
    ]
    return f"(not ({table.but}) and ({' or '.join(either)}))"


def writing(name: str) -> str:
    """The statement that writes rows of a table again which nobody has changed meanwhile."""
    table = TABLES[name]
    given = {**table.keys, **table.columns, "version": "text"}
    arrays = ", ".join(f"${number}::{kind}[]" for number, kind in enumerate(given.values(), 1))
    settings = ", ".join(f"{column} = given.{column}" for column in table.columns)
    same = " and ".join(f"{name}.{key} = given.{key}" for key in table.keys)
    return f"""
update hookline.{name} set {settings} from unnest({arrays}) as given ({", ".join(given)})
 where {same} and {name}.xmin::text = given.version
"""  # noqa: S608 - constants


YOUNG = f"select count(*) from hookline.deliveries where id >= $2::uuid and {wanting('deliveries')}"  # noqa: S608


async def step(connection: Connection, payloads: Payloads, place: Place) -> Progress:
    """Write a batch of rows again, of those that are not as `payloads` say; may be repeated, and done by several.

    A row that somebody changes meanwhile is left to them: who writes, writes as the settings say.
    """
    table = TABLES[place.table]
    key = payloads.seal.id if payloads.sealing else ""
    young = first_uuid7(await overview.now(connection) - WINDOW)
    statement = page(place.table, is_first=place.after is None)
    rows = await connection.fetch(statement, key, young, *(place.after or ()))
    wanted = [row for row in rows if row["wanting"]]
    why = {value.why for row in wanted for value in row.values() if type(value) is Unopened}
    writable = [row for row in wanted if any(row[each] is not None and _is_open(row[each]) for each in table.columns)]
    changed = await _write(connection, place.table, writable) if writable else 0
    if rows:
        after = tuple(str(rows[-1][each]) for each in table.keys)
        return Progress(Place(place.table, after), len(rows), changed, sorted(why))
    names = list(TABLES)
    following = names[names.index(place.table) + 1 :]
    if following:
        return Progress(Place(following[0]), 0, 0)
    return Progress(None, 0, 0, young=await connection.fetchval(YOUNG, key, young))


def _is_open(value: object) -> bool:
    return type(value) is not Unopened


async def _write(connection: Connection, name: str, rows: Sequence[asyncpg.Record]) -> int:
    table = TABLES[name]
    columns: list[list[Any]] = [[row[key] for row in rows] for key in table.keys]
    for column, kind in table.columns.items():
        values = [row[column] for row in rows]
        columns.append([Body(each) if kind == "bytea" else each for each in values])
    told = await connection.execute(writing(name), *columns, [row["version"] for row in rows])
    return int(told.rpartition(" ")[2])


def read_place(text: str) -> Place:
    """The place that was told as `text`; raises `ValueError`."""
    try:
        place = msgspec.json.decode(text, type=Place)
    except msgspec.DecodeError as error:
        raise ValueError(str(error)) from None
    table = TABLES.get(place.table)
    if table is None or (place.after is not None and len(place.after) != len(table.keys)):
        raise ValueError("no place")
    return place
