"""Audit: who changed what, when and from where."""

from __future__ import annotations

from uuid import UUID

import asyncpg
from msgspec import Struct

from hookline.store.database import Connection
from hookline.store.views import where


class Entry(Struct, frozen=True):
    """A change that is about to be made.

    Args:
        who: the name of who makes it, and in which role.
        address: where from; `None` if that cannot be told.
        path: of the request, which names what is changed.
    """

    id: UUID
    who: str
    role: str
    address: str | None
    method: str
    path: str


BEGIN = """
insert into hookline.audit (id, who, role, address, method, path) values ($1, $2, $3, $4, $5, $6)
on conflict do nothing
"""


async def begin(connection: Connection, entry: Entry) -> None:
    """Note a change before it is made."""
    await connection.execute(BEGIN, entry.id, entry.who, entry.role, entry.address, entry.method, entry.path)


END = "update hookline.audit set status = $2 where id = $1"


async def end(connection: Connection, id_: UUID, status: int) -> None:
    """Note how a change was answered."""
    await connection.execute(END, id_, status)


LISTED = "select id, at, who, role, address, method, path, status from hookline.audit"


async def listed(connection: Connection, *, before: UUID | None, limit: int) -> list[asyncpg.Record]:
    """The newest changes; `before` is the last id of the page before."""
    clause, values = where({"id < {}": before})
    return await connection.fetch(f"{LISTED}{clause} order by id desc limit {int(limit)}", *values)
