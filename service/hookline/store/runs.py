"""Runs: how they come to be, each once, whoever asks for it and however often."""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any
from uuid import UUID

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from hookline.payloads import Plain
from hookline.store import correlation, scopes
from hookline.store.database import Connection, transaction
from hookline.store.policies import Newcomer
from hookline.terms import ONE_AT_A_TIME, Terms


class NewRun(Struct, frozen=True):
    """A run that somebody asked for, checked against its job, not yet stored.

    Args:
        input: JSON; `None` when it is the body of the delivery `delivery`, which is not copied.
        event: the envelope of the event that started it, JSON.
        event_index: which of its delivery's events that is.
        parent: the run that asked for it.
        attached: whether its parent waits for it, and takes it along when it ends.
        correlation: what it is about; at most one unfinished run of its job is about the same.
        delay: seconds from now until it is due.
        terms: how it gets along with the others in its scope.
        mail: the event and its data, JSON, which an open run about the same is sent instead.
        source: of its delivery, and `subject`, what that is about; of a child, what its parent has.
        tags: what people find it by.
    """

    id: UUID
    job: str
    version: int
    input: bytes | None
    scope: str | None = None
    priority: int = 0
    delay: float = 0.0
    idempotency_key: str | None = None
    delivery: UUID | None = None
    event: bytes | None = None
    event_index: int | None = None
    parent: UUID | None = None
    attached: bool = False
    correlation: str | None = None
    terms: Terms = ONE_AT_A_TIME
    mail: bytes | None = None
    source: str | None = None
    subject: str | None = None
    tags: tuple[str, ...] = ()

    @property
    def letter(self) -> bytes:
        """Its mail, with which it is told itself, so that it can be had when that is not taken."""
        told = msgspec.json.decode(self.mail or b"{}", type=dict[str, msgspec.Raw])
        return msgspec.json.encode({**told, "wanted": replace(self, mail=None)})


class Letter(Struct, frozen=True):
    """What an open run was sent: an event, its data, and the run that it would have started."""

    event: msgspec.Raw
    data: msgspec.Raw
    wanted: NewRun


CREATING = """
created as (
    insert into hookline.runs
           (id, job, version, scope, state, priority, due_at, idempotency_key, delivery_id, event_index, parent_id,
            attached, correlation, source, subject, tags)
    select id, job, version, scope, case when scope is null then 'queued' else 'blocked' end,
           priority, now() + make_interval(secs => delay), idempotency_key, delivery_id, event_index, parent, attached,
           correlation,
           case when parent is null then source else (select runs.source from hookline.runs where runs.id = parent) end,
           case when parent is null then subject else (select runs.subject from hookline.runs where runs.id = parent)
           end,
           case when tags is not null then array(select json_array_elements_text(tags)) end
      from new order by position
    on conflict do nothing
    returning id
),
stored as (
    insert into hookline.run_data (run_id, input, event, body_from)
    select id, input, event, body_from from new join created using (id)
),
tagged as (
    insert into hookline.run_tags (tag, run_id)
    select json_array_elements_text(tags), id from new join created using (id) where tags is not null
)
"""
"""The part of a statement that makes runs of the rows `new`."""

ONE_HINT = "case when row_number() over () = 1 then pg_notify('hookline', 'due') end"
"""`WAKE` for as many rows as there may be, none included."""

HEADS = """
id uuid, job text, version int, scope text, priority smallint, delay float8, idempotency_key text, delivery_id uuid,
event_index smallint, body_from uuid, parent uuid, attached bool, correlation text, source text, subject text, tags json
"""


def rows(first: int) -> str:
    """The rows `new` of a statement whose parameters from the one numbered `first` on are those of `parameters`."""
    names = ", ".join(each.split()[0] for each in HEADS.split(","))
    return f"""
        select * from rows from (
                   json_to_recordset(${first}::json) as ({HEADS}),
                   unnest(${first + 1}::json[]), unnest(${first + 2}::json[])
               ) with ordinality as new ({names}, input, event, position)
    """  # noqa: S608 - constants


CREATE = f"""
with new as materialized ({rows(1)}),
{CREATING}
select id, {ONE_HINT} from created
"""  # noqa: S608 - constants


def newcomers(runs: Sequence[NewRun]) -> list[Newcomer]:
    """Those of `runs` that come into a scope."""
    return [Newcomer(run.id, run.job, run.scope, run.terms) for run in runs if run.scope is not None]


class _Head(Struct, omit_defaults=True):
    """All of a run that is no payload."""

    id: UUID
    job: str
    version: int
    priority: int
    delay: float
    attached: bool
    scope: str | None = None
    idempotency_key: str | None = None
    delivery_id: UUID | None = None
    event_index: int | None = None
    body_from: UUID | None = None
    parent: UUID | None = None
    correlation: str | None = None
    source: str | None = None
    subject: str | None = None
    tags: tuple[str, ...] = ()


