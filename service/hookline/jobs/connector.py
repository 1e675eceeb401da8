"""A connector: a foreign stream, read from where it was left, each item of which starts runs or wakes them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import asyncpg

from hookline import codec
from hookline.events import Event, Trigger
from hookline.spans import Seconds, seconds


@dataclass(frozen=True, slots=True)
class Item:
    """One item of a stream.

    Args:
        cursor: where the stream goes on behind it, as JSON builtins; no two items have the same.
        what: an event, which is kept as a delivery, or a request for a run.
    """

    cursor: Any
    what: Event | Trigger


Stream = Callable[[Any], AsyncIterator[Item]]
"""Reads a stream behind a cursor; `None` is its beginning."""


@dataclass(frozen=True, slots=True)
class Connector:
    """What a user declared with `@app.connector`."""

    name: str
    stream: Stream


def rows(dsn: str, table: str, *, key: str = "id", type: str | None = None, every: Seconds = 1.0) -> Stream:  # noqa: A002
    """Reads the rows that are inserted into a table of a Postgres, as events whose data is the row.

    A row is read once every transaction that was under way when it was seen has ended, lest one with a lower key comes
    later. Rows that are changed or deleted are no items.

    Args:
        table: its name, as SQL has it.
        key: a column that grows with each row, such as an identity.
        type: of the events; `table.<name>` unless said otherwise.
        every: the pause between two looks.
    """
    statement = f"""
    select {key} as cursor, row_to_json(found)::text as data from {table} as found
     where ($1::text is null or {key} > ($1::text)::bigint)
       and found.xmin::text::bigint < (pg_snapshot_xmin(pg_current_snapshot())::text::bigint & 4294967295)
     order by {key} limit 100
    """  # noqa: S608 - names that the application's author wrote

    async def stream(cursor: Any) -> AsyncIterator[Item]:
        connection = await asyncpg.connect(dsn, command_timeout=60)
        try:
            while True:
                found = await connection.fetch(statement, None if cursor is None else str(cursor))
                for row in found:
                    cursor = row["cursor"]
                    data = codec.decode(row["data"])
                    yield Item(cursor, Event(type or f"table.{table}", key=str(cursor), data=data))
                if not found:
                    await asyncio.sleep(seconds(every))
        finally:
            await connection.close(timeout=5)

    return stream


def files(directory: str | Path, pattern: str = "*.json", *, type: str = "file", every: Seconds = 1.0) -> Stream:  # noqa: A002
    """Reads the files that come into a directory, as events with `{"name", "path", "content"}`.

    Move a file there when it is whole. JSON is read as such, anything else as text. The order is that in which the
    files came, by the moment of their last change of name or content.

    Args:
        pattern: which names count.
        type: of the events.
        every: the pause between two looks.
    """

    async def stream(cursor: Any) -> AsyncIterator[Item]:
        last = (0, "") if cursor is None else (int(cursor[0]), str(cursor[1]))
        while True:
            for moment, name in await asyncio.to_thread(_arrived, Path(directory), pattern, last):
                last = (moment, name)
                path = Path(directory) / name
                content = await asyncio.to_thread(_content, path)
                if content is not None:
                    data = {"name": name, "path": str(path), "content": content}
                    yield Item([moment, name], Event(type, key=name, data=data, fields={"name": name}))
            await asyncio.sleep(seconds(every))

    return stream


def _arrived(directory: Path, pattern: str, last: tuple[int, str]) -> list[tuple[int, str]]:
    found = []
    for path in directory.glob(pattern):
        try:
            moment = path.stat().st_ctime_ns
        except OSError:  # it was taken away meanwhile
            continue
        if path.is_file() and (moment, path.name) > last:
            found.append((moment, path.name))
    return sorted(found)


def _content(path: Path) -> Any:
    try:
        content = path.read_bytes()
    except OSError:
        return None
    if path.suffix == ".json":
        try:
            return codec.decode(content)
        except codec.Undecodable:
            pass
    return content.decode("utf-8", "replace").replace("\0", "�")
