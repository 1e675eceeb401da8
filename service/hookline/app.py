"""App: what a user declares, and what a replica is told to run."""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any, ParamSpec, Protocol, TypeVar, Unpack, cast, overload

from hookline.codec import Typed
from hookline.errors import ConfigurationError, InvalidInput, UnknownJob
from hookline.events import Pattern
from hookline.jobs.connector import Connector, Stream
from hookline.jobs.context import Context
from hookline.jobs.definition import define
from hookline.jobs.diagram import Diagram
from hookline.jobs.job import Job, JobFunction, Tags, input_type, offer
from hookline.jobs.options import Hook, JobOptions, terms
from hookline.jobs.retry import ONCE
from hookline.jobs.schedule import Schedule
from hookline.jobs.step import Options, Step, as_step
from hookline.source_settings import SourceOptions, SourceSettings, from_code
from hookline.spans import seconds

F = TypeVar("F", bound=JobFunction)

P = ParamSpec("P")
R = TypeVar("R")


class Written(Protocol):
    """A job that is written as an object: a Chain, a Graph, a Machine.

    Attributes:
        name: what it is called.
        takes: what its input is read as; `None` if it is handed the whole event.
    """

    name: str
    takes: Typed | None

    def bind(self, steps: Mapping[str, Step[..., Any]]) -> None:
        """Find the steps that it names among those that are registered; raises `ConfigurationError`."""

    def check(self) -> None:
        """Return if it can be run; raises `ConfigurationError`."""

    def diagram(self) -> Diagram:
        """What it may do."""

    def __call__(self, ctx: Context, argument: Any, /) -> Awaitable[Any]:
        """Run it."""


W = TypeVar("W", bound=Written)


HOOKS = ("completed", "failed", "paused", "cancelled", "data_deleted")