def parameters(runs: Sequence[NewRun]) -> tuple[Any, ...]:
    """`runs` as the parameters that the rows `new` are made of; what is no payload goes as one document."""
    heads = [
        _Head(
            run.id, run.job, run.version, run.priority, run.delay, run.attached, run.scope, run.idempotency_key,
            run.delivery, run.event_index, run.delivery if run.input is None else None, run.parent, run.correlation,
            run.source, run.subject, run.tags,
        )
        for run in runs
    ]  # fmt: skip
    return Plain(msgspec.json.encode(heads)), [run.input for run in runs], [run.event for run in runs]


EXISTING = """
select wanted.id as wanted, runs.id
  from unnest($1::uuid[], $2::text[], $3::text[], $4::uuid[], $5::smallint[], $6::text[])
       as wanted (id, job, idempotency_key, delivery_id, event_index, correlation)
 cross join lateral (
    select id from hookline.runs where runs.id = wanted.id
     union all
    select id from hookline.runs
     where runs.job = wanted.job and runs.idempotency_key = wanted.idempotency_key
     union all
    select id from hookline.runs
     where runs.job = wanted.job and runs.delivery_id = wanted.delivery_id
       and runs.event_index = wanted.event_index
     union all
    (select id from hookline.runs
      where runs.job = wanted.job and runs.correlation = wanted.correlation order by id desc limit 1)
     limit 1
 ) as runs
"""


async def create(connection: Connection, runs: Sequence[NewRun]) -> dict[UUID, UUID]:
    """Store `runs` and return by the id of each its own id, or that of the run that was there already.

    A run is there already if its id is (the write is being repeated), if its idempotency key is, or if its
    event has started its job. A scoped run is born blocked, and queued at once if nobody is ahead of it.
    """
    if not runs:
        return {}
    async with filling(connection, runs):
        return await insert(connection, runs)


async def insert(connection: Connection, runs: Sequence[NewRun]) -> dict[UUID, UUID]:
    """As `create`, within `filling`."""
    created = {row["id"] for row in await connection.fetch(CREATE, *parameters(runs))}
    there = await elsewhere(connection, [run for run in runs if run.id not in created])
    return {run.id: there.get(run.id, run.id) for run in runs}


@asynccontextmanager
async def filling(connection: Connection, runs: Sequence[NewRun]) -> AsyncIterator[None]:
    """Within the block `runs` may be stored: one transaction, if it takes more than one statement to store them all."""
    async with AsyncExitStack() as stack:
        if any(run.mail is not None for run in runs):
            await stack.enter_async_context(transaction(connection))
        await stack.enter_async_context(scopes.filling(connection, newcomers(runs)))
        yield


async def elsewhere(connection: Connection, refused: Sequence[NewRun]) -> dict[UUID, UUID]:
    """By the id of each of `refused`, which could not be stored, that of the run that is there in its place.

    What has mail is sent to the open run about the same. If that has ended in the meantime it can be stored now.
    """
    there = await existing(connection, refused)
    left = [run for run in refused if run.mail is not None and run.id not in there]
    while left:
        there |= await correlation.send(connection, left)
        created = await connection.fetch(CREATE, *parameters([run for run in left if run.id not in there]))
        there |= {row["id"]: row["id"] for row in created}
        there |= await existing(connection, [run for run in left if run.id not in there])
        left = [run for run in left if run.id not in there]
    return there


async def untaken(connection: Connection, ended: Sequence[UUID]) -> list[NewRun]:
    """The runs that are wanted for what was sent to runs that have `ended` without taking it."""
    letters = [msgspec.json.decode(each, type=Letter) for each in await correlation.take_back(connection, ended)]
    return [replace(each.wanted, mail=_mail(each)) for each in letters]


def _mail(letter: Letter) -> bytes:
    return msgspec.json.encode({"event": letter.event, "data": letter.data})


async def existing(connection: Connection, runs: Sequence[NewRun]) -> dict[UUID, UUID]:
    """By the id of each of `runs`, which could not be stored, that of the run that is there in its place."""
    if not runs:
        return {}
    rows = await connection.fetch(
        EXISTING,
        [run.id for run in runs],
        [run.job for run in runs],
        [run.idempotency_key for run in runs],
        [run.delivery for run in runs],
        [run.event_index for run in runs],
        [run.correlation if run.mail is None else None for run in runs],
    )
    return {row["wanted"]: row["id"] for row in rows}


TAG = """
with tagged as (
    update hookline.runs
       set tags = array(select unnest(runs.tags) union select json_array_elements_text(more) order by 1)
      from unnest($1::uuid[], $2::json[]) as given (id, more) where runs.id = given.id
    returning runs.id, tags
)
insert into hookline.run_tags (tag, run_id) select unnest(tags), id from tagged on conflict do nothing
"""


async def tag(connection: Connection, more: Mapping[UUID, Collection[str]]) -> None:
    """Give runs, which are locked, `more` tags; those that one has already stay one."""
    if more:
        await connection.execute(TAG, list(more), [Plain(msgspec.json.encode(sorted(tags))) for tags in more.values()])
