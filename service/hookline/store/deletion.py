"""Deletion: a run's data, requested to be deleted and then deleted; its skeleton stays."""

from __future__ import annotations

from uuid import UUID

import asyncpg

from hookline.errors import IllegalTransition
from hookline.store import logs
from hookline.store.database import Connection, transaction
from hookline.store.signals import WAKE
from hookline.store.states import TERMINAL

STATE = "select state, data_deletion from hookline.runs where id = $1 for update"

REQUEST = "update hookline.runs set data_deletion = 'requested' where id = $1"


async def request(connection: Connection, run: UUID) -> str:
    """Have the data of `run` deleted soon; returns `requested`, or `done` if they are gone.

    Raises:
        LookupError: there is no such run.
        IllegalTransition: it has not ended.
    """
    async with transaction(connection):
        row = await connection.fetchrow(STATE, run)
        if row is None:
            raise LookupError(f"no run {run}")
        if row["state"] not in TERMINAL:
            raise IllegalTransition(f"run {run} is {row['state']}: only the data of one that has ended can be deleted")
        if row["data_deletion"] == "done":
            return "done"
        await connection.execute(REQUEST, run)
        await connection.execute(WAKE, "arrived")
    return "requested"


TAKE = """
select runs.id, runs.job, runs.claims, run_data.input, deliveries.body
  from hookline.runs join hookline.run_data on run_id = runs.id
  left join hookline.deliveries on deliveries.id = run_data.body_from
 where data_deletion = 'requested' order by runs.id limit 20 for update of runs skip locked
"""


async def take(connection: Connection) -> list[asyncpg.Record]:
    """Runs whose data are to be deleted, locked for this transaction."""
    return await connection.fetch(TAKE)


STATEMENTS = (
    """
    update hookline.run_data set input = $2, output = null, error = null, event = null, body_from = null
     where run_id = $1
    """,
    """
    update hookline.journal set output = null, error = null, arguments = null
     where run_id = $1 and $2::json is not null
    """,
    "update hookline.signals set data = null where run_id = $1 and $2::json is not null",
    """
    update hookline.deliveries set body = '', headers = '[]', events = null, subject = null
     where id in (select delivery_id from hookline.runs where id = $1
                   union all
                  select delivery_id from hookline.signals where run_id = $1 and name = 'next/event')
       and $2::json is not null
       and not exists (select from hookline.run_data join hookline.runs on runs.id = run_data.run_id
                        where body_from = deliveries.id and runs.delivery_id = deliveries.id)
    """,
    """
    update hookline.run_events set reason = null
     where run_id = $1 and reason is not null and $2::json is not null
    """,
    """
    update hookline.runs set data_deletion = 'done', reason = null where id = $1 and $2::json is not null
    """,
)


async def delete(connection: Connection, run: UUID, left: bytes) -> None:
    """Delete the data of `run`, which is locked; of its input `left` remains, JSON.

    The body of its delivery goes too, unless another run still reads it there.
    """
    for statement in STATEMENTS:
        await connection.execute(statement, run, left)
    await logs.delete(connection, run)
