"""Repeats: deliveries whose key is there already, and what becomes of them."""

from __future__ import annotations

import asyncio
import hashlib
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any
from uuid import UUID

import asyncpg
from msgspec.structs import replace

from hookline.store import large, runs, waits
from hookline.store.database import Connection
from hookline.store.delivery import FETCHED, FRESH, Alarm, NewDelivery, Stored, happened, parameters, starting, under

KEEP = f"with {FRESH} select id from fresh"  # noqa: S608 - a constant

FIRST = f"""
select wanted.id as wanted, first.id, first.status, first.reason,
       hookline.body_digest(first.body) = wanted.digest as same,
       hookline.body_digest(first.body) <> wanted.digest
       and '{FETCHED}' not in (first.secret, wanted.secret) as conflicting,
       exists (select from hookline.deliveries as itself
                where itself.id = wanted.id and itself.id <> first.id and itself.status = 'quarantined') as renamed
  from unnest($1::uuid[], $2::text[], $3::text[], $4::bytea[], $5::text[]) as wanted (id, source, key, digest, secret)
 cross join lateral (
    select * from hookline.deliveries where source = wanted.source and key = wanted.key and conflict_of is null
     union all
    select * from hookline.deliveries where deliveries.id = wanted.id
     limit 1
 ) as first
"""  # noqa: S608 - a constant

BESIDE = """
select wanted.id as wanted, deliveries.id
  from unnest($1::uuid[], $2::text[], $3::text[], $4::bytea[]) as wanted (id, source, key, digest)
  join hookline.deliveries on deliveries.source = wanted.source and deliveries.key = wanted.key
   and hookline.body_digest(deliveries.body) = wanted.digest
 where conflict_of is not null
"""

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


CONFLICT = "another body came under the same key before"


async def store_again(connection: Connection, repeated: Sequence[NewDelivery], alarm: Alarm) -> dict[UUID, Stored]:
    """What becomes of deliveries whose source and key, or whose id, are there already.

    One that was quarantined under a digest, as nothing could identify it, is there by its id when it is tried again,
    and takes its own key; unless something has come under that meanwhile, which it is then a repetition of. Those whom
    another transaction overtook are left out, to be looked at anew.

    Raises:
        UniqueViolationError: the key that one was to take has come in this moment; it is there when all is repeated.
    """
    secrets = [each.secret for each in repeated]
    firsts = {row["wanted"]: row for row in await connection.fetch(FIRST, *await _identifying(repeated), secrets)}
    tried = [each for each in repeated if _is_tried(firsts[each.id])]
    again = await _reconsider(connection, [under(each, firsts[each.id]["id"]) for each in tried])
    await waits.arrive(connection, happened(list(again.values())))
    beside = await _keep_beside(connection, [each for each in repeated if firsts[each.id]["conflicting"]], firsts)
    await runs.create(connection, starting((*again.values(), *beside.values()), alarm))
    started = await _started(connection, [first["id"] for first in firsts.values()])

    def outcome(each: NewDelivery) -> Stored | None:
        first = firsts[each.id]
        if first["conflicting"]:
            kept = beside.get(each.id)
            return None if kept is None else Stored(kept.id, "conflict", CONFLICT, kept.id != each.id, ())
        now = again.get(first["id"])
        if now is None and _is_tried(first):
            return None
        status, reason = (now.status, now.told) if now else (first["status"], first["reason"])
        return Stored(first["id"], status, reason, first["id"] != each.id, started.get(first["id"], ()))

    settled = {each.id: stored for each in repeated if (stored := outcome(each)) is not None}
    twice = [(id_, stored.id) for id_, stored in settled.items() if firsts[id_]["renamed"] and stored.id != id_]
    if twice:
        await connection.execute(TWICE, *map(list, zip(*twice, strict=True)))
    return settled


def _is_tried(first: asyncpg.Record) -> bool:
    """Whether what was there `first` is tried again, as it is in quarantine."""
    return bool(first["same"] and first["status"] == "quarantined")


async def _identifying(new: Sequence[NewDelivery]) -> tuple[list[Any], ...]:
    """What is asked of those whose key is there; a digest goes for the body, which may be large."""
    digests = await asyncio.to_thread(lambda: [hashlib.sha256(each.body).digest() for each in new])
    return [e.id for e in new], [e.source for e in new], [e.key for e in new], digests


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
    connection: Connection, other: Sequence[NewDelivery], firsts: Mapping[UUID, asyncpg.Record]
) -> dict[UUID, NewDelivery]:
    """By the id of each of `other`, what is kept of it: itself, or the same body that is there already."""
    if not other:
        return {}
    kept = [
        replace(each, status="conflict", reason=CONFLICT, bare=None, conflict_of=firsts[each.id]["id"], runs=())
        for each in other
    ]
    identifying = await _identifying(other)
    there = {row["wanted"] for row in await connection.fetch(BESIDE, *identifying)}
    for each in [each for each in kept if each.id not in there]:
        if firsts[each.id]["renamed"]:
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
