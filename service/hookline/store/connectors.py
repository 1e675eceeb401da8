"""Connectors: how far each foreign stream was read, and who reads it."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

import asyncpg

from hookline.store.database import Connection

DECLARE = "insert into hookline.connectors (name) select unnest($1::text[]) on conflict do nothing"

TAKE = """
update hookline.connectors set owner = $2, expires_at = now() + make_interval(secs => $3)
 where name in (
    select name from hookline.connectors
     where name = any($1) and (owner is null or owner = $2 or expires_at < now())
     order by name for update skip locked
 )
returning name, cursor
"""


async def take(connection: Connection, names: Sequence[str], owner: UUID, lease: float) -> dict[str, bytes | None]:
    """Have `owner` read those of `names` that nobody reads, for `lease` seconds; returns their cursors, JSON."""
    await connection.execute(DECLARE, names)
    return {row["name"]: row["cursor"] for row in await connection.fetch(TAKE, names, owner, lease)}


RENEW = """
update hookline.connectors set expires_at = now() + make_interval(secs => $2)
 where owner = $1 and expires_at > now()
returning name
"""


async def renew(connection: Connection, owner: UUID, lease: float) -> list[str]:
    """Those that `owner` still reads, for `lease` seconds more."""
    return [row["name"] for row in await connection.fetch(RENEW, owner, lease)]


MOVE = """
update hookline.connectors
   set cursor = $3, items = items + $4, moved_at = now(), problem = null
 where name = $1 and owner = $2 and expires_at > now()
returning name
"""


async def move(connection: Connection, name: str, owner: UUID, cursor: bytes, items: int) -> bool:
    """Move the cursor behind `items` more; false if `owner` does not read it any more: then nothing may be written."""
    return await connection.fetchval(MOVE, name, owner, cursor, items) is not None


GIVE_UP = "update hookline.connectors set owner = null, problem = coalesce($3, problem) where name = $1 and owner = $2"


async def give_up(connection: Connection, name: str, owner: UUID, problem: str | None = None) -> None:
    """Let others read it, and tell why if something was wrong."""
    await connection.execute(GIVE_UP, name, owner, problem)


LISTED = """
select name, cursor, owner is not null and expires_at > now() as read, items, moved_at, problem
  from hookline.connectors order by name
"""


async def listed(connection: Connection) -> list[asyncpg.Record]:
    """All connectors that were ever declared."""
    return await connection.fetch(LISTED)
