"""Bindings: which runs an event or a trigger starts, decided without looking at the database."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from uuid import UUID

import msgspec

from hookline import codec
from hookline.events import Event, Trigger
from hookline.jobs.job import Job
from hookline.starts import asked_for, text
from hookline.store.runs import NewRun


def started_by(
    happened: Iterable[Event | Trigger], jobs: Mapping[str, Job], delivery: UUID, body: bytes
) -> tuple[NewRun, ...]:
    """The runs that what `happened` in a delivery with this `body` starts, of the latest versions in `jobs`.

    Raises:
        InvalidInput: one of them could not start: its job is unknown, or its input or scope does not fit.
    """
    runs: list[NewRun] = []
    for index, each in enumerate(happened):
        if isinstance(each, Trigger):
            runs.append(asked_for(each, jobs, delivery=delivery, index=index))
        else:
            runs += [
                _bound(each, job, delivery, index, body)
                for job in jobs.values()
                if any(pattern.matches(each) for pattern in job.on)
            ]
    return tuple(runs)


def _bound(event: Event, job: Job, delivery: UUID, index: int, body: bytes) -> NewRun:
    if job.takes is not None:
        job.check(event.raw)
    return NewRun(
        id=codec.uuid7(),
        job=job.name,
        version=job.version,
        input=None if event.raw is body else event.raw,
        scope=text("scope", job.scope_of(event)),
        correlation=text("correlation", job.correlation_of(event)),
        priority=job.priority,
        delivery=delivery,
        event=event.envelope(),
        event_index=index,
    )


def envelopes(events: Sequence[Event], body: bytes) -> bytes | None:
    """What is stored of `events` beside the `body` that they came in, for those who wait; JSON."""
    if not events:
        return None
    if len(events) == 1 and events[0].raw is body:
        return b"[" + events[0].envelope() + b"]"
    told = [
        {"type": each.type, "key": each.key, "fields": dict(each.fields)}
        | ({} if each.raw is body else {"data": msgspec.Raw(each.raw)})
        for each in events
    ]
    return msgspec.json.encode(told)


def lineage(events: Sequence[Event]) -> tuple[str, ...]:
    """The types of `events`, and the types that these are sub-types of: `a.b`, `a`."""
    found: dict[str, None] = {}
    for event in events:
        type_ = event.type
        while type_:
            found[type_] = None
            type_ = type_.rpartition(".")[0]
    return tuple(found)
