"""Sessions: who has logged in with a browser, and until when."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

import asyncpg
from msgspec import Struct, field

from hookline.codec import uuid7
from hookline.store.database import Connection


class NewSession(Struct, frozen=True):
    """A session that begins: with a token, or with what a provider said of a person.

    Args:
        digest: of the token.
        issuer: who said it.
    """

    digest: bytes | None = None
    issuer: str | None = None
    name: str | None = None
    role: str | None = None
    id: UUID = field(default_factory=uuid7)


BEGIN = """
with gone as (delete from hookline.sessions where expires_at < now())
insert into hookline.sessions (id, digest, issuer, name, role, expires_at)
values ($1, $2, $3, $4, $5, now() + make_interval(secs => $6))
on conflict (id) do nothing
"""


async def begin(connection: Connection, new: NewSession, life: float) -> None:
    """Keep a session for `life` seconds, and none that has expired."""
    await connection.execute(BEGIN, new.id, new.digest, new.issuer, new.name, new.role, life)


END = "delete from hookline.sessions where id = $1"


async def end(connection: Connection, id_: UUID) -> None:
    """End a session, if there is such a one."""
    await connection.execute(END, id_)


ACTIVE = """
select s.id as credential, s.digest, s.issuer, coalesce(s.name, t.name) as name, coalesce(s.role, t.role) as role,
       extract(epoch from least(s.expires_at, t.expires_at) - now())::float8 as left
  from hookline.sessions s
  left join hookline.tokens t
    on t.digest = s.digest and t.revoked_at is null and (t.expires_at is null or t.expires_at > now())
 where s.id = any($1) and s.expires_at > now()
"""


async def active(connection: Connection, ids: Sequence[UUID]) -> list[asyncpg.Record]:
    """Those of the sessions that have not ended, with the seconds that each has left; without a name, if the token
    that one stands on is not kept here, or has ended.
    """
    return await connection.fetch(ACTIVE, ids)
