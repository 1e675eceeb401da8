"""Starts: a trigger, checked against the job that it names, becomes a run to be stored."""

from __future__ import annotations

from collections.abc import Mapping
from uuid import UUID

from msgspec.structs import replace

from hookline import codec
from hookline.errors import InvalidInput, UnknownJob
from hookline.events import Trigger
from hookline.jobs.job import Job
from hookline.jobs.tags import checked
from hookline.spans import seconds
from hookline.store.runs import NewRun

PRIORITIES = range(-100, 101)
LONGEST_DELAY = 10 * 366 * 86_400.0
LONGEST_TEXT = 500

HOOKED = {"succeeded": "completed"}
"""What a hook is called after, where that is not the state that a run comes into."""


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
    in_range(trigger.priority)
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
        scope=text("scope", job.scope_of(codec.decode(input_)) if trigger.scope is None else trigger.scope),
        correlation=text("correlation", job.correlation_of(codec.decode(input_))),
        priority=trigger.priority or in_range(job.priority_of(codec.decode(input_))),
        delay=delay,
        idempotency_key=text("idempotency key", trigger.idempotency_key),
        delivery=delivery,
        event_index=index,
        terms=job.terms,
        tags=tuple(dict.fromkeys((*job.tags_of(codec.decode(input_)), *checked(trigger.tags)))),
    )


def hooked(
    job: Job, jobs: Mapping[str, Job], run: UUID, claims: int, state: str, reason: str | None
) -> tuple[NewRun, ...]:
    """The run that is to start because `run`, claimed so often, comes into `state`, if its job has a hook for that."""
    name = job.hooks.get(HOOKED.get(state, state))
    if name is None or name not in jobs:
        return ()
    told = {"run": str(run), "job": job.name, "version": job.version, "state": state, "reason": reason}
    wanted = asked_for(Trigger(name, told, idempotency_key=f"{run}:{state}:{claims}"), jobs)
    return (replace(wanted, parent=run),)


def in_range(priority: int) -> int:
    """`priority`, if it is one; raises `InvalidInput`."""
    if priority not in PRIORITIES:
        raise InvalidInput(f"the priority is from -100 to 100, not {priority}")
    return priority


def text(what: str, given: str | None) -> str | None:
    """`given`, if Postgres can hold and index it; raises `InvalidInput`."""
    if given is not None and (not given or len(given) > LONGEST_TEXT or not given.isprintable()):
        raise InvalidInput(f"a {what} is 1 to {LONGEST_TEXT} printable characters, not {given[:50]!r}")
    return given