class App:
    """A set of jobs.

    Example:
        app = App()

        @app.job(on=github.push(branches=["main"]), scope="{repository}")
        async def deploy(ctx: Context, event: Event) -> str:
            return await ctx.step(build, event.data["after"])

    Attributes:
        offers: every version of each job, by its offer, `job@version`; grows when a definition is learnt.
        latest: by name, the version of each job that new runs get: the highest; so does this.
        connectors: the foreign streams, by their names.
        sources: the endpoints for webhooks that code declares, by their names.
        known: up to which change of the definitions it has learnt them.
    """

    def __init__(self) -> None:
        self._steps: dict[str, Step[..., Any]] = {}
        self._defined: set[str] = set()
        self.offers: dict[str, Job] = {}
        self.latest: dict[str, Job] = {}
        self.connectors: dict[str, Connector] = {}
        self.sources: dict[str, SourceSettings] = {}
        self.known = 0

    def job(self, name: str | None = None, **options: Unpack[JobOptions]) -> Callable[[F], F]:
        """Declare the decorated `async def job(ctx, input)` a job.

        Args:
            name: what the job is called; the function's name unless said otherwise.
            options: see `JobOptions`.

        Raises:
            ConfigurationError: the name and version are taken, or the function is not a job's.
        """

        def declare(function: F) -> F:
            named = name or function.__name__
            self._declare(named, function, input_type(function, named), options)
            return function

        return declare

    def add(self, written: W, **options: Unpack[JobOptions]) -> W:
        """Declare a Chain, a Graph or a Machine a job; returns it.

        Args:
            options: see `JobOptions`.

        Raises:
            ConfigurationError: the name and version are taken, or it cannot be run.

        Example:
            app.add(Chain("release", build.then(ship)), on=github.push(branches=["main"]))
        """
        written.bind(self._steps)
        written.check()
        self._declare(written.name, written, written.takes, options)
        return written

    def connector(self, name: str, stream: Stream | None = None) -> Any:
        """Declare a foreign stream: `stream`, or the decorated function.

        It is an asynchronous iterator over Items behind the cursor that it is handed, `None` at the beginning. One
        replica at a time reads it, another when that is gone; each item is committed once, together with its cursor.

        Raises:
            ConfigurationError: the name is taken.

        Example:
            @app.connector("orders")
            async def orders(cursor: int | None) -> AsyncIterator[Item]:
                async for order in shop.orders(after=cursor):
                    yield Item(order.number, Trigger("ship", order.as_dict()))
        """

        def declare(function: Stream) -> Stream:
            if name in self.connectors or not 0 < len(name) <= 200 or not name.isprintable():
                raise ConfigurationError(f"there cannot be another connector {name[:50]!r}")
            self.connectors[name] = Connector(name, function)
            return function

        return declare if stream is None else declare(stream)

    def source(self, name: str, **options: Unpack[SourceOptions]) -> None:
        """Declare an endpoint `/webhooks/{name}`, as the settings could do.

        Args:
            options: see `SourceOptions`.

        Raises:
            ConfigurationError: the name is taken, or an option does not fit.

        Example:
            app.source("shop", parser="stripe", secrets="SHOP_WEBHOOK_SECRETS", rate="100/s")
        """
        if name in self.sources:
            raise ConfigurationError(f"source {name} is declared twice")
        self.sources[name] = from_code(name, options)

    @overload
    def step(self, function: Callable[P, R], /) -> Step[P, R]: ...
    @overload
    def step(self, /, **options: Unpack[Options]) -> Callable[[Callable[P, R]], Step[P, R]]: ...
    def step(self, function: Any = None, /, **options: Any) -> Any:
        """As `hookline.step`, and registers the step, so that chains and definitions can tell it by its name.

        Raises:
            ConfigurationError: another step has that name.
        """

        def register(function: Callable[P, R]) -> Step[P, R]:
            made = as_step(function).options(**options)
            if self._steps.setdefault(made.name, made) is not made:
                raise ConfigurationError(f"step {made.name} is registered twice")
            return made

        return register if function is None else register(function)

    def _declare(self, named: str, function: JobFunction, takes: Typed | None, options: JobOptions) -> None:
        if not named.replace("-", "_").replace(".", "_").isidentifier():
            raise ConfigurationError(f"a job's name is letters, digits, _, - and dots, not {named!r}")
        version, on = options.get("version", 1), options.get("on", ())
        if offer(named, version) in self.offers:
            raise ConfigurationError(f"job {named} version {version} is declared twice")
        timeout, resume_after = options.get("timeout"), options.get("resume_after")
        retry, errors = options.get("retry", ONCE), options.get("pause_after_errors")
        hooks: dict[str, Hook] = {what: cast("Hook", options.get(f"on_{what}")) for what in HOOKS}
        # a hook or a child may be told by its function
        function.hookline_job = named  # type: ignore[attr-defined] # mypy lets no function bear a mark
        job = Job(
            name=named,
            version=version,
            function=function,
            takes=takes,
            on=(on,) if isinstance(on, Pattern) else tuple(on),
            scope=options.get("scope"),
            terms=terms(named, options),
            correlate=options.get("correlate"),
            retry=retry if errors is None else replace(retry, attempts=errors),
            timeout=None if timeout is None else seconds(timeout),
            on_error=options.get("on_error", "fail") if errors is None else "pause",
            resume_after=None if resume_after is None else seconds(resume_after),
            hooks={what: _name_of(hook) for what, hook in hooks.items() if hook is not None},
            scrub=options.get("scrub"),
            schedules=_schedules(options.get("schedule", ())),
            priority=options.get("priority", 0),
            input=options.get("input"),
            idempotency_key=options.get("idempotency_key"),
            tags=_tags(named, options.get("tags", ())),
        )
        self._take(job)

    def _take(self, job: Job) -> None:
        self.offers[job.offer] = job
        if job.name not in self.latest or self.latest[job.name].version <= job.version:
            self.latest[job.name] = job

    def check_definition(self, name: str, source: str, *, commands: bool) -> None:
        """Return if a job of that name can be defined so; raises `InvalidInput`, told with the line."""
        if name in self.latest and name not in self._defined:
            raise InvalidInput(f"job {name} is written in code, and cannot be defined")
        if not name.replace("-", "_").replace(".", "_").isidentifier():
            raise InvalidInput(f"a job's name is letters, digits, _, - and dots, not {name[:50]!r}")
        define(name, source, self._steps, commands=commands)

    def learn(self, name: str, version: int, source: str | None, *, commands: bool) -> None:
        """Declare a version of a definition, or, without a source, start no more runs of it.

        Raises:
            InvalidInput: it cannot be run here: a step is not registered, or the name is taken by code.
        """
        if source is None:
            if name in self._defined:
                self.latest.pop(name, None)
            return
        if offer(name, version) not in self.offers:
            self.check_definition(name, source, commands=commands)
            found = define(name, source, self._steps, commands=commands)
            self._defined.add(name)
            self._declare(name, found.graph, None, cast("JobOptions", found.options | {"version": version}))

    def __iter__(self) -> Iterator[Job]:
        return iter(self.offers.values())

    def find(self, name: str) -> Job:
        """The latest version of the job called `name`; raises `UnknownJob`."""
        try:
            return self.latest[name]
        except KeyError:
            raise UnknownJob(f"there is no job {name!r}") from None

    def check(self) -> None:
        """Return if every hook is a declared job, and no two schedules have one name; raises `ConfigurationError`."""
        latest = self.latest
        counts = Counter(name for job in latest.values() for name, _ in job.scheduled())
        for name, count in counts.items():
            if count > 1:
                raise ConfigurationError(f"there are {count} schedules called {name!r}: give each a name of its own")
        for job in self:
            for what, hook in job.hooks.items():
                if hook not in latest:
                    raise ConfigurationError(f"job {job.name}: on_{what} names {hook!r}, which is no job")

    def include(self, other: App) -> None:
        """Declare all jobs of `other` here too; raises `ConfigurationError` if a name and version are taken."""
        for job in other:
            if self.offers.setdefault(job.offer, job) is not job:
                raise ConfigurationError(f"job {job.name} version {job.version} is declared twice")
            self._take(job)
        for name, connector in other.connectors.items():
            if self.connectors.setdefault(name, connector) is not connector:
                raise ConfigurationError(f"connector {name} is declared twice")
        for name, source in other.sources.items():
            if self.sources.setdefault(name, source) is not source:
                raise ConfigurationError(f"source {name} is declared twice")
        for name, made in other._steps.items():
            if self._steps.setdefault(name, made) is not made:
                raise ConfigurationError(f"step {name} is registered twice")


def _tags(job: str, given: Iterable[str] | Callable[[Any], Iterable[str]]) -> Tags:
    if isinstance(given, str):
        raise ConfigurationError(f"job {job}: tags are a list of texts, such as [{given!r}]")
    return given if callable(given) else tuple(given)


def _schedules(given: str | Schedule | Iterable[Schedule]) -> tuple[Schedule, ...]:
    if isinstance(given, str):
        return (Schedule(given),)
    return (given,) if isinstance(given, Schedule) else tuple(given)


def _name_of(hook: str | JobFunction) -> str:
    named = hook if isinstance(hook, str) else getattr(hook, "hookline_job", None)
    if named is None:
        raise ConfigurationError(f"{hook!r} is not a job: declare it with @app.job(), or give its name")
    return str(named)
