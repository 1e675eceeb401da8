"""The feed: deliveries whole, the oldest first, in pages that miss none and repeat none, while more are stored.

Ids are made by clocks before their deliveries are committed, so behind the last id that somebody has seen others may
still turn up. Where a reader is, is therefore told by a snapshot of Postgres: the transactions that it has seen the end
of. What is visible now, and was not then, is new, whatever its id.

A page looks at no more than `SCAN` deliveries for those that fit, and the next goes on behind these.
"""

from __future__ import annotations

import base64
import re
from collections import defaultdict
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import asyncpg
import msgspec
from msgspec import Struct
from msgspec.structs import replace

from hookline.codec import check_open, first_uuid7
from hookline.store.database import Connection
from hookline.store.inbox import Filter
from hookline.store.runs import Letter
from hookline.store.search import NIL, SCAN
from hookline.store.views import where

WINDOW = timedelta(minutes=2)
"""From the moment in an id to its commit, at most: a statement may take a minute, and clocks are not quite alike."""

PAGE_BYTES = 8 * 2**20
"""Of bodies in one page, but for one that is larger alone."""

SNAPSHOT = re.compile(r"\d{1,19}:\d{1,19}:(?:\d{1,19}(?:,\d{1,19})*)?")


class Cursor(Struct, frozen=True):
    """Where a reader is: within a round, which is what became visible from one snapshot to another.

    Args:
        first: the lowest id that the round may have.
        seen: the snapshot up to which it has seen all; `None` at the beginning of time.
        upto: the snapshot up to which this round goes.
        next: the lowest id that the next round may have.
        after: the last id of this round that it has seen.
    """

    first: UUID
    seen: str | None
    upto: str
    next: UUID
    after: UUID | None = None

    def __str__(self) -> str:
        return base64.urlsafe_b64encode(msgspec.json.encode(self)).decode("ascii")

    @classmethod
    def read(cls, text: str) -> Cursor:
        """The cursor that was written as `text`; raises `ValueError`."""
        try:
            found = msgspec.json.decode(base64.b64decode(text, altchars=b"-_", validate=True), type=cls)
        except msgspec.DecodeError as error:
            raise ValueError(str(error)) from None
        if not all(SNAPSHOT.fullmatch(each) for each in (found.seen or found.upto, found.upto)):
            raise ValueError("no snapshot")
        return found


_WHEN = "pg_snapshot_xmax(pg_current_snapshot())::text::bigint"

_WRITTEN_BY = f"({_WHEN} - ({_WHEN} - deliveries.xmin::text::bigint) % 4294967296)::text::xid8"
"""The transaction that wrote a row as it is, of which the row itself keeps only the lower half."""

_UPTO = f" and (id < {{next}} or pg_visible_in_snapshot({_WRITTEN_BY}, {{upto}}::text::pg_snapshot))"
"""What the round has: also what was rewritten since, as by a replay, where the next round does not look any more."""

_PAGE = """
with page as (
    select id, hookline.body_size(body) as size from hookline.deliveries{clause} order by id limit {limit}
),
measured as (
    select id, sum(size) over (order by id) - size as before from page
)
select id, source, key, type, subject, status, reason, conflict_of, replay_of, received_at, secret, headers, body,
       bindings
  from measured join hookline.deliveries using (id) where before < {bytes}
 order by id
"""

NOW = "select pg_current_snapshot()::text as snapshot, now() as now"

STARTED = """
select delivery_id, runs.id, job, version, event_index as event, scope, priority, idempotency_key, correlation, input,
       body_from is not null as input_is_body, data_deletion, null::json as letter
  from hookline.runs join hookline.run_data on run_id = runs.id
 where delivery_id = any($1) and event_index >= 0
 union all
select signals.delivery_id, runs.id, job, null, signals.event_index, null, null, null, correlation, null, null,
       data_deletion, data
  from hookline.signals join hookline.runs on runs.id = run_id
 where signals.delivery_id = any($1) and data is not null
 order by delivery_id, event, job
"""
"""Also those that were open, and were sent what would have started another: with what that would have been."""


