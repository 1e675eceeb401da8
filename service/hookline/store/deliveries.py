"""Deliveries: webhooks as they came, one to a source and key."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Literal
from uuid import UUID

import asyncpg
import msgspec
from msgspec import Struct
from msgspec.structs import replace

from hookline.peek import LARGE
from hookline.store import runs, waits
from hookline.store.database import Connection, transaction
from hookline.store.runs import NewRun

Status = Literal["accepted", "ignored", "quarantined", "conflict"]

FETCHED = "reconciled"
"""In the place of a fingerprint: nobody signed it, we had it from the sender's API."""


class NewDelivery(Struct, frozen=True):
    """A verified webhook and what is to become of it.

    Args:
        key: the sender's id of it.
        secret: the fingerprint of the secret that verified it, or `FETCHED`.
        headers: JSON, without credentials.
        reason: for people, why it is quarantined.
        subject: what it is about, such as a repository; `None` if nothing says.
        events: JSON, the envelopes of its events.
        types: the types of its events, and all that these are sub-types of.
        mixed: whether an event's type is not the delivery's, nor a sub-type of it.
        bindings: JSON, what became of its events at each job.
        replay_of: the delivery that it repeats, because somebody asked for that.
        conflict_of: the delivery that came before it under the same key, with another body.
        runs: what it starts; each bears this delivery's id.
    """

    id: UUID
    source: str
    key: str
    type: str
    status: Status
    reason: str | None
    secret: str
    headers: bytes
    body: bytes
    events: bytes | None = None
    types: tuple[str, ...] = ()
    mixed: bool = False
    bindings: bytes = b"[]"
    replay_of: UUID | None = None
    conflict_of: UUID | None = None
    subject: str | None = None
    runs: tuple[NewRun, ...] = ()


Alarm = Callable[[NewDelivery], Sequence[NewRun]]
"""The runs that start because a delivery is what its status says, and not because of its events; each bears its id."""

RAISED = -1
"""In the place of an event's index, in a run that an alarm has started: there is one for each delivery and job."""


def silent(_: NewDelivery) -> Sequence[NewRun]:
    """The alarm of those who have none."""
    return ()


class Stored(Struct, frozen=True):
    """What became of a delivery.

    Args:
        id: its own, or that of the one that was there already.
        duplicate: whether it was there already.
        runs: the ids of what it started, now or the first time.
    """

    id: UUID
    status: Status
    reason: str | None
    duplicate: bool
    runs: tuple[UUID, ...]


_GIVEN = (
    "id, source, key, conflict_of, type, status, reason, secret, headers, body, events, mixed, bindings, replay_of, "
    "subject"
)

_FRESH = f"""
fresh as (
    insert into hookline.deliveries ({_GIVEN})
    select {_GIVEN}
      from unnest($1::uuid[], $2::text[], $3::text[], $4::uuid[], $5::text[], $6::text[], $7::text[], $8::text[],
                  $9::json[], $10::bytea[], $11::json[], $12::bool[], $13::json[], $14::uuid[], $15::text[])
           as given ({_GIVEN})
     order by source, key
    on conflict do nothing
    returning id, source, type, status, reason
),
told as (
    insert into hookline.run_events (delivery_id, source, type, state, reason)
    select id, source, type, status, reason from fresh
)
"""  # noqa: S608 - a constant

STORE = f"""
with {_FRESH},
new as materialized (
    select * from unnest($16::uuid[], $17::text[], $18::int[], $19::text[], $20::smallint[], $21::float8[],
                         $22::text[], $23::uuid[], $24::smallint[], $25::json[], $26::json[], $27::uuid[],
                         $28::uuid[], $29::bool[], $30::text[])
             with ordinality as new (id, job, version, scope, priority, delay, idempotency_key, delivery_id,
                                     event_index, input, event, body_from, parent, attached, correlation, position)
     where delivery_id in (select id from fresh)
),
{runs.CREATING},
arrived as (
    insert into hookline.arrivals (delivery_id, types)
    select id, types from unnest($31::uuid[], $32::json[]) as happened (id, types) where id in (select id from fresh)
    on conflict do nothing
    returning types
)
select id, null::void from fresh
 union all
(select id, {runs.ONE_HINT} from created)
 union all
(select null::uuid, pg_notify('hookline', 'arrived') from arrived
  where exists (select from hookline.waits where type in (select json_array_elements_text(types))) limit 1)
"""  # noqa: S608 - constants

KEEP = f"with {_FRESH} select id from fresh"  # noqa: S608 - a constant

ALONE = {each: each.replace("$10::bytea[]", "array[$10::bytea]") for each in (STORE, KEEP)}
"""The same for one large delivery: in an array its body would be copied once more, and the loop stands meanwhile."""

FIRST = f"""
select wanted.id as wanted, deliveries.id, deliveries.status, deliveries.reason,
       sha256(deliveries.body) = wanted.digest as same,
       sha256(deliveries.body) <> wanted.digest and '{FETCHED}' not in (deliveries.secret, wanted.secret) as conflicting
  from unnest($1::uuid[], $2::text[], $3::text[], $4::bytea[], $5::text[]) as wanted (id, source, key, digest, secret)
  join hookline.deliveries on deliveries.source = wanted.source and deliveries.key = wanted.key
 where conflict_of is null
"""  # noqa: S608 - a constant

