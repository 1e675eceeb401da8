"""Repeats: deliveries whose key is there already, and what becomes of them."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any
from uuid import UUID

import asyncpg
from msgspec import Struct
from msgspec.structs import replace

from hookline.payloads import digests
from hookline.store import large, runs, waits
from hookline.store.database import Connection
from hookline.store.delivery import (
    FETCHED,
    FRESH,
    Alarm,
    NewDelivery,
    Status,
    Stored,
    happened,
    parameters,
    starting,
    under,
)

KEEP = f"with {FRESH} select id from fresh"  # noqa: S608 - a constant

FIRST = f"""
select wanted.id as wanted, first.id, first.status, first.reason,
       hookline.body_digest(first.body) in (wanted.digest, wanted.packed) as same,
       hookline.body_size(first.body) = wanted.size as alike,
       '{FETCHED}' in (first.secret, wanted.secret) as fetched,
       exists (select from hookline.deliveries as itself
                where itself.id = wanted.id and itself.id <> first.id and itself.status = 'quarantined') as renamed
  from unnest($1::uuid[], $2::text[], $3::text[], $4::bytea[], $5::bytea[], $6::integer[], $7::text[])
       as wanted (id, source, key, digest, packed, size, secret)
 cross join lateral (
    select * from hookline.deliveries where source = wanted.source and key = wanted.key and conflict_of is null
     union all
    select * from hookline.deliveries where deliveries.id = wanted.id
     limit 1
 ) as first
"""  # noqa: S608 - a constant

BESIDE = """
select wanted.id as wanted, deliveries.id
  from unnest($1::uuid[], $2::text[], $3::text[], $4::bytea[], $5::bytea[]) as wanted (id, source, key, digest, packed)
  join hookline.deliveries on deliveries.source = wanted.source and deliveries.key = wanted.key
   and hookline.body_digest(deliveries.body) in (wanted.digest, wanted.packed)
 where conflict_of is not null
"""

BODY = "select body from hookline.deliveries where id = $1"

RECONSIDER = """
with again as (
    update hookline.deliveries
       set key = given.key, conflict_of = given.conflict_of, status = given.status, reason = given.reason,
           type = given.type, events = given.events, mixed = given.mixed, bindings = given.bindings,
           subject = given.subject
      from unnest($1::uuid[], $2::text[], $3::uuid[], $4::text[], $5::text[], $6::text[], $7::json[], $8::bool[],
                  $9::json[], $10::text[])
           as given (id, key, conflict_of, status, reason, type, events, mixed, bindings, subject)
     where deliveries.id = given.id and deliveries.status = 'quarantined'
    returning deliveries.id, source, deliveries.type, deliveries.status, deliveries.reason
)
insert into hookline.run_events (delivery_id, source, type, state, reason)
select id, source, type, status, reason from again
returning delivery_id
"""

TWICE = """
with twice as (
    update hookline.deliveries
       set status = 'ignored', reason = 'the same came under its own key as delivery ' || given.first
      from unnest($1::uuid[], $2::uuid[]) as given (id, first)
     where deliveries.id = given.id and deliveries.status = 'quarantined'
    returning deliveries.id, source, type, deliveries.status, deliveries.reason
)
insert into hookline.run_events (delivery_id, source, type, state, reason)
select id, source, type, status, reason from twice
"""

RUNS_OF = """
select delivery_id, id, event_index from hookline.runs where delivery_id = any($1) and event_index >= 0
 union all
select delivery_id, run_id, event_index from hookline.signals where delivery_id = any($1) and data is not null
 order by event_index
