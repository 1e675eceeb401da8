"""Alarms: the jobs that start because a delivery is quarantined, or contradicts another."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from msgspec.structs import replace

from hookline import telemetry
from hookline.events import Event
from hookline.inbox import PREFIX
from hookline.ingress import bindings
from hookline.jobs.job import Job
from hookline.store.delivery import RAISED, NewDelivery
from hookline.store.runs import NewRun


class Alarms:
    """What to start with a delivery, by the `jobs` that are on the inbox's own events.

    A job that is on `*` is not meant. One whose binding fails is logged and passed over: an alarm quarantines nothing.
    """

    def __init__(self, jobs: Mapping[str, Job]) -> None:
        self._jobs = jobs

    def __call__(self, delivery: NewDelivery) -> Sequence[NewRun]:
        """The runs that start because of `delivery`; none unless it is quarantined or a conflict."""
        if delivery.status not in ("quarantined", "conflict"):
            return ()
        happened = [_event(delivery)]
        raised: list[NewRun] = []
        for job in [job for job in self._jobs.values() if _is_on_alarms(job)]:
            bound = bindings.bind(happened, {job.name: job}, delivery.id, b"")
            if bound.problem is not None:
                telemetry.log.error("alarm.failed", job=job.name, delivery=delivery.id, reason=bound.problem)
            raised += [replace(run, event_index=RAISED) for run in bound.runs]
        return raised


def _is_on_alarms(job: Job) -> bool:
    return any(type_.startswith(PREFIX) for pattern in job.on for type_ in pattern.types)


def _event(delivery: NewDelivery) -> Event:
    told = {
        "source": delivery.source,
        "key": delivery.key,
        "type": delivery.type,
        "subject": delivery.subject,
        "status": delivery.status,
        "reason": delivery.reason,
    }
    return Event(
        f"{PREFIX}.{delivery.status}",
        key=delivery.subject or "",
        data=told | {"delivery": str(delivery.id), "conflict_of": delivery.conflict_of and str(delivery.conflict_of)},
        fields={name: value for name, value in told.items() if value is not None},
    )
