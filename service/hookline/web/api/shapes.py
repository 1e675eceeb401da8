"""Shapes: what the API answers, as types, for whoever reads its document; tests hold the answers against them."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal, NotRequired, TypedDict
from uuid import UUID

from hookline.store.states import STATES
from hookline.web.access import Role

State = Literal[STATES]  # type: ignore[valid-type]
Status = Literal["accepted", "ignored", "quarantined", "conflict"]


class Problem(TypedDict):
    """What went wrong, for the person who must act; RFC 9457."""

    type: str
    title: str
    status: int
    detail: str
    instance: NotRequired[str]


class Run(TypedDict):
    """A run without its data."""

    id: UUID
    job: str
    version: int
    scope: str | None
    state: State
    priority: int
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    due_at: datetime | None
    delivery: UUID | None
    parent: UUID | None
    reason: str | None
    attempt: int
    worker: UUID | None
    forked_from: UUID | None
    superseded_by: UUID | None
    correlation: str | None
    data_deletion: str | None
    source: str | None
    subject: str | None
    tags: list[str] | None


class Recorded(TypedDict):
    """One call of a run, as its journal holds it."""

    key: str
    kind: str
    state: str
    attempt: int
    output: Any
    error: Any
    started_at: datetime | None
    finished_at: datetime | None


class RunWithData(Run):
    """A run with what went in, what came out, and its journal."""

    event: Any
    input: Any
    output: Any
    error: Any
    journal: list[Recorded]


class OpenCall(TypedDict):
    """A call of a run that has not ended."""

    key: str
    kind: str
    state: str
    due_at: datetime | None


class DebuggedRun(RunWithData):
    """A run with all that explains why it does what it does."""

    why: str
    offered: bool
    control: str | None
    losses: int
    claims: int
    variables: dict[str, Any]
    waits: list[OpenCall]
    held: dict[str, int]
    children: list[dict[str, Any]]


class RunPage(TypedDict):
    """A page of runs, the newest first; `next` is the cursor of the page behind it.

    A page may be short, or empty, though there is a next one: then it tells how far it has looked back.
    """

    runs: list[Run]
    next: UUID | None
    looked_back_to: datetime | None


class LogLine(TypedDict):
    """A line that a run has said; `step` is the key of the step that said it, `null` if the job did.

    `kind` is `call` of a request to others, or of a program: its `fields` are `method`, `url`, `status`, `ms`,
    `idempotency_key` and `error`, those of them that there are.
    """

    id: str
    at: datetime
    level: Literal["debug", "info", "warning", "error", "critical"]
    kind: Literal["log", "call"]
    step: str | None
    attempt: int | None
    claim: int
    event: str
    fields: dict[str, Any]


class LogPage(TypedDict):
    """A page of what a run has said, in that order; of what is `dropped` nothing but the number of lines is known."""

    lines: list[LogLine]
    next: str | None
    dropped: int


class Signalled(TypedDict):
    """A signal that is held for its run."""

    run: UUID
    signal: str


class Completed(TypedDict):
    """A callback that was completed."""

    run: UUID
    callback: str


class DataDeleted(TypedDict):
    """How far the deletion of a run's data has come."""

    run: UUID
    data_deletion: Literal["requested", "done"]


class Terms(TypedDict):
    """How the runs in one scope of a job get along; spans are in seconds."""

    policy: Literal["queue", "cancel_running", "replace_waiting", "skip", "debounce"]
    limit: int | None
    rate: RunsPer | None
    quiet: float | None
    at_most: float | None


class RunsPer(TypedDict):
    """So many runs in so many seconds."""

    count: int
    per: float


class Job(TypedDict):
    """A job, as it is declared here, and who can run it.

    `on` has the types of events, and `picks` tells people what else is asked of them. Of the states in `at_least` there
    are more unfinished runs than are counted.
    """

    name: str
    version: int | None
    description: str
    on: list[str]
    picks: list[str]
    scope: str | None
    terms: Terms | None
    correlate: str | None
    attempts: int | None
    timeout: float | None
    on_error: Literal["fail", "pause"] | None
    input_schema: dict[str, Any]
    offered: list[str]
    unfinished: dict[str, int]
    at_least: list[str]


class JobList(TypedDict):
    """All jobs."""

    jobs: list[Job]


class Graph(TypedDict):
    """What a job may do."""

    job: str
    nodes: list[Any]
    edges: list[Any]
    mermaid: str


class Schedule(TypedDict, total=False):
    """When runs start by themselves."""

    name: str
    job: str
    spec: str
    active: bool
    next_at: datetime | None
    last_at: datetime | None
    problem: str | None
    declared: bool
    upcoming: list[datetime]
    cron: str | None
    timezone: str
    catch_up: str
    overlap: str


class ScheduleList(TypedDict):
    """All schedules."""

    schedules: list[Schedule]


class Token(TypedDict):
    """An API token, without itself."""

    id: UUID
    name: str
    role: Role
    created_at: datetime
    created_by: str
    expires_at: datetime | None
    revoked_at: datetime | None


class NewToken(Token):
    """A new API token, which is shown this once."""

    token: str


class TokenList(TypedDict):
    """All API tokens."""

    tokens: list[Token]


class Change(TypedDict):
    """A change that somebody asked for, or a log-in at a provider; without a status it was cut off in the middle."""

    id: UUID
    at: datetime
    who: str
    role: Role | Literal["none"]
    address: str | None
    method: str
    path: str
    status: int | None


class AuditPage(TypedDict):
    """A page of changes, the newest first."""

    audit: list[Change]
    next: UUID | None
