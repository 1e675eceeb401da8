"""Deliveries: webhooks as they came, one to a source and key."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal
from uuid import UUID

import asyncpg

from hookline.store import runs
from hookline.store.database import Connection
from hookline.store.runs import NewRun

Status = Literal["accepted", "ignored", "quarantined", "conflict"]


@dataclass(frozen=True, slots=True)
class NewDelivery:
    """A verified webhook and what is to become of it.

    Args:
        key: the sender's id of it.
        digest: the fingerprint of its body.
        secret: the fingerprint of the secret that verified it.
        headers: JSON, without credentials.
        reason: for people, why it is quarantined.
        runs: what it starts; each bears this delivery's id.
    """

    id: UUID
    source: str
    key: str
    digest: bytes
    type: str
    status: Status
    reason: str | None
    secret: str
    headers: bytes
    body: bytes
    runs: tuple[NewRun, ...] = ()


@dataclass(frozen=True, slots=True)
class Stored:
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


INSERT = """
insert into hookline.deliveries (id, source, key, digest, conflict_of, type, status, reason, secret, headers, body)
select id, source, key, digest, conflict_of, type, status, reason, secret, headers, body
  from unnest($1::uuid[], $2::text[], $3::text[], $4::bytea[], $5::uuid[], $6::text[], $7::text[], $8::text[],
              $9::text[], $10::json[], $11::bytea[])
       as new (id, source, key, digest, conflict_of, type, status, reason, secret, headers, body)
 order by source, key
on conflict do nothing
returning id
"""

FIRST = """
select wanted.id as wanted, deliveries.id, deliveries.digest, deliveries.status, deliveries.reason
  from unnest($1::uuid[], $2::text[], $3::text[]) as wanted (id, source, key)
  join hookline.deliveries on deliveries.source = wanted.source and deliveries.key = wanted.key
 where conflict_of is null
"""

BESIDE = """
select wanted.id as wanted, deliveries.id
  from unnest($1::uuid[], $2::text[], $3::text[], $4::bytea[]) as wanted (id, source, key, digest)
  join hookline.deliveries on deliveries.source = wanted.source and deliveries.key = wanted.key
   and deliveries.digest = wanted.digest
 where conflict_of is not null
"""

RECONSIDER = """
update hookline.deliveries set status = given.status, reason = given.reason, type = given.type
  from unnest($1::uuid[], $2::text[], $3::text[], $4::text[]) as given (id, status, reason, type)
 where deliveries.id = given.id and deliveries.status = 'quarantined'
"""

RUNS_OF = "select delivery_id, id from hookline.runs where delivery_id = any($1) order by event_index, job"


async def store(connection: Connection, new: Sequence[NewDelivery]) -> list[Stored]:
    """Store each delivery once, with its runs, whoever brings it and however often.

    The first of a source and key is kept as it is. The same again is a duplicate, and if the first was
    quarantined, it is tried again. Another body under the same key is kept beside it and starts nothing.
    """
    fresh = await _insert(connection, new, {})
    repeated = [each for each in new if each.id not in fresh]
    firsts = await _firsts(connection, repeated) if repeated else {}
    again = {
        each.id: _as_first(each, firsts[each.id]["id"])
        for each in repeated
        if firsts[each.id]["status"] == "quarantined" and firsts[each.id]["digest"] == each.digest
    }
    await _reconsider(connection, list(again.values()))
    starting = [again.get(each.id, each) for each in new if each.id in fresh or each.id in again]
    wanted = [run for each in starting for run in each.runs]
    run_ids = dict(zip((run.id for run in wanted), await runs.create(connection, wanted), strict=True))
    beside = await _keep_beside(connection, [e for e in repeated if firsts[e.id]["digest"] != e.digest], firsts)
    started = await _started(connection, [first["id"] for first in firsts.values()])

    def outcome(each: NewDelivery) -> Stored:
        if each.id in fresh:
            return Stored(each.id, each.status, each.reason, False, tuple(run_ids[run.id] for run in each.runs))
        if each.id in beside:
            return Stored(beside[each.id], "conflict", CONFLICT, beside[each.id] != each.id, ())
        first = firsts[each.id]
        now = again.get(each.id)
        status, reason = (now.status, now.reason) if now else (first["status"], first["reason"])
        return Stored(first["id"], status, reason, first["id"] != each.id, started.get(first["id"], ()))

    return [outcome(each) for each in new]


CONFLICT = "another body came under the same key before"


async def _insert(connection: Connection, new: Sequence[NewDelivery], conflict_of: dict[UUID, UUID]) -> set[UUID]:
    rows = await connection.fetch(
        INSERT,
        [each.id for each in new],
        [each.source for each in new],
        [each.key for each in new],
        [each.digest for each in new],
        [conflict_of.get(each.id) for each in new],
        [each.type for each in new],
        [each.status for each in new],
        [each.reason for each in new],
        [each.secret for each in new],
        [each.headers for each in new],
        [each.body for each in new],
    )
    return {row["id"] for row in rows}


async def _firsts(connection: Connection, repeated: Sequence[NewDelivery]) -> dict[UUID, asyncpg.Record]:
    rows = await connection.fetch(
        FIRST, [e.id for e in repeated], [e.source for e in repeated], [e.key for e in repeated]
    )
    return {row["wanted"]: row for row in rows}


def _as_first(each: NewDelivery, first: UUID) -> NewDelivery:
    return replace(each, id=first, runs=tuple(replace(run, delivery=first) for run in each.runs))


async def _reconsider(connection: Connection, again: Sequence[NewDelivery]) -> None:
    if again:
        await connection.execute(
            RECONSIDER,
            [each.id for each in again],
            [each.status for each in again],
            [each.reason for each in again],
            [each.type for each in again],
        )


async def _keep_beside(
    connection: Connection, other: Sequence[NewDelivery], firsts: dict[UUID, asyncpg.Record]
) -> dict[UUID, UUID]:
    if not other:
        return {}
    kept = [replace(each, status="conflict", reason=CONFLICT, runs=()) for each in other]
    await _insert(connection, kept, {each.id: firsts[each.id]["id"] for each in other})
    rows = await connection.fetch(
        BESIDE,
        [each.id for each in other],
        [each.source for each in other],
        [each.key for each in other],
        [each.digest for each in other],
    )
    return {row["wanted"]: row["id"] for row in rows}


async def _started(connection: Connection, deliveries: Sequence[UUID]) -> dict[UUID, tuple[UUID, ...]]:
    started: dict[UUID, tuple[UUID, ...]] = {}
    for row in await connection.fetch(RUNS_OF, deliveries) if deliveries else ():
        started[row["delivery_id"]] = (*started.get(row["delivery_id"], ()), row["id"])
    return started
