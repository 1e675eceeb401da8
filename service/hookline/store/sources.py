"""Sources: the endpoints that were declared over the API, and their secrets, which Postgres only sees sealed."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from itertools import groupby

from msgspec import Struct

from hookline.source_settings import SourceSettings
from hookline.store.database import Connection, transaction

MOST_SECRETS = 10
"""Secrets of a source that are active at once: each delivery is held against all of them."""


class TooManySecrets(Exception):
    """A source would have more active secrets than are looked at."""


class KeptSecret(Struct, frozen=True):
    """A secret that is active.

    Args:
        id: its fingerprint, which each delivery records that it has proven.
        sealed: what it is, encrypted.
        expires_at: when it is active no more; `None` if that is not decided.
    """

    id: str
    sealed: bytes
    added_at: datetime
    expires_at: datetime | None


class KeptSource(Struct, frozen=True):
    """A source that is kept here.

    Args:
        options: how long its senders may wait, and what it may take, as `read_options` reads them.
        secrets: those that are active, the newest first.
    """

    name: str
    parser: str
    unsigned: bool
    options: Mapping[str, object]
    secrets: tuple[KeptSecret, ...]


class NewSecret(Struct, frozen=True):
    """A secret to be kept: its fingerprint, and what it is, encrypted."""

    id: str
    sealed: bytes


def about(source: str, id_: str) -> str:
    """What a sealed secret is bound to, so that it cannot be moved to another row."""
    return f"source {source} {id_}"


LOOK = """
select name, parser, unsigned, wait, max_body, max_in_flight, rate, allow, id, sealed, added_at, expires_at
  from hookline.sources
  left join hookline.source_secrets on source = name and (expires_at is null or expires_at > now())
 order by name, added_at desc, id
"""


async def look(connection: Connection) -> list[KeptSource]:
    """All sources that are kept, with their active secrets."""
    found = []
    for name, group in groupby(await connection.fetch(LOOK), key=lambda row: row["name"]):
        rows = list(group)
        options = {option: rows[0][option] for option in ("wait", "max_body", "max_in_flight", "rate", "allow")}
        secrets = tuple(
            KeptSecret(row["id"], row["sealed"], row["added_at"], row["expires_at"])
            for row in rows
            if row["id"] is not None
        )
        found.append(KeptSource(name, rows[0]["parser"], rows[0]["unsigned"], options, secrets))
    return found


SAVE = """
insert into hookline.sources (name, parser, unsigned, wait, max_body, max_in_flight, rate, allow)
values ($1, $2, $3, $4, $5, $6, $7, $8)
on conflict (name) do update
   set parser = excluded.parser, unsigned = excluded.unsigned, wait = excluded.wait, max_body = excluded.max_body,
       max_in_flight = excluded.max_in_flight, rate = excluded.rate, allow = excluded.allow, changed_at = now()
returning created_at = changed_at as new
"""

SWEEP = "delete from hookline.source_secrets where source = $1 and expires_at <= now()"

KEEP_ONLY = "delete from hookline.source_secrets where source = $1 and id <> all($2::text[])"

ADD = """
insert into hookline.source_secrets (source, id, sealed)
select $1, id, sealed from unnest($2::text[], $3::bytea[]) as given (id, sealed)
on conflict (source, id) do update set sealed = excluded.sealed, expires_at = null
"""

ACTIVE = """
select count(*) from hookline.source_secrets where source = $1 and (expires_at is null or expires_at > now())
"""


async def save(
    connection: Connection, given: SourceSettings, secrets: Sequence[NewSecret] | None, spare: NewSecret | None
) -> tuple[bool, bool]:
    """Keep a source as it is `given`, at once and whole; returns whether it is new, and whether `spare` was used.

    Args:
        secrets: those that are active from now on, and no others; `None` leaves them as they are.
        spare: used if it would have no active secret otherwise.
    """
    limits = given.limits
    async with transaction(connection):
        new: bool = await connection.fetchval(
            SAVE,
            given.name,
            given.parser,
            given.unsigned,
            given.wait,
            limits.max_body,
            limits.max_in_flight,
            None if limits.rate is None else str(limits.rate),
            [str(each) for each in limits.allow],
        )
        await connection.execute(SWEEP, given.name)
        if secrets is not None:
            await connection.execute(KEEP_ONLY, given.name, [each.id for each in secrets])
            await _add(connection, given.name, secrets)
        lacking = spare is not None and await connection.fetchval(ACTIVE, given.name) == 0
        if spare is not None and lacking:
            await _add(connection, given.name, [spare])
    return new, lacking


async def _add(connection: Connection, name: str, secrets: Sequence[NewSecret]) -> None:
    await connection.execute(ADD, name, [each.id for each in secrets], [each.sealed for each in secrets])


LOCK = "select unsigned from hookline.sources where name = $1 for update"

END_OTHERS = """
update hookline.source_secrets set expires_at = least(expires_at, now() + make_interval(secs => $3))
 where source = $1 and id <> $2
"""


async def rotate(connection: Connection, name: str, new: NewSecret, overlap: float) -> None:
    """Add a secret; the others are active for `overlap` seconds more, by this database's clock.

    Raises:
        LookupError: there is no such source, or it is unsigned.
        TooManySecrets: too many are active.
    """
    async with transaction(connection):
        if await connection.fetchval(LOCK, name) is not False:
            raise LookupError(name)
        await _add(connection, name, [new])
        await connection.execute(END_OTHERS, name, new.id, overlap)
        await connection.execute(SWEEP, name)
        if await connection.fetchval(ACTIVE, name) > MOST_SECRETS:
            raise TooManySecrets


async def lock(connection: Connection, name: str) -> None:
    """Keep everybody else from changing a source, if there is one, until this transaction ends."""
    await connection.execute(LOCK, name)


REMOVE = "delete from hookline.sources where name = $1 returning name"


async def remove(connection: Connection, name: str) -> bool:
    """Forget a source and its secrets; whether there was such a one."""
    return await connection.fetchval(REMOVE, name) is not None


SEALED = "select source, id, sealed from hookline.source_secrets order by source, id for update"

RESEAL = "update hookline.source_secrets set sealed = $3 where source = $1 and id = $2"


async def reseal(connection: Connection, again: Callable[[bytes, str], bytes | None]) -> int:
    """Replace each sealed secret by what `again` makes of it and of what it is bound to, if anything; how many."""
    changed = 0
    async with transaction(connection):
        for row in await connection.fetch(SEALED):
            if (sealed := again(row["sealed"], about(row["source"], row["id"]))) is not None:
                await connection.execute(RESEAL, row["source"], row["id"], sealed)
                changed += 1
    return changed