BESIDE = """
select wanted.id as wanted, deliveries.id
  from unnest($1::uuid[], $2::text[], $3::text[], $4::bytea[]) as wanted (id, source, key, digest)
  join hookline.deliveries on deliveries.source = wanted.source and deliveries.key = wanted.key
   and sha256(deliveries.body) = wanted.digest
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


def under(new: NewDelivery, id_: UUID) -> NewDelivery:
    """`new` and its runs, with `id_` for its id."""
    return replace(new, id=id_, runs=tuple(replace(run, delivery=id_) for run in new.runs))


KEPT = "select id, source, key, status, secret, headers, body from hookline.deliveries where id = $1"


async def kept(connection: Connection, id_: UUID) -> asyncpg.Record | None:
    """A delivery as it came; `None` if there is none."""
    return await connection.fetchrow(KEPT, id_)


async def store(connection: Connection, new: Sequence[NewDelivery], alarm: Alarm = silent) -> list[Stored]:
    """Store each delivery once, with its runs, whoever brings it and however often.

    The first of a source and key is kept as it is. The same again is a duplicate, and if the first was
    quarantined, it is tried again. Another body under the same key is kept beside it and starts nothing, if the sender
    sent both; an API writes the same thing differently, so what was fetched from there is a duplicate.

    Args:
        alarm: what starts along with what is stored quarantined, or as a conflict; once, however often that comes.
    """
    alone = next((at for at, each in enumerate(new) if len(each.body) > LARGE), None)
    if alone is not None and len(new) > 1:
        parts = (new[:alone], new[alone : alone + 1], new[alone + 1 :])
        return [stored for part in parts if part for stored in await store(connection, part, alarm)]
    wanted = _starting(new, alarm)
    async with runs.filling(connection, wanted):
        rows = await connection.fetch(_fit(STORE, new), *_columns(new), *runs.columns(wanted), *_types(new))
        stored = {row["id"] for row in rows}
        fresh = [each for each in new if each.id in stored]
        there = await runs.elsewhere(connection, [run for each in fresh for run in each.runs if run.id not in stored])
    settled = {
        each.id: Stored(each.id, each.status, each.reason, False, tuple(there.get(r.id, r.id) for r in each.runs))
        for each in fresh
    }
    if repeated := [each for each in new if each.id not in stored]:
        async with transaction(connection):
            settled |= await _store_again(connection, repeated, alarm)
    return [settled[each.id] for each in new]


def _starting(new: Iterable[NewDelivery], alarm: Alarm) -> list[NewRun]:
    return [run for each in new for run in (*each.runs, *alarm(each))]


async def _store_again(connection: Connection, repeated: Sequence[NewDelivery], alarm: Alarm) -> dict[UUID, Stored]:
    """What becomes of deliveries whose source and key, or whose id, are there already."""
    secrets = [each.secret for each in repeated]
    firsts = {row["wanted"]: row for row in await connection.fetch(FIRST, *await _identifying(repeated), secrets)}
    again = {
        each.id: under(each, firsts[each.id]["id"])
        for each in repeated
        if firsts[each.id]["same"] and firsts[each.id]["status"] == "quarantined"
    }
    await _reconsider(connection, list(again.values()))
    await waits.arrive(connection, list(zip(*_types(list(again.values())), strict=True)))
    beside = await _keep_beside(connection, [each for each in repeated if firsts[each.id]["conflicting"]], firsts)
    await runs.create(connection, _starting((*again.values(), *beside.values()), alarm))
    started = await _started(connection, [first["id"] for first in firsts.values()])

    def outcome(each: NewDelivery) -> Stored:
        if each.id in beside:
            return Stored(beside[each.id].id, "conflict", CONFLICT, beside[each.id].id != each.id, ())
        first = firsts[each.id]
        now = again.get(each.id)
        status, reason = (now.status, now.reason) if now else (first["status"], first["reason"])
        return Stored(first["id"], status, reason, first["id"] != each.id, started.get(first["id"], ()))

    return {each.id: outcome(each) for each in repeated}


CONFLICT = "another body came under the same key before"


def _columns(new: Sequence[NewDelivery]) -> tuple[Any, ...]:
    return (
        [each.id for each in new],
        [each.source for each in new],
        [each.key for each in new],
        [each.conflict_of for each in new],
        [each.type for each in new],
        [each.status for each in new],
        [each.reason for each in new],
        [each.secret for each in new],
        [each.headers for each in new],
        new[0].body if _is_large(new) else [each.body for each in new],
        [each.events for each in new],
        [each.mixed for each in new],
        [each.bindings for each in new],
        [each.replay_of for each in new],
        [each.subject for each in new],
    )


def _is_large(new: Sequence[NewDelivery]) -> bool:
    return len(new) == 1 and len(new[0].body) > LARGE


def _fit(statement: str, new: Sequence[NewDelivery]) -> str:
    return ALONE[statement] if _is_large(new) else statement


def _types(new: Sequence[NewDelivery]) -> tuple[list[Any], ...]:
    """Which types of events somebody may wait for each delivery has, if it has events."""
    happened = [each for each in new if each.events is not None]
    return [each.id for each in happened], [msgspec.json.encode((*each.types, waits.ANY)) for each in happened]


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
            [each.reason for each in again],
            [each.type for each in again],
            [each.events for each in again],
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
        replace(each, status="conflict", reason=CONFLICT, conflict_of=firsts[each.id]["id"], runs=()) for each in other
    ]
    for each in kept:
        await connection.execute(_fit(KEEP, [each]), *_columns([each]))
    rows = await connection.fetch(BESIDE, *await _identifying(other))
    ids = {row["wanted"]: row["id"] for row in rows}
    return {each.id: under(each, ids[each.id]) for each in kept}


async def _started(connection: Connection, deliveries: Sequence[UUID]) -> dict[UUID, tuple[UUID, ...]]:
    started: dict[UUID, tuple[UUID, ...]] = {}
    for row in await connection.fetch(RUNS_OF, deliveries) if deliveries else ():
        started[row["delivery_id"]] = (*started.get(row["delivery_id"], ()), row["id"])
    return started
