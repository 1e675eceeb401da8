"""Correlation: events about what a run is open for are sent to that run, and taken back if it ends without them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING
from uuid import UUID

from hookline import codec
from hookline.codec import check_open
from hookline.events import NEXT_EVENT
from hookline.store import signals
from hookline.store.database import Connection

if TYPE_CHECKING:
    from hookline.store.runs import NewRun

OPEN = """
select wanted.id as wanted, runs.id
  from unnest($1::uuid[], $2::text[], $3::text[]) as wanted (id, job, correlation)
  join hookline.runs using (job, correlation)
 where finished_at is null
 order by runs.id for update of runs
"""

SEND = """
insert into hookline.signals (id, run_id, name, data, delivery_id, event_index)
select id, run_id, $6, data, delivery_id, event_index
  from unnest($1::uuid[], $2::uuid[], $3::json[], $4::uuid[], $5::smallint[])
       with ordinality as given (id, run_id, data, delivery_id, event_index, position)
 order by position
on conflict do nothing
"""


async def send(connection: Connection, wanted: Sequence[NewRun]) -> dict[UUID, UUID]:
    """Send the letters of runs that are `wanted` to the open runs about the same.

    Returns the ids of those by the ids of the runs that were wanted; where none is open, nothing was sent.
    """
    names = [each.id for each in wanted], [each.job for each in wanted], [each.correlation for each in wanted]
    open_ = {row["wanted"]: row["id"] for row in await connection.fetch(OPEN, *names)}
    sent = [each for each in wanted if each.id in open_]
    await connection.execute(
        SEND,
        [each.id for each in sent],
        [open_[each.id] for each in sent],
        [each.letter for each in sent],
        [each.delivery for each in sent],
        [each.event_index for each in sent],
        NEXT_EVENT,
    )
    await signals.ring(connection, set(open_.values()))
    return open_


_UNTAKEN = "run_id = any($1) and name = $2 and taken_by is null and data is not null"

LETTERS = f"""
select runs.job, data from hookline.signals join hookline.runs on runs.id = run_id where {_UNTAKEN}
"""  # noqa: S608 - a constant

TAKE_BACK = f"""
with untaken as (
    delete from hookline.signals using hookline.runs
     where runs.id = run_id and finished_at is not null and {_UNTAKEN}
    returning signals.seq, data
)
select data from untaken order by seq
"""  # noqa: S608 - a constant


async def scopes(connection: Connection, ending: Sequence[UUID]) -> list[tuple[str, str]]:
    """The scopes of the runs that will be wanted when the runs `ending` have ended."""
    rows = await connection.fetch(LETTERS, ending, NEXT_EVENT)
    found = {(row["job"], codec.decode(row["data"])["wanted"]["scope"]) for row in rows}
    return [(job, scope) for job, scope in found if scope is not None]


async def take_back(connection: Connection, ended: Sequence[UUID]) -> list[bytes]:
    """The letters to runs that have `ended` which these have not taken, in the order in which they came.

    Raises:
        Unsealable: one cannot be opened; nothing may be committed then.
    """
    letters = [row["data"] for row in await connection.fetch(TAKE_BACK, ended, NEXT_EVENT)]
    check_open(*letters)
    return letters
