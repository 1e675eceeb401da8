"""Idempotency: what was answered to requests with a key, each kept with the change that it tells of."""

from __future__ import annotations

import asyncpg

from hookline.store.database import Connection

LIFE = 24 * 3600.0
"""Seconds for which the same request with the same key is answered as the first was."""

LOCK = "select pg_try_advisory_xact_lock($1)"


async def lock(connection: Connection, id_: bytes) -> bool:
    """Have `id_` to oneself until this transaction ends, however it does; whether nobody else has."""
    return bool(await connection.fetchval(LOCK, int.from_bytes(id_[:8], "big", signed=True)))


FIND = """
select request, answer from hookline.idempotency where id = $1 and at > now() - make_interval(secs => $2)
"""


async def find(connection: Connection, id_: bytes) -> asyncpg.Record | None:
    """What was answered under `id_`, which is locked, and to which request."""
    return await connection.fetchrow(FIND, id_, LIFE)


KEEP = """
insert into hookline.idempotency (id, request, answer) values ($1, $2, $3)
on conflict (id) do update set request = excluded.request, answer = excluded.answer, at = now()
"""


async def keep(connection: Connection, id_: bytes, request: bytes, answer: bytes) -> None:
    """Keep what is answered, in the transaction of the change; an older one under `id_` has expired."""
    await connection.execute(KEEP, id_, request, answer)


RETIRE = """
delete from hookline.idempotency where id in (
    select id from hookline.idempotency where at <= now() - make_interval(secs => $1) order by at limit 1000
)
"""


async def retire(connection: Connection) -> bool:
    """Delete some of those that have expired; whether there were any."""
    return await connection.execute(RETIRE, LIFE) != "DELETE 0"
