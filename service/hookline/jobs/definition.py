"""A definition: a job as data, built from registered steps and operators."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Annotated, Any, Literal, cast

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from hookline.errors import ConfigurationError, InvalidInput
from hookline.events import Pattern
from hookline.jobs import given as supply
from hookline.jobs.document import Document, Path
from hookline.jobs.graph import Graph, Rule
from hookline.jobs.operators import Command, GitHubComment, GitHubStatus, HttpRequest
from hookline.jobs.options import JobOptions, terms
from hookline.jobs.retry import ONCE, Retry
from hookline.jobs.schedule import CatchUp, Overlap, Schedule
from hookline.jobs.step import Step
from hookline.terms import Debounce, Rate, Word

OPERATORS = ("step", "command", "request", "github_status", "github_comment")

Number = Annotated[float, Field(ge=0, le=1e9)]


_UNION = re.compile(r"[\[_]|^(str|function-.*)$")
"""What pydantic puts into a path for the branch of a union that it tried."""


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class _Retry(_Part):
    attempts: Annotated[int, Field(ge=1, le=1000)] = 3
    delay: Number | list[Number] = 1.0
    factor: Annotated[float, Field(ge=0, le=1000)] = 2.0
    cap: Number = 300.0
    jitter: Annotated[float, Field(ge=0, le=1)] = 0.2


class _On(_Part):
    type: str | list[str]
    where: dict[str, str | list[str]] = {}


class _Rate(_Part):
    count: int
    per: Number


class _Debounce(_Part):
    quiet: Number
    at_most: Number | None = None


class _Schedule(_Part):
    cron: str
    timezone: str = "UTC"
    input: Any = None
    catch_up: CatchUp = "skip"
    most: Annotated[int, Field(ge=1, le=10_000)] = 100
    overlap: Overlap = "allow"
    jitter: Number = 0


class _Request(_Part):
    method: str
    url: str
    headers: dict[str, str] = {}
    json_: Annotated[Any, Field(alias="json")] = None
    timeout: Number = 30.0
    redirects: bool = False


class _Task(_Part):
    step: str | None = None
    command: list[str] | None = None
    request: _Request | None = None
    github_status: dict[str, str] | None = None
    github_comment: dict[str, str] | None = None
    with_: Annotated[dict[str, Any] | None, Field(alias="with")] = None
    after: str | list[str] | None = None
    rule: Rule = "all_successful"
    retry: _Retry | None = None
    timeout: Number | None = None
    env: dict[str, str] = {}


class _Named(_Task):
    name: str


class _Definition(_Part):
    description: str = ""
    on: list[_On | str] = []
    schedule: str | _Schedule | None = None
    scope: str | None = None
    limit: int | None = 1
    rate: _Rate | None = None
    policy: Word | _Debounce = "queue"
    idempotency_key: str | None = None
    correlate: str | None = None
    tags: list[str] = []
    priority: Annotated[int, Field(ge=-100, le=100)] = 0
    retry: _Retry | None = None
    timeout: Number | None = None
    on_error: Literal["fail", "pause"] = "fail"
    concurrency: Annotated[int, Field(ge=1, le=10_000)] | None = None
    tasks: dict[str, _Task] | list[_Named]


@dataclass(frozen=True, slots=True)
class Definition:
    """A job that can be declared: what it does, and its options as of `@app.job`."""

    graph: Graph
    options: dict[str, Any]


def define(name: str, source: str, steps: Mapping[str, Step[..., Any]], *, commands: bool) -> Definition:
    """The job that `source`, YAML or JSON, defines with registered `steps`.

    Args:
        commands: whether tasks may run programs.

    Raises:
        InvalidInput: it defines none; told with the line.
    """
    document = Document(source)
    try:
        told = _Definition.model_validate(document.content)
    except ValidationError as error:
        raise _pointed(document, error) from None
    tasks = told.tasks if isinstance(told.tasks, dict) else _in_a_row(document, told.tasks)
    graph = Graph(name, concurrency=told.concurrency)
    graph.__doc__ = told.description
    if not tasks:
        raise InvalidInput(f"line {document.line(('tasks',))}: a definition has tasks")
    for number, (task, says) in enumerate(tasks.items()):
        path: Path = ("tasks", task if isinstance(told.tasks, dict) else number)
        try:
            graph.task(_operator(task, says, steps, commands=commands), rule=says.rule, **_options(task, says))
        except (ConfigurationError, ValueError) as error:
            raise InvalidInput(f"line {document.line(path)}: {error}") from None
    for number, (task, says) in enumerate(tasks.items()):
        path = ("tasks", task if isinstance(told.tasks, dict) else number)
        after = [says.after] if isinstance(says.after, str) else says.after or []
        for upstream in after:
            if upstream not in graph.tasks:
                raise InvalidInput(f"line {document.line((*path, 'after'))}: there is no task {upstream[:50]!r}")
            try:
                graph.tasks[task].set_upstream(graph.tasks[upstream])
            except ConfigurationError as error:
                raise InvalidInput(f"line {document.line((*path, 'after'))}: {error}") from None
    try:
        graph.check()
        options = _job_options(told)
        terms(name, cast("JobOptions", options))
        return Definition(graph, options)
    except (ConfigurationError, ValueError) as error:
        about = next((key for key in ("schedule", "policy", "limit", "rate") if key in str(error).lower()), "tasks")
        raise InvalidInput(f"line {document.line((about,))}: {error}") from None


def _in_a_row(document: Document, listed: list[_Named]) -> dict[str, _Task]:
    """Tasks that are listed: each is after the one before, unless it says otherwise."""
    found: dict[str, _Task] = {}
    before: str | None = None
    for number, each in enumerate(listed):
        if each.name in found:
            raise InvalidInput(f"line {document.line(('tasks', number))}: there are two tasks {each.name[:50]!r}")
        after = each.after if each.after is not None or before is None else before
        found[each.name] = each.model_copy(update={"after": after})
        before = each.name
    return found


def _operator(name: str, says: _Task, steps: Mapping[str, Step[..., Any]], *, commands: bool) -> Any:
    given = [each for each in OPERATORS if getattr(says, each) is not None]
    if len(given) != 1:
        raise ConfigurationError(f"task {name} says one of {', '.join(OPERATORS)}, not {' and '.join(given) or 'none'}")
    if says.with_ is not None and says.step is None:
        raise ConfigurationError(f"task {name} has `with`, which is for a step")
    if says.env and says.command is None:
        raise ConfigurationError(f"task {name} has `env`, which is for a command")
    if says.step is not None:
        if says.step not in steps:
            known = ", ".join(sorted(steps)) or "none"
            raise ConfigurationError(f"task {name}: there is no step {says.step[:50]!r}; registered are {known}")
        return _bound(steps[says.step], says.with_)
    if says.command is not None:
        if not commands:
            raise ConfigurationError(f"task {name}: commands need HOOKLINE_DEFINITIONS_COMMANDS=true")
        return Command(*says.command, name=name, env=says.env)
    if says.request is not None:
        request = says.request.model_dump(by_alias=True)
        return HttpRequest(request.pop("method"), request.pop("url"), name=name, **request)
    if says.github_status is not None:
        return _made(GitHubStatus, name, says.github_status, "state")
    return _made(GitHubComment, name, says.github_comment or {}, "body")


def _made(operator: Any, name: str, says: Mapping[str, str], first: str) -> Any:
    allowed = {"context", "description", "target_url", "sha", "repository", "number", "marker", first}
    if first not in says or says.keys() - allowed:
        raise ConfigurationError(
            f"task {name} says {first}, and of {', '.join(sorted(allowed - {first}))} what it needs"
        )
    try:
        return operator(**says, name=name)
    except TypeError as error:
        raise ConfigurationError(f"task {name}: {error}") from None


@dataclass(frozen=True, slots=True)
class _Bound:
    """Calls a registered step with what a definition gives it, read as the types that it declares."""

    step: Step[..., Any]
    needs: supply.Needs
    template: Mapping[str, Any] | None

    async def later(self, given: Mapping[str, Any]) -> Any:
        """Of an `async def`."""
        return await self.step.function(**self._arguments(given))

    def now(self, given: Mapping[str, Any]) -> Any:
        """Of a `def`."""
        return self.step.function(**self._arguments(given))

    def _arguments(self, given: Mapping[str, Any]) -> dict[str, Any]:
        fields = given["input"] if isinstance(given["input"], Mapping) else {}
        there = {**fields, **given} if self.template is None else supply.rendered(self.template, given)
        return self.needs.chosen(f"step {self.step.name}", there)


def _bound(step: Step[..., Any], template: Mapping[str, Any] | None) -> Step[..., Any]:
    needs = supply.Needs.of(f"step {step.name}", step.function)
    if needs.context:
        raise ConfigurationError(f"step {step.name} wants a Context, which a definition cannot give it")
    if template is not None and (unknown := template.keys() - needs.types.keys()):
        raise ConfigurationError(f"step {step.name} has no parameter {min(unknown)[:50]!r}")
    bound = _Bound(step, needs, template)
    return replace(step, function=bound.later if step.is_async else bound.now)


def _options(name: str, says: _Task) -> dict[str, Any]:
    options: dict[str, Any] = {"name": name}
    if says.retry is not None:
        options["retry"] = _retry(says.retry)
    if says.timeout is not None:
        options["timeout"] = says.timeout
    return options


def _retry(says: _Retry) -> Retry:
    return Retry(says.attempts, says.delay, says.factor, says.cap, says.jitter)


def _job_options(told: _Definition) -> dict[str, Any]:
    patterns = [Pattern([each]) if isinstance(each, str) else _pattern(each) for each in told.on]
    options: dict[str, Any] = {
        "on": patterns,
        "scope": told.scope,
        "correlate": told.correlate,
        "tags": told.tags,
        "priority": told.priority,
        "retry": ONCE if told.retry is None else _retry(told.retry),
        "timeout": told.timeout,
        "on_error": told.on_error,
    }
    options |= {key: getattr(told, key) for key in {"limit", "idempotency_key"} & told.model_fields_set}
    if told.rate is not None:
        options["rate"] = Rate(told.rate.count, told.rate.per)
    if told.policy != "queue":
        options["policy"] = Debounce(**told.policy.model_dump()) if isinstance(told.policy, _Debounce) else told.policy
    if told.schedule is not None:
        says = {"cron": told.schedule} if isinstance(told.schedule, str) else told.schedule.model_dump()
        options["schedule"] = Schedule(**says)
    return options


def _pattern(says: _On) -> Pattern:
    types = [says.type] if isinstance(says.type, str) else says.type
    return Pattern(types, {name: [globs] if isinstance(globs, str) else globs for name, globs in says.where.items()})


def _pointed(document: Document, error: ValidationError) -> InvalidInput:
    """The first of the reasons, with the line that it is about."""
    reasons = error.errors(include_url=False, include_input=False)
    deepest = max(reasons, key=lambda each: len(each["loc"]))
    path = tuple(part for part in deepest["loc"] if isinstance(part, int) or not _UNION.search(part))
    at = ".".join(str(part) for part in path) or "the definition"
    return InvalidInput(f"line {document.line(path)}: {at}: {deepest['msg']}")
