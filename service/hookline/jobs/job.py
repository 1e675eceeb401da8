"""A job: a named, versioned definition of work, and what a run of it needs."""

from __future__ import annotations

import inspect
import re
import string
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, get_type_hints

from hookline.codec import Typed, Undecodable, decode
from hookline.errors import ConfigurationError, InvalidInput
from hookline.events import Event, Pattern, lookup
from hookline.jobs import tags
from hookline.jobs.context import Context
from hookline.jobs.diagram import Diagram
from hookline.jobs.retry import ONCE, Retry
from hookline.jobs.schedule import Schedule
from hookline.terms import ONE_AT_A_TIME, Terms

ALONE = re.compile(r"{([^{}!:]+)}")
"""A template that is nothing but what is at a path."""

JobFunction = Callable[..., Awaitable[Any]]
Scope = str | Callable[[Any], str | None] | None
"""A template over the fields of the input (`{repository}`), or a function of the input."""

Tags = tuple[str, ...] | Callable[[Any], Iterable[str]]
"""Templates, or a function of the event or input."""

Input = Callable[[Event], Any] | Mapping[str, Any] | None
"""A function of the event, or an object whose texts are templates; one that is `{path}` alone is what is there."""


@dataclass(frozen=True, slots=True)
class Job:
    """What a user declared with `@app.job`.

    Args:
        takes: what the function's second parameter is declared to be; `None` if that is the whole event.
        on: the events that start a run.
        retry: when a run that failed is tried again, from the step that failed.
        timeout: seconds from the first claim of a run to its end.
        on_error: what becomes of a run that failed for good: it fails, or it is paused for an operator to resume it.
        resume_after: seconds after which a run that was so paused goes on by itself.
        hooks: by `completed`, `failed`, `paused`, `cancelled` and `data_deleted`, the job that is started then.
        scrub: what is left of an input when an operator has a run's data deleted.
        schedules: when runs of it start by themselves.
        priority: of its runs, unless whoever starts one says another.
        correlate: what a run is about; at most one unfinished run is about the same.
        idempotency_key: of an event, for which at most one run is ever created.
        input: what a run is handed instead of the event that starts it.
        terms: how the runs in one of its scopes get along.
        tags: what people find its runs by.
    """

    name: str
    version: int
    function: JobFunction
    takes: Typed | None
    on: tuple[Pattern, ...] = ()
    scope: Scope = None
    retry: Retry = ONCE
    timeout: float | None = None
    on_error: Literal["fail", "pause"] = "fail"
    resume_after: float | None = None
    hooks: Mapping[str, str] = field(default_factory=dict)
    scrub: Callable[[Any], Any] | None = None
    schedules: tuple[Schedule, ...] = ()
    correlate: Scope = None
    priority: int | Callable[[Any], int] = 0
    idempotency_key: Scope = None
    input: Input = None
    terms: Terms = ONE_AT_A_TIME
    tags: Tags = ()

    def scheduled(self) -> list[tuple[str, Schedule]]:
        """Its schedules, each with its name."""
        return [(each.name or self.name, each) for each in self.schedules]

    @property
    def offer(self) -> str:
        """What a worker that has this job can run, as the claim names it."""
        return offer(self.name, self.version)

    @property
    def diagram(self) -> Diagram | None:
        """What it may do; `None` of a coroutine, which only its runs can tell."""
        draw = getattr(self.function, "diagram", None)
        return None if draw is None else draw()

    def argument(self, input_: bytes, event: bytes | None) -> Any:
        """What the function is called with: `input_` (JSON) as the declared type, or the event around it.

        Raises:
            Undecodable: the input is not of that type.
        """
        if self.takes is not None:
            return self.takes.decode(input_)
        return Event.of_json("trigger", input_) if event is None else Event.of_envelope(event, input_)

    def check(self, input_: bytes) -> None:
        """Return if a run could start with `input_` (JSON); raises `InvalidInput`."""
        try:
            if self.takes is None:
                decode(input_)
            else:
                self.takes.decode(input_)
        except Undecodable as error:
            raise InvalidInput(f"the input does not fit job {self.name}: {error}") from None

    def scope_of(self, about: Event | Any) -> str | None:
        """The scope of a run that `about`, an event or an input of JSON builtins, starts.

        Raises:
            InvalidInput: the template names a field that is not there.
        """
        return self._filled("scope", self.scope, about)

    def correlation_of(self, about: Event | Any) -> str | None:
        """What a run is about that `about`, an event or an input of JSON builtins, starts; raises `InvalidInput`."""
        return self._filled("correlation", self.correlate, about)

    def key_of(self, event: Event) -> str | None:
        """The idempotency key of a run that `event` starts; raises `InvalidInput`."""
        return self._filled("idempotency key", self.idempotency_key, event)

    def priority_of(self, about: Event | Any) -> int:
        """The priority of a run that `about`, an event or an input of JSON builtins, starts."""
        return self.priority(about) if callable(self.priority) else self.priority

    def input_of(self, event: Event) -> Any:
        """What a run that `event` starts is handed instead of it; only of a job with an `input`.

        Raises:
            InvalidInput: a template names a field that is not there.
        """
        if callable(self.input):
            return self.input(event)
        try:
            return _rendered(event.lookup, self.input)
        except LookupError as error:
            raise InvalidInput(f"the input of job {self.name} needs more: {error}") from None

    def tags_of(self, about: Event | Any) -> tuple[str, ...]:
        """The tags of a run that `about`, an event or an input of JSON builtins, starts.

        A template that leads to several texts gives a tag for each; one that leads nowhere gives none, and what cannot
        be a tag is left out, since no run should fail to start for want of a tag.
        """
        if not self.tags:
            return ()
        if callable(self.tags):
            found: list[Any] = list(self.tags(about))
        else:
            found = []
            find = about.lookup if isinstance(about, Event) else lambda path: lookup(about, path)
            for template in self.tags:
                try:
                    told = _rendered(find, template)
                except LookupError:
                    continue
                found += told if isinstance(told, list) else [told]
        fitting = dict.fromkeys(str(each) for each in found)
        return tuple(each for each in fitting if tags.is_one(each))[: tags.MOST]

    def _filled(self, what: str, wanted: Scope, about: Event | Any) -> str | None:
        if wanted is None or callable(wanted):
            return None if wanted is None else wanted(about)
        find = about.lookup if isinstance(about, Event) else lambda path: lookup(about, path)
        try:
            return _Template(find).format(wanted)
        except LookupError as error:
            raise InvalidInput(f"the {what} {wanted!r} of job {self.name} needs more: {error}") from None

    async def call(self, ctx: Context, argument: Any) -> Any:
        """Call the function."""
        return await self.function(ctx, argument)


