"""Bindings: which runs an event or a trigger starts, decided without looking at the database."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Literal
from uuid import UUID

from msgspec import Struct

from hookline import codec, telemetry
from hookline.errors import InvalidInput
from hookline.events import Event, Trigger
from hookline.jobs.job import Job
from hookline.starts import LONGEST_TEXT, asked_for, in_range, text
from hookline.store.runs import NewRun


class Verdict(Struct, frozen=True, omit_defaults=True):
    """What became of an event or a trigger at one job; jobs that are on other types of events have none.

    Args:
        event: the index of the event, or of the trigger, in its delivery.
        verdict: whether a run was started, or what kept it from that.
        why: for people: what of the event did not fit, or what is wrong.
    """

    job: str
    version: int
    event: int
    verdict: Literal["matched", "filtered", "error"]
    why: str | None = None


class Bound(Struct, frozen=True):
    """What happened, bound to jobs.

    Args:
        runs: what is started; nothing, if there is a problem.
        problem: for people, why the delivery has to wait for a mend.
    """

    runs: tuple[NewRun, ...]
    verdicts: tuple[Verdict, ...]
    problem: str | None = None


def bind(happened: Sequence[Event | Trigger], jobs: Mapping[str, Job], delivery: UUID, body: bytes) -> Bound:
    """The runs that what `happened` in a delivery with this `body` starts, of the latest versions in `jobs`.

    If one of them cannot start none does, so that all do once it is mended and the delivery is tried again.
    """
    runs: list[NewRun] = []
    verdicts: list[Verdict] = []
    problem = None
    for index, each in enumerate(happened):
        for job in _wanting(each, jobs):
            try:
                wanted = _wanted(each, job, jobs, delivery, index, body)
            except InvalidInput as error:
                verdict = Verdict(job.name, job.version, index, "error", str(error)[:500])
                problem = problem or verdict.why
            except Exception as error:  # noqa: BLE001 - whatever a user's function raises is told of its job
                telemetry.log.exception("binding.failed", job=job.name, delivery=delivery)
                verdict = Verdict(job.name, job.version, index, "error", f"{type(error).__name__} in its binding")
                problem = problem or f"the binding of job {job.name} failed: {type(error).__name__}"
            else:
                if isinstance(wanted, NewRun):
                    runs.append(wanted)
                    verdict = Verdict(job.name, job.version, index, "matched")
                else:
                    verdict = Verdict(job.name, job.version, index, "filtered", wanted)
            verdicts.append(verdict)
        if isinstance(each, Trigger) and each.job not in jobs:
            problem = problem or f"there is no job {each.job!r}"
    return Bound(() if problem else tuple(runs), tuple(verdicts), problem)


def _wanting(what: Event | Trigger, jobs: Mapping[str, Job]) -> Iterable[Job]:
    if isinstance(what, Trigger):
        return [jobs[what.job]] if what.job in jobs else []
    return [job for job in jobs.values() if any(pattern.is_about(what) for pattern in job.on)]


def _wanted(
    what: Event | Trigger, job: Job, jobs: Mapping[str, Job], delivery: UUID, index: int, body: bytes
) -> NewRun | str:
    """The run that is to start, or why none is."""
    if isinstance(what, Trigger):
        return asked_for(what, jobs, delivery=delivery, index=index)
    reasons = []
    for pattern in job.on:
        if pattern.is_about(what):
            why = pattern.why_not(what)
            if why is None:
                return _bound(what, job, delivery, index, body)
            reasons.append(why)
    return "; ".join(dict.fromkeys(reasons))[:500]


def _bound(event: Event, job: Job, delivery: UUID, index: int, body: bytes) -> NewRun:
    if job.input is None:
        input_, envelope = None if event.raw is body else event.raw, event.envelope()
        if job.takes is not None:
            job.check(event.raw)
    else:
        input_, envelope = codec.encode(job.input_of(event)), None
        job.check(input_)
    return NewRun(
        id=codec.uuid7(),
        job=job.name,
        version=job.version,
        input=input_,
        scope=text("scope", job.scope_of(event)),
        correlation=text("correlation", job.correlation_of(event)),
        priority=in_range(job.priority_of(event)),
        idempotency_key=text("idempotency key", job.key_of(event)),
        delivery=delivery,
        event=envelope,
        event_index=index,
        terms=job.terms,
        mail=None if job.correlate is None else event.mail(),
        tags=job.tags_of(event),
    )


def envelopes(events: Sequence[Event], body: bytes) -> tuple[bytes, ...] | None:
    """What is stored of `events` beside the `body` that they came in, for those who wait; JSON, in parts."""
    if not events:
        return None
    parts = [b"["]
    for each in events:
        separator = b"," if len(parts) > 1 else b""
        if each.raw is body:
            parts.append(separator + each.envelope())
        else:
            parts += [separator + each.envelope()[:-1] + b',"data":', each.raw, b"}"]
    return (*parts, b"]")


def lineage(events: Sequence[Event]) -> tuple[str, ...]:
    """The types of `events`, and the types that these are sub-types of: `a.b`, `a`."""
    found: dict[str, None] = {}
    for event in events:
        type_ = event.type
        while type_:
            found[type_] = None
            type_ = type_.rpartition(".")[0]
    return tuple(found)


def subject(happened: Iterable[Event | Trigger]) -> str | None:
    """What happened is about, for people who look for it: the first key of an event, if Postgres can index it."""
    for each in happened:
        if isinstance(each, Event) and each.key:
            return each.key if len(each.key) <= LONGEST_TEXT and each.key.isprintable() else None
    return None
