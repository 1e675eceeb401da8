"""Definitions: the versions of jobs that are kept as data."""

from __future__ import annotations

from collections.abc import Callable

import asyncpg

from hookline.store.database import Connection, transaction

ALONE = "lock table hookline.definitions in share row exclusive mode"

NEWEST = "select name, version, source from hookline.definitions where name = $1 order by version desc limit 1"

ADD = "insert into hookline.definitions (name, version, source) values ($1, $2, $3)"

HINT = "select pg_notify('hookline', 'arrived')"

SINCE = "select seq, name, version, source from hookline.definitions where seq > $1 order by seq"

LISTED = """
select distinct on (name) name, version, source, created_at from hookline.definitions order by name, version desc
"""

VERSION = "select name, version, source, created_at from hookline.definitions where name = $1 and version = $2"


async def save(
    connection: Connection, name: str, source: str | None, check: Callable[[int | None], None]
) -> tuple[int, bool]:
    """Keep `source` as the newest version of `name`, or its end; returns the version, and whether that is new.

    Args:
        check: called with the version that there is; nothing is kept if it raises.

    Raises:
        LookupError: what is to end is not there.
    """
    async with transaction(connection):
        await connection.execute(ALONE)
        newest = await connection.fetchrow(NEWEST, name)
        is_there = newest is not None and newest["source"] is not None
        check(newest["version"] if is_there and newest is not None else None)
        if source is None and not is_there:
            raise LookupError(f"no definition {name}")
        if newest is not None and newest["source"] == source:
            return newest["version"], False
        version = 1 if newest is None else newest["version"] + 1
        await connection.execute(ADD, name, version, source)
        await connection.execute(HINT)
    return version, True


async def since(connection: Connection, seq: int) -> list[asyncpg.Record]:
    """What has changed after `seq`, the oldest first."""
    return await connection.fetch(SINCE, seq)


async def listed(connection: Connection) -> list[asyncpg.Record]:
    """The newest version of each that has not ended."""
    return [row for row in await connection.fetch(LISTED) if row["source"] is not None]


async def find(connection: Connection, name: str, version: int | None) -> asyncpg.Record | None:
    """A version of a definition, the newest unless said otherwise."""
    if version is None:
        row = await connection.fetchrow(NEWEST, name)
        return None if row is None or row["source"] is None else row
    return await connection.fetchrow(VERSION, name, version)
