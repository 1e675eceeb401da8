"""Reconciling: which of what a sender sent is there, and up to when that was looked into."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from hookline.codec import first_uuid7
from hookline.store.database import Connection

ARRIVED = """
select key from unnest($2::text[]) as wanted (key)
 where exists (select from hookline.deliveries
                where source = $1 and deliveries.key = wanted.key and conflict_of is null)
"""


async def arrived(connection: Connection, source: str, keys: Sequence[str]) -> set[str]:
    """Those of `keys` of which `source` has a delivery, whatever became of it."""
    return {row["key"] for row in await connection.fetch(ARRIVED, source, keys)}


OLDEST = "select received_at from hookline.deliveries where id >= $2 and source = $1 order by id limit 1"


async def oldest(connection: Connection, source: str, since: datetime) -> datetime | None:
    """When the first delivery of `source` came that is not older than `since`; `None` if none is."""
    found: datetime | None = await connection.fetchval(OLDEST, source, first_uuid7(since))
    return found


LAST = """
select output from hookline.run_data
 where run_id = (select id from hookline.runs
                  where (job, id) >= ($1, '00000000-0000-0000-0000-000000000000')
                    and (job, id) <= ($1, 'ffffffff-ffff-ffff-ffff-ffffffffffff') and state = 'succeeded'
                  order by job desc, id desc limit 1)
"""
"""So said that no index but that of jobs fits: the newest run of this one may be far behind those of others."""


async def last(connection: Connection, job: str) -> bytes | None:
    """What the newest run of `job` that succeeded returned, JSON; `None` if there is none, or it was deleted."""
    found: bytes | None = await connection.fetchval(LAST, job)
    return found
