"""A delivery: as it is handed to the store, and as the columns that it is written in."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import Any, Literal
from uuid import UUID

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from hookline.payloads import Body, Plain
from hookline.store import waits
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
        events: JSON, the envelopes of its events; in parts, so that data which are large are not copied.
        types: the types of its events, and all that these are sub-types of.
        mixed: whether an event's type is not the delivery's, nor a sub-type of it.
        bindings: JSON, what became of its events at each job.
        replay_of: the delivery that it repeats, because somebody asked for that.
        conflict_of: the delivery that came before it under the same key, with another body.
        runs: what it starts; each bears this delivery's id.
        rest: its body as it is stored, if that is known already.
        bare: in place of the reason, what everybody may read of it; that may quote payload.
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
    events: tuple[bytes, ...] | None = None
    types: tuple[str, ...] = ()
    mixed: bool = False
    bindings: bytes = b"[]"
    replay_of: UUID | None = None
    conflict_of: UUID | None = None
    subject: str | None = None
    runs: tuple[NewRun, ...] = ()
    rest: bytes | None = None
    bare: str | None = None

    @property
    def told(self) -> str | None:
        """Why it is quarantined, as it is stored and told."""
        return self.reason if self.bare is None else self.bare

    @property
    def starts(self) -> list[NewRun]:
        """The runs that it starts, as people find them by it."""
        return [replace(run, source=self.source, subject=self.subject) for run in self.runs]


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


def under(new: NewDelivery, id_: UUID) -> NewDelivery:
    """`new` and its runs, with `id_` for its id."""
    return replace(new, id=id_, runs=tuple(replace(run, delivery=id_) for run in new.runs))


def starting(new: Collection[NewDelivery], alarm: Alarm) -> list[NewRun]:
    """All runs that start along with `new`, those of alarms included."""
    raised = [[replace(run, source=each.source, subject=each.subject) for run in alarm(each)] for each in new]
    return [run for each, alarmed in zip(new, raised, strict=True) for run in (*each.starts, *alarmed)]


GIVEN = (
    "id, source, key, conflict_of, type, status, reason, secret, headers, body, events, mixed, bindings, replay_of, "
    "subject"
)

TELLING = """
told as (
    insert into hookline.run_events (delivery_id, source, type, state, reason)
    select id, source, type, status, reason from fresh
)
"""
"""The part of a statement that tells those who listen of the deliveries `fresh`."""

FRESH = f"""
fresh as (
    insert into hookline.deliveries ({GIVEN})
    select {GIVEN}
      from rows from (
               json_to_recordset($1::json) as (id uuid, source text, key text, conflict_of uuid, type text, status text,
                                               reason text, secret text, mixed bool, replay_of uuid, subject text),
               unnest($2::json[]), unnest($3::bytea[]), unnest($4::json[]), unnest($5::json[])
           ) as given (id, source, key, conflict_of, type, status, reason, secret, mixed, replay_of, subject,
                       headers, body, events, bindings)
     order by source, key
    on conflict do nothing
    returning id, source, type, status, reason
),
{TELLING}"""  # noqa: S608 - a constant


class _Head(Struct, omit_defaults=True):
    """All of a delivery that is no payload."""

    id: UUID
    source: str
    key: str
    type: str
    status: Status
    secret: str
    mixed: bool
    reason: str | None = None
    subject: str | None = None
    conflict_of: UUID | None = None
    replay_of: UUID | None = None


def parameters(new: Sequence[NewDelivery]) -> tuple[Any, ...]:
    """`new` as the parameters of `FRESH`.

    What is no payload goes as one document: an array of each column costs asyncpg as much as all the rest.
    """
    heads = [
        _Head(
            each.id, each.source, each.key, each.type, each.status, each.secret, each.mixed, each.told, each.subject,
            each.conflict_of, each.replay_of,
        )
        for each in new
    ]  # fmt: skip
    return (
        Plain(msgspec.json.encode(heads)),
        [each.headers for each in new],
        [Body(each.body, each.rest) for each in new],
        [None if each.events is None else b"".join(each.events) for each in new],
        [each.bindings for each in new],
    )


def happened(new: Sequence[NewDelivery]) -> list[waits.Happened]:
    """What those of `new` tell who wait that have events."""
    return [waits.Happened(each.id, (*each.types, waits.ANY)) for each in new if each.events is not None]
