"""Tokens: what people and programs use the API with; kept as digests."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

import asyncpg
from msgspec import Struct

from hookline.store.database import Connection


class NewToken(Struct, frozen=True):
    """A token that is to be made.

    Args:
        digest: the SHA-256 of the token itself.
        life: seconds until it expires; `None` if it never does.
    """

    id: UUID
    name: str
    role: str
    digest: bytes
    created_by: str
    life: float | None = None


_SHOWN = "id, name, role, created_at, created_by, expires_at, revoked_at"

MAKE = f"""
insert into hookline.tokens (id, name, role, digest, created_by, expires_at)
values ($1, $2, $3, $4, $5, now() + make_interval(secs => $6))
on conflict (id) do nothing
returning {_SHOWN}
"""  # noqa: S608 - a constant


async def make(connection: Connection, new: NewToken) -> asyncpg.Record | None:
    """Keep a new token; `None` if one with that id is kept already."""
    return await connection.fetchrow(MAKE, new.id, new.name, new.role, new.digest, new.created_by, new.life)


ACTIVE = """
select digest as credential, name, role, extract(epoch from expires_at - now())::float8 as left from hookline.tokens
 where digest = any($1) and revoked_at is null and (expires_at is null or expires_at > now())
"""


async def active(connection: Connection, digests: Sequence[bytes]) -> list[asyncpg.Record]:
    """Those of the tokens with these digests that are not revoked and have not expired, with the seconds that each has
    left.
    """
    return await connection.fetch(ACTIVE, digests)


REVOKE = "update hookline.tokens set revoked_at = coalesce(revoked_at, now()) where id = $1 returning id"


async def revoke(connection: Connection, id_: UUID) -> bool:
    """End a token; whether there is such a one."""
    return await connection.fetchval(REVOKE, id_) is not None


LISTED = f"select {_SHOWN} from hookline.tokens order by id"  # noqa: S608 - a constant


async def listed(connection: Connection) -> list[asyncpg.Record]:
    """All tokens, the oldest first, without their digests."""
    return await connection.fetch(LISTED)


ANY = """
select exists (
    select from hookline.tokens where revoked_at is null and (expires_at is null or expires_at > now())
)
"""


async def are_there(connection: Connection) -> bool:
    """Whether anybody can use the API with a token that is kept here."""
    return bool(await connection.fetchval(ANY))
