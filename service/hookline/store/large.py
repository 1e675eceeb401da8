"""Large deliveries: each streamed to Postgres in parts, alone, so that nobody waits and nothing is held twice."""

from __future__ import annotations

import struct
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from uuid import UUID

import asyncpg
from msgspec.structs import replace

from hookline.codec import NULL
from hookline.payloads import is_sealed
from hookline.peek import LARGE
from hookline.store import runs, waits
from hookline.store.database import Connection, transaction
from hookline.store.delivery import GIVEN, TELLING, Alarm, NewDelivery, Stored, happened, starting
from hookline.store.runs import NewRun

PART = 262_144
"""Bytes that are handed over at once, about; a connection takes so long for each as for a small delivery."""

RUNS_AT_ONCE = 500

THERE = "select from hookline.deliveries where id = $1 or (source = $2 and key = $3 and conflict_of is null)"

TELL = f"""
with fresh as (select id, source, type, status, reason from hookline.deliveries where id = $1),
{TELLING}
select from fresh
"""  # noqa: S608 - a constant

TAKE = """
update hookline.run_data
   set input = convert_from(substring(convert_to(events::text, 'UTF8') from $2 for $3), 'UTF8')::json
  from hookline.deliveries
 where deliveries.id = $1 and run_id = any($4)
"""
"""What stands in the events already is not sent again."""


def is_large(new: NewDelivery) -> bool:
    """Whether it is to be stored alone."""
    return len(new.body) > LARGE


def streams(new: NewDelivery) -> bool:
    """Whether it may be streamed: only what is known to rest open, as nothing is sealed on this way."""
    return is_large(new) and new.rest is not None and not is_sealed(new.rest)


async def store(connection: Connection, new: Sequence[NewDelivery], alarm: Alarm) -> dict[UUID, Stored]:
    """Store the one that is `new` with its runs, if its key and id are not there yet; returns what became of it."""
    (alone,) = new
    wanted = starting(new, alarm)
    there: dict[UUID, UUID] = {}
    async with transaction(connection):
        if not await keep(connection, alone):  # before its scopes are locked, for which others wait
            return {}
        async with runs.filling(connection, wanted):
            await connection.execute(TELL, alone.id)
            await waits.arrive(connection, happened(new))
            places = dict(_places(alone))
            for start in range(0, len(wanted), RUNS_AT_ONCE):
                part = wanted[start : start + RUNS_AT_ONCE]
                there |= await runs.insert(connection, [_without(run, places) for run in part])
            for data, (begins, size) in places.items():
                taking = [run.id for run in wanted if id(run.input) == data]
                await connection.execute(TAKE, alone.id, begins, size, taking)
    started = tuple(there[run.id] for run in alone.runs)
    return {alone.id: Stored(alone.id, alone.status, alone.told, False, started)}


async def keep(connection: Connection, new: NewDelivery) -> bool:
    """Store `new` itself; whether it was not there already."""
    if new.conflict_of is None and await connection.fetchrow(THERE, new.id, new.source, new.key) is not None:
        return False
    try:
        async with transaction(connection):
            await connection.copy_to_table(
                "deliveries",
                schema_name="hookline",
                columns=GIVEN.split(", "),
                source=_in_turn(parts(new)),
                format="binary",
            )
    except asyncpg.UniqueViolationError:  # it came twice at once
        return False
    return True


def parts(new: NewDelivery) -> Iterator[bytes]:
    """`new` as it is copied, in parts of about `PART` bytes."""
    gathered = bytearray()
    for each in _row(new):
        gathered += each
        if len(gathered) >= PART:
            yield bytes(gathered)
            gathered.clear()
    yield bytes(gathered)


async def _in_turn(given: Iterator[bytes]) -> AsyncIterator[bytes]:
    for each in given:
        yield each


def _row(new: NewDelivery) -> Iterator[bytes | memoryview]:
    """A row in the binary format of `COPY`, in the order of `GIVEN`."""
    yield b"PGCOPY\n\xff\r\n\0" + bytes(8) + struct.pack("!h", len(GIVEN.split(", ")))
    for value in (
        new.id, new.source, new.key, new.conflict_of, new.type, new.status, new.told, new.secret, new.headers,
        new.rest, new.events, new.mixed, new.bindings, new.replay_of, new.subject,
    ):  # fmt: skip
        written = () if value is None else _written(value)
        yield struct.pack("!i", -1 if value is None else sum(len(each) for each in written))
        for each in written:
            view = memoryview(each)
            for start in range(0, len(view), PART):
                yield view[start : start + PART]
    yield struct.pack("!h", -1)


def _written(value: UUID | str | bool | bytes | tuple[bytes, ...]) -> tuple[bytes, ...]:
    match value:
        case UUID():
            return (value.bytes,)
        case str():
            return (value.encode(),)
        case bool():
            return (bytes([value]),)
        case bytes():
            return (value,)
    return value


def _places(new: NewDelivery) -> Iterator[tuple[int, tuple[int, int]]]:
    """Where in its events the large data stand: by their identity the first byte, counted from one, and their size."""
    begins = 1
    for part in new.events or ():
        if len(part) > LARGE:
            yield id(part), (begins, len(part))
        begins += len(part)


def _without(run: NewRun, places: Mapping[int, tuple[int, int]]) -> NewRun:
    return replace(run, input=NULL) if id(run.input) in places else run
