"""Bindings: which runs an event or a trigger starts, decided without looking at the database."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from uuid import UUID

from hookline import codec
from hookline.errors import InvalidInput, UnknownJob
from hookline.events import Event, Trigger
from hookline.jobs.job import Job
from hookline.jobs.retry import seconds
from hookline.store.runs import NewRun

PRIORITIES = range(-100, 101)
LONGEST_DELAY = 10 * 366 * 86_400.0
LONGEST_TEXT = 500


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


def asked_for(
    trigger: Trigger, jobs: Mapping[str, Job], *, delivery: UUID | None = None, index: int | None = None
) -> NewRun:
    """The run that `trigger` asks for, of the latest version in `jobs`.

    Raises:
        UnknownJob: there is no such job.
        InvalidInput: its input or its scope does not fit, or a number is out of range.
    """
    job = jobs.get(trigger.job)
    if job is None:
        raise UnknownJob(f"there is no job {trigger.job!r}")
    if trigger.priority not in PRIORITIES:
        raise InvalidInput(f"the priority is from -100 to 100, not {trigger.priority}")
    delay = seconds(trigger.delay)
    if not 0 <= delay <= LONGEST_DELAY:
        raise InvalidInput(f"the delay is from 0 seconds to ten years, not {delay:g} s")
    try:
        input_ = codec.encode(trigger.input)
    except codec.Undecodable as error:
        raise InvalidInput(f"the input of job {job.name} is {error}") from None
    job.check(input_)
    return NewRun(
        id=codec.uuid7(),
        job=job.name,
        version=job.version,
        input=input_,
        scope=_text("scope", job.scope_of(trigger.input) if trigger.scope is None else trigger.scope),
        priority=trigger.priority,
        delay=delay,
        idempotency_key=_text("idempotency key", trigger.idempotency_key),
        delivery=delivery,
        event_index=index,
    )


def _bound(event: Event, job: Job, delivery: UUID, index: int, body: bytes) -> NewRun:
    if job.takes is not None:
        job.check(event.raw)
    return NewRun(
        id=codec.uuid7(),
        job=job.name,
        version=job.version,
        input=None if event.raw is body else event.raw,
        scope=_text("scope", job.scope_of(event)),
        delivery=delivery,
        event=event.envelope(),
        event_index=index,
    )


def _text(what: str, given: str | None) -> str | None:
    """`given`, if Postgres can hold and index it; raises `InvalidInput`."""
    if given is not None and (not given or len(given) > LONGEST_TEXT or not given.isprintable()):
        raise InvalidInput(f"a {what} is 1 to {LONGEST_TEXT} printable characters, not {given[:50]!r}")
    return given
