"""Repeats: deliveries whose key is there already, and what becomes of them."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

import asyncpg
from msgspec.structs import replace

from hookline.store import large, runs, waits
from hookline.store.database import Connection
from hookline.store.delivery import FETCHED, FRESH, Alarm, NewDelivery, Stored, happened, parameters, starting, under

KEEP = f"with {FRESH} select id from fresh"  # noqa: S608 - a constant

FIRST = f"""
select wanted.id as wanted, deliveries.id, deliveries.status, deliveries.reason,
       hookline.body_digest(deliveries.body) = wanted.digest as same,
       hookline.body_digest(deliveries.body) <> wanted.digest
       and '{FETCHED}' not in (deliveries.secret, wanted.secret) as conflicting
  from unnest($1::uuid[], $2::text[], $3::text[], $4::bytea[], $5::text[]) as wanted (id, source, key, digest, secret)
  join hookline.deliveries on deliveries.source = wanted.source and deliveries.key = wanted.key
 where conflict_of is null
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
       set status = given.status, reason = given.reason, type = given.type, events = given.events, mixed = given.mixed,
           bindings = given.bindings, subject = given.subject
      from unnest($1::uuid[], $2::text[], $3::text[], $4::text[], $5::json[], $6::bool[], $7::json[], $8::text[])
           as given (id, status, reason, type, events, mixed, bindings, subject)
     where deliveries.id = given.id and deliveries.status = 'quarantined'
    returning deliveries.id, source, deliveries.type, deliveries.status, deliveries.reason
)
insert into hookline.run_events (delivery_id, source, type, state, reason)
select id, source, type, status, reason from again
"""

RUNS_OF = """
select delivery_id, id, event_index from hookline.runs where delivery_id = any($1) and event_index >= 0
 union all
select delivery_id, run_id, event_index from hookline.signals where delivery_id = any($1) and data is not null
 order by event_index
"""


CONFLICT = "another body came under the same key before"


async def store_again(connection: Connection, repeated: Sequence[NewDelivery], alarm: Alarm) -> dict[UUID, Stored]:
    """What becomes of deliveries whose source and key, or whose id, are there already."""
    secrets = [each.secret for each in repeated]
    firsts = {row["wanted"]: row for row in await connection.fetch(FIRST, *await _identifying(repeated), secrets)}
    again = {
        each.id: under(each, firsts[each.id]["id"])
        for each in repeated
        if firsts[each.id]["same"] and firsts[each.id]["status"] == "quarantined"
    }
    await _reconsider(connection, list(again.values()))
    await waits.arrive(connection, happened(list(again.values())))
    beside = await _keep_beside(connection, [each for each in repeated if firsts[each.id]["conflicting"]], firsts)
    await runs.create(connection, starting((*again.values(), *beside.values()), alarm))
    started = await _started(connection, [first["id"] for first in firsts.values()])

    def outcome(each: NewDelivery) -> Stored:
        if each.id in beside:
            return Stored(beside[each.id].id, "conflict", CONFLICT, beside[each.id].id != each.id, ())
        first = firsts[each.id]
        now = again.get(each.id)
        status, reason = (now.status, now.told) if now else (first["status"], first["reason"])
        return Stored(first["id"], status, reason, first["id"] != each.id, started.get(first["id"], ()))

    return {each.id: outcome(each) for each in repeated}


async def _identifying(new: Sequence[NewDelivery]) -> tuple[list[Any], ...]:
    """What is asked of those whose key is there; a digest goes for the body, which may be large."""
    digests = await asyncio.to_thread(lambda: [hashlib.sha256(each.body).digest() for each in new])
    return [e.id for e in new], [e.source for e in new], [e.key for e in new], digests


async def _reconsider(connection: Connection, again: Sequence[NewDelivery]) -> None:
    if again:
        await connection.execute(
            RECONSIDER,
            [each.id for each in again],
            [each.status for each in again],
            [each.told for each in again],
            [each.type for each in again],
            [None if each.events is None else b"".join(each.events) for each in again],
            [each.mixed for each in again],
            [each.bindings for each in again],
            [each.subject for each in again],
        )


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
        await (large.keep(connection, each) if large.streams(each) else connection.execute(KEEP, *parameters([each])))
    ids = {row["wanted"]: row["id"] for row in await connection.fetch(BESIDE, *identifying)}
    return {each.id: under(each, ids[each.id]) for each in kept}


async def _started(connection: Connection, deliveries: Sequence[UUID]) -> dict[UUID, tuple[UUID, ...]]:
    started: dict[UUID, tuple[UUID, ...]] = {}
    for row in await connection.fetch(RUNS_OF, deliveries) if deliveries else ():
        started[row["delivery_id"]] = (*started.get(row["delivery_id"], ()), row["id"])
    return started