"""


class First(Struct, frozen=True):
    """What is there under the key, or the id, of one that comes again.

    Args:
        same: whether its body is.
        fetched: whether one of both was had from the sender's API, which writes the same thing differently.
        renamed: whether the other is there as well, in quarantine, under a key that was not its own.
    """

    id: UUID
    status: Status
    reason: str | None
    same: bool
    fetched: bool
    renamed: bool

    @property
    def is_tried(self) -> bool:
        """Whether it is tried again, as it is in quarantine."""
        return self.same and self.status == "quarantined"

    @property
    def conflicts(self) -> bool:
        """Whether the sender sent both, and they are not the same."""
        return not self.same and not self.fetched


CONFLICT = "another body came under the same key before"


async def store_again(connection: Connection, repeated: Sequence[NewDelivery], alarm: Alarm) -> dict[UUID, Stored]:
    """What becomes of deliveries whose source and key, or whose id, are there already.

    One that was quarantined under a digest, as nothing could identify it, is there by its id when it is tried again,
    and takes its own key; unless something has come under that meanwhile, which it is then a repetition of. Those whom
    another transaction overtook are left out, to be looked at anew.

    Raises:
        UniqueViolationError: the key that one was to take has come in this moment; it is there when all is repeated.
    """
    firsts = await _firsts(connection, repeated)
    tried = [each for each in repeated if firsts[each.id].is_tried]
    again = await _reconsider(connection, [under(each, firsts[each.id].id) for each in tried])
    await waits.arrive(connection, happened(list(again.values())))
    beside = await _keep_beside(connection, [each for each in repeated if firsts[each.id].conflicts], firsts)
    await runs.create(connection, starting((*again.values(), *beside.values()), alarm))
    started = await _started(connection, [first.id for first in firsts.values()])

    def outcome(each: NewDelivery) -> Stored | None:
        first = firsts[each.id]
        if first.conflicts:
            kept = beside.get(each.id)
            return None if kept is None else Stored(kept.id, "conflict", CONFLICT, kept.id != each.id, ())
        now = again.get(first.id)
        if now is None and first.is_tried:
            return None
        status, reason = (now.status, now.told) if now else (first.status, first.reason)
        return Stored(first.id, status, reason, first.id != each.id, started.get(first.id, ()))

    settled = {each.id: stored for each in repeated if (stored := outcome(each)) is not None}
    twice = [(id_, stored.id) for id_, stored in settled.items() if firsts[id_].renamed and stored.id != id_]
    if twice:
        await connection.execute(TWICE, *map(list, zip(*twice, strict=True)))
    return settled


async def _firsts(connection: Connection, repeated: Sequence[NewDelivery]) -> dict[UUID, First]:
    """By the id of each of `repeated`, what was there before it."""
    sizes, secrets = [len(each.body) for each in repeated], [each.secret for each in repeated]
    bodies = {each.id: each.body for each in repeated}

    async def is_same(row: asyncpg.Record) -> bool:
        if row["same"] or not row["alike"]:
            return bool(row["same"])
        return bool(await connection.fetchval(BODY, row["id"]) == bodies[row["wanted"]])  # it may be packed differently

    rows = await connection.fetch(FIRST, *await _identifying(repeated), sizes, secrets)
    return {
        row["wanted"]: First(
            row["id"], row["status"], row["reason"], await is_same(row), row["fetched"], row["renamed"]
        )
        for row in rows
    }  # fmt: skip


async def _identifying(new: Sequence[NewDelivery]) -> tuple[list[Any], ...]:
    """What is asked of those whose key is there; digests go for the body, which may be large."""
    found = await asyncio.to_thread(lambda: [digests(each.body) for each in new])
    return (
        [each.id for each in new], [each.source for each in new], [each.key for each in new],
        [whole for whole, _ in found], [small for _, small in found],
    )  # fmt: skip


async def _reconsider(connection: Connection, tried: Iterable[NewDelivery]) -> dict[UUID, NewDelivery]:
    """Make each of `tried` that is in quarantine what it is now; returns these, by their ids.

    Of several that are to have one key only one is: the others find it there.
    """
    again = {(each.source, each.key): each for each in tried}.values()
    if not again:
        return {}
    rows = await connection.fetch(
        RECONSIDER,
        [each.id for each in again],
        [each.key for each in again],
        [each.conflict_of for each in again],
        [each.status for each in again],
        [each.told for each in again],
        [each.type for each in again],
        [None if each.events is None else b"".join(each.events) for each in again],
        [each.mixed for each in again],
        [each.bindings for each in again],
        [each.subject for each in again],
    )
    done = {row["delivery_id"] for row in rows}
    return {each.id: each for each in again if each.id in done}


async def _keep_beside(
    connection: Connection, other: Sequence[NewDelivery], firsts: Mapping[UUID, First]
) -> dict[UUID, NewDelivery]:
    """By the id of each of `other`, what is kept of it: itself, or the same body that is there already."""
    if not other:
        return {}
    kept = [
        replace(each, status="conflict", reason=CONFLICT, bare=None, conflict_of=firsts[each.id].id, runs=())
        for each in other
    ]
    identifying = await _identifying(other)
    there = {row["wanted"] for row in await connection.fetch(BESIDE, *identifying)}
    for each in [each for each in kept if each.id not in there]:
        if firsts[each.id].renamed:
            await _reconsider(connection, [each])
        else:
            await (
                large.keep(connection, each) if large.streams(each) else connection.execute(KEEP, *parameters([each]))
            )
    ids = {row["wanted"]: row["id"] for row in await connection.fetch(BESIDE, *identifying)}
    return {each.id: under(each, ids[each.id]) for each in kept if each.id in ids}


async def _started(connection: Connection, deliveries: Sequence[UUID]) -> dict[UUID, tuple[UUID, ...]]:
    started: defaultdict[UUID, list[UUID]] = defaultdict(list)
    for row in await connection.fetch(RUNS_OF, deliveries) if deliveries else ():
        started[row["delivery_id"]].append(row["id"])
    return {delivery: tuple(runs) for delivery, runs in started.items()}
