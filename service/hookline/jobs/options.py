"""Options: how a job is started, and what becomes of its runs, as they are declared."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Literal, TypedDict, cast

from hookline.errors import ConfigurationError
from hookline.events import Pattern
from hookline.jobs.job import Input, JobFunction, Scope
from hookline.jobs.retry import Retry
from hookline.jobs.schedule import Schedule
from hookline.spans import Seconds
from hookline.terms import Policy, Rate, Terms

Hook = str | JobFunction | None
"""A job, by its name or its function."""


class JobOptions(TypedDict, total=False):
    """How a job is started, and what becomes of its runs.

    Args:
        on: the events that start a run of it.
        version: raise it when the order or the names of its steps change; a run keeps the version that it was created
            with, so keep the old one declared until its runs have ended.
        scope: runs with the same scope run one at a time, in the order in which they were created.
        limit: how many runs of a scope are under way at once, 1 unless said; `None` for as many as there are.
        rate: how many runs of a scope become due in any span of time; see `Rate`.
        policy: what becomes of the others in the scope when a run comes: `queue`, they go first; `cancel_running`, it
            takes the place of all; `replace_waiting`, of those that have not begun, so that fifty events make one run;
            a `Debounce`, so that they make it when no more come; `skip`, it goes again if there is no room.
        priority: higher runs are claimed first, -100 to 100, or a function of the event or input that says so; whoever
            starts a run may say another.
        input: what a run is handed instead of the event that starts it: a function of the event, or an object whose
            texts are templates like `scope`, as in `{"sha": "{after}"}`.
        idempotency_key: at most one run is ever created for it, whatever events it comes of; a template or a function
            like `scope`.
        tags: what people find its runs by, as templates like `scope` or a function of the event or input:
            `tags=["{repository}", "env:prod", "{labels.name}"]`; where a template leads nowhere there is no such tag.
        correlate: what a run is about, as a template or a function like `scope`; while a run of the job is unfinished
            an event about the same is sent to it, see `Context.next_event`, and who asks for another is told of it.
        retry: when a run that failed is tried again, from the step that failed.
        timeout: from the first claim of a run to its end; a number is in seconds.
        on_error: `pause` has a run that failed wait for an operator, who resumes it from what failed.
        pause_after_errors: pause a run after so many failures, each tried again as `retry` says.
        resume_after: let a run that was so paused go on by itself; a number is in seconds.
        on_completed: a job, by its name or function, that is started when a run has succeeded; its input is
            `{"run", "job", "version", "state", "reason"}`. So are `on_failed`, `on_paused`, `on_cancelled` and
            `on_data_deleted`.
        scrub: makes of an input what may be kept of it when an operator has a run's data deleted.
        schedule: when runs of it start by themselves: cron's fields, a Schedule, or several of them.
    """

    on: Pattern | Iterable[Pattern]
    version: int
    scope: Scope
    limit: int | None
    rate: Rate | None
    policy: Policy
    priority: int | Callable[[Any], int]
    input: Input
    idempotency_key: Scope
    correlate: Scope
    tags: Iterable[str] | Callable[[Any], Iterable[str]]
    retry: Retry
    timeout: Seconds | None
    on_error: Literal["fail", "pause"]
    pause_after_errors: int | None
    resume_after: Seconds | None
    on_completed: Hook
    on_failed: Hook
    on_paused: Hook
    on_cancelled: Hook
    on_data_deleted: Hook
    scrub: Callable[[Any], Any] | None
    schedule: str | Schedule | Iterable[Schedule]


def terms(job: str, options: JobOptions) -> Terms:
    """How the runs in a scope of `job` get along, as its `options` say; raises `ConfigurationError`."""
    given = {name: each for name, each in options.items() if name in ("policy", "limit", "rate")}
    if given and options.get("scope") is None:
        raise ConfigurationError(f"job {job} has a {next(iter(given))}, but no scope in which it would matter")
    try:
        return Terms(**cast("Any", given))
    except ConfigurationError as error:
        raise ConfigurationError(f"job {job}: {error}") from None