def offer(name: str, version: int) -> str:
    """How workers and claims name a version of a job."""
    return f"{name}@{version}"


class _Template(string.Formatter):
    """Fills `{dotted.path}` from a look-up; knows no attributes and no indices, so it reaches nothing else."""

    def __init__(self, find: Callable[[str], Any]) -> None:
        self._find = find

    def get_field(self, field_name: str, args: Any, kwargs: Mapping[str, Any]) -> tuple[Any, str]:  # noqa: ARG002
        return self._find(field_name), field_name


def _rendered(find: Callable[[str], Any], wanted: Any) -> Any:
    """`wanted` with its templates filled."""
    if isinstance(wanted, Mapping):
        return {name: _rendered(find, each) for name, each in wanted.items()}
    if isinstance(wanted, list | tuple):
        return [_rendered(find, each) for each in wanted]
    if not isinstance(wanted, str):
        return wanted
    alone = ALONE.fullmatch(wanted)
    return find(alone[1]) if alone else _Template(find).format(wanted)


def input_type(function: JobFunction, name: str) -> Typed | None:
    """What the second parameter of a job's function is declared to take; `None` for an `Event`.

    Raises:
        ConfigurationError: it is not `async def name(ctx, input)`.
    """
    parameters = list(inspect.signature(function).parameters.values())
    if not inspect.iscoroutinefunction(function) or len(parameters) != 2:
        raise ConfigurationError(f"job {name} must be `async def {name}(ctx, input)`")
    try:
        declared = get_type_hints(function).get(parameters[1].name, Any)
        return None if declared is Event else Typed(declared)
    except Exception as error:
        raise ConfigurationError(f"job {name}: cannot use the type of `{parameters[1].name}`: {error}") from error
