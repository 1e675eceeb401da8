"""A backtest: what a delivery that was taken in would start today, against what it started then; nothing is written."""

from __future__ import annotations

import base64
from collections.abc import Iterator, Mapping
from typing import Any, Literal

import msgspec
from msgspec import UNSET, Struct, UnsetType

from hookline import codec
from hookline.ingress.examination import examine
from hookline.ingress.parser import Parser
from hookline.ingress.schemes import Headers, Kept, Received
from hookline.ingress.sources import Source
from hookline.jobs.job import Job
from hookline.store.delivery import NewDelivery, Status
from hookline.store.runs import NewRun

COMPARED = ("version", "scope", "priority", "idempotency_key", "correlation")


class Change(Struct, frozen=True):
    """What of a run is another, by its path; what is not there is left out."""

    path: str
    then: Any = UNSET
    now: Any = UNSET


class Difference(Struct, frozen=True, omit_defaults=True):
    """A run that would appear, vanish or change.

    Args:
        event: the index of the event in its delivery.
        version: of the job, of the run that there would be, or else that there was; `None` if nobody knows it.
        why: for people, why there was or would be none.
        changes: of a run that changes, in what.
    """

    kind: Literal["appears", "vanishes", "changes"]
    job: str
    event: int
    version: int | None
    why: str | None = None
    changes: tuple[Change, ...] = ()


class Outcome(Struct, frozen=True):
    """What a backtest found of one delivery.

    Args:
        reason: why it would be quarantined.
        same: by job, how many runs would be as they were.
    """

    then: Status
    now: Status
    reason: str | None
    differences: tuple[Difference, ...]
    same: tuple[str, ...]

    @property
    def is_different(self) -> bool:
        """Whether a run would be another, or the delivery would come into quarantine or out of it."""
        return bool(self.differences) or (self.then == "quarantined") != (self.now == "quarantined")


def why_not(told: Mapping[str, Any]) -> str | None:
    """Why a delivery, as the feed tells it, cannot be tried again; `None` if it can."""
    if told["status"] == "conflict":
        return "conflicts"
    if told["source"].startswith("connector:"):
        return "of connectors"
    return "without their data" if not told["headers"] and not told["body_base64"] else None


def tried(told: Mapping[str, Any], parser: Parser, jobs: Mapping[str, Job]) -> Outcome:
    """What would come of a delivery, as the feed tells it, under `parser` and `jobs`.

    Nobody's functions are called but the parser's, and what the jobs' bindings consist of.
    """
    headers = Headers([(name.encode("latin-1"), value.encode("latin-1")) for name, value in told["headers"]])
    source = Source(told["source"], parser, Kept(told["secret"]), ())
    body = base64.b64decode(told["body_base64"])
    examined, _ = examine(source, Received(headers, body), jobs)
    now = {(run.event_index or 0, run.job): run for run in examined.runs}
    then = {(each["event"], each["job"]): each for each in told["runs"]}
    bound = _bound(told)
    differences: list[Difference] = []
    same: list[str] = []
    for place in sorted(now.keys() | then.keys() | bound.keys()):
        event, job = place
        run, was = now.get(place), then.get(place)
        if run is None:
            version = bound[place] if was is None else was["version"]
            differences.append(Difference("vanishes", job, event, version, _why_none(examined, event, job)))
        elif was is None and place not in bound:
            why = next((each.get("why") for each in _verdicts(told["bindings"], event, job)), None)
            differences.append(Difference("appears", job, event, run.version, why))
        elif changes := tuple(_changes(was, run, body)) if was else ():
            differences.append(Difference("changes", job, event, run.version, None, changes))
        else:
            same.append(job)
    return Outcome(told["status"], examined.status, examined.reason, tuple(differences), tuple(same))


def _bound(told: Mapping[str, Any]) -> dict[tuple[int, str], int]:
    """The version of the job that each event was bound to; its run may be another delivery's, by an idempotency key."""
    verdicts = (told["bindings"] or ()) if told["status"] == "accepted" else ()
    return {(each["event"], each["job"]): each["version"] for each in verdicts if each["verdict"] == "matched"}


def _verdicts(bindings: Any, event: int, job: str) -> Iterator[Mapping[str, Any]]:
    return (each for each in bindings or () if each["event"] == event and each["job"] == job)


def _why_none(examined: NewDelivery, event: int, job: str) -> str:
    if examined.status == "quarantined":
        return f"the delivery would be quarantined: {examined.reason}"
    for each in _verdicts(codec.decode(examined.bindings), event, job):
        return str(each.get("why"))
    return "no such job is on such an event"


def _changes(was: Mapping[str, Any], run: NewRun, body: bytes) -> Iterator[Change]:
    for name in COMPARED:
        if was[name] != getattr(run, name):
            yield Change(name, was[name], getattr(run, name))
    if was["data_deletion"] is None and not (was["input_is_body"] and run.input is None):
        then = _value(body) if was["input_is_body"] else was["input"]
        yield from compared(then, _value(body if run.input is None else run.input), "input")


def _value(raw: bytes) -> Any:
    try:
        return codec.decode(raw)
    except codec.Undecodable:
        return raw.decode("utf-8", "replace")


def compared(then: Any, now: Any, path: str) -> Iterator[Change]:
    """Where two values of JSON differ, each place by its dotted path behind `path`."""
    if isinstance(then, dict) and isinstance(now, dict):
        for name in [*then, *(name for name in now if name not in then)]:
            yield from compared(then.get(name, UNSET), now.get(name, UNSET), f"{path}.{name}")
    elif isinstance(then, list) and isinstance(now, list) and len(then) == len(now):
        for index, (one, other) in enumerate(zip(then, now, strict=True)):
            yield from compared(one, other, f"{path}.{index}")
    elif type(then) is not type(now) or then != now:
        yield Change(path, then, now)


def shown(value: Any) -> str:
    """`value` for people: its JSON, or that there is none."""
    return "(absent)" if isinstance(value, UnsetType) else msgspec.json.encode(value).decode()