async def begin(connection: Connection, since: datetime | None) -> Cursor:
    """Where to read on from `since`, or from now."""
    snapshot, next_ = await _now(connection)
    if since is None:
        return Cursor(next_, snapshot, snapshot, next_)
    return Cursor(first_uuid7(since), None, snapshot, next_)


async def read(
    connection: Connection, cursor: Cursor, wanted: Filter, *, limit: int
) -> tuple[list[asyncpg.Record], Cursor, bool]:
    """Some of the next deliveries that fit, where to read on, and whether there may be more already."""
    rows, edge = await _page(connection, cursor, wanted, limit)
    if not rows and edge is None:
        cursor = await _next_round(connection, cursor)
        rows, edge = await _page(connection, cursor, wanted, limit)
    behind = rows[-1]["id"] if rows else edge
    return rows, cursor if behind is None else replace(cursor, after=behind), behind is not None


async def started(connection: Connection, deliveries: Iterable[UUID]) -> dict[UUID, list[dict[str, Any]]]:
    """By delivery, the runs that its events have started, with their inputs."""
    found: defaultdict[UUID, list[dict[str, Any]]] = defaultdict(list)
    for row in await connection.fetch(STARTED, list(deliveries)):
        told = dict(row)
        letter = told.pop("letter")
        found[told.pop("delivery_id")].append(told if letter is None else told | _wanted(letter))
    return found


def _wanted(letter: bytes) -> dict[str, Any]:
    """What the run would have been that was wanted when an open one was sent `letter`."""
    check_open(letter)
    wanted = msgspec.json.decode(letter, type=Letter).wanted
    told = {name: getattr(wanted, name) for name in ("version", "scope", "priority", "idempotency_key", "input")}
    return told | {"input_is_body": wanted.input is None}


async def _next_round(connection: Connection, ended: Cursor) -> Cursor:
    snapshot, next_ = await _now(connection)
    return Cursor(max(ended.first, ended.next), ended.upto, snapshot, next_)


async def _now(connection: Connection) -> tuple[str, UUID]:
    """A snapshot, and the lowest id that what becomes visible after it may have."""
    row = await connection.fetchrow(NOW)
    assert row is not None  # noqa: S101 - it always answers
    return row["snapshot"], first_uuid7(row["now"] - WINDOW)


EDGE = f"""
select id from hookline.deliveries where id >= $1 and id > $2 order by id offset {SCAN - 1} limit 1
"""  # noqa: S608 - a constant


async def _page(
    connection: Connection, cursor: Cursor, wanted: Filter, limit: int
) -> tuple[list[asyncpg.Record], UUID | None]:
    """What fits of the round's next rows, and the last of these, if not all of them were looked at."""
    if cursor.seen == cursor.upto:
        return [], None
    edge: UUID | None = await connection.fetchval(EDGE, cursor.first, cursor.after or NIL)
    clause, values = where(
        {
            "id >= {}": cursor.first,
            "id > {}": cursor.after,
            "id <= {}": edge,
            "source = {}": wanted.source,
            "key = {}": wanted.key,
            "status = {}": wanted.status,
            "subject = {}": wanted.subject,
            "(type = {0} or starts_with(type, {0} || '.'))": wanted.type,
            "id < {}": wanted.until and first_uuid7(wanted.until),
            f"not pg_visible_in_snapshot({_WRITTEN_BY}, {{}}::text::pg_snapshot)": cursor.seen,
        }
    )
    values += [cursor.next, cursor.upto]
    clause += _UPTO.format(next=f"${len(values) - 1}", upto=f"${len(values)}")
    statement = _PAGE.format(clause=clause, limit=int(limit), bytes=PAGE_BYTES)
    return await connection.fetch(statement, *values), edge
