"""App: what a user declares, and what a replica is told to run."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Iterable, Iterator
from importlib.metadata import entry_points
from pathlib import Path
from typing import TypeVar

from hookline.errors import ConfigurationError, UnknownJob
from hookline.events import Pattern
from hookline.jobs.job import Job, JobFunction, Scope, input_type
from hookline.jobs.retry import ONCE, Retry, Seconds, seconds

F = TypeVar("F", bound=JobFunction)


class App:
    """A set of jobs.

    Example:
        app = App()

        @app.job(on=github.push(branches=["main"]), scope="{repository}")
        async def deploy(ctx: Context, event: Event) -> str:
            return await ctx.step(build, event.data["after"])
    """

    def __init__(self) -> None:
        self._jobs: dict[tuple[str, int], Job] = {}

    def job(
        self,
        name: str | None = None,
        *,
        on: Pattern | Iterable[Pattern] = (),
        version: int = 1,
        scope: Scope = None,
        retry: Retry = ONCE,
        timeout: Seconds | None = None,
    ) -> Callable[[F], F]:
        """Declare the decorated `async def job(ctx, input)` a job.

        Args:
            name: what the job is called; the function's name unless said otherwise.
            on: the events that start a run of it.
            version: raise it when the order or the names of its steps change; a run keeps the version that it
                was created with, so keep the old function declared until its runs have ended.
            scope: runs with the same scope run one at a time, in the order in which they were created.
            retry: when a run that failed is tried again, from the step that failed.
            timeout: from the first claim of a run to its end; a number is in seconds.

        Raises:
            ConfigurationError: the name and version are taken, or the function is not a job's.
        """

        def declare(function: F) -> F:
            named = name or function.__name__
            if not named.replace("-", "_").replace(".", "_").isidentifier():
                raise ConfigurationError(f"a job's name is letters, digits, _, - and dots, not {named!r}")
            if (named, version) in self._jobs:
                raise ConfigurationError(f"job {named} version {version} is declared twice")
            self._jobs[named, version] = Job(
                name=named,
                version=version,
                function=function,
                takes=input_type(function, named),
                on=(on,) if isinstance(on, Pattern) else tuple(on),
                scope=scope,
                retry=retry,
                timeout=None if timeout is None else seconds(timeout),
            )
            return function

        return declare

    def __iter__(self) -> Iterator[Job]:
        return iter(self._jobs.values())

    @property
    def latest(self) -> dict[str, Job]:
        """By name, the version of each job that new runs get: the highest."""
        return {job.name: job for job in sorted(self, key=lambda job: job.version)}

    def find(self, name: str) -> Job:
        """The latest version of the job called `name`; raises `UnknownJob`."""
        try:
            return self.latest[name]
        except KeyError:
            raise UnknownJob(f"there is no job {name!r}") from None

    def include(self, other: App) -> None:
        """Declare all jobs of `other` here too; raises `ConfigurationError` if a name and version are taken."""
        for job in other:
            if self._jobs.setdefault((job.name, job.version), job) is not job:
                raise ConfigurationError(f"job {job.name} version {job.version} is declared twice")


def load(reference: str | None) -> App:
    """The App at `module:attribute`, or without a reference all that are installed as `hookline.apps`.

    Raises:
        ConfigurationError: there is no such thing, it is not an App, or nothing is installed.
    """
    if reference is not None:
        return _import(reference)
    found = App()
    for point in entry_points(group="hookline.apps"):
        found.include(_import(point.value))
    if not found.latest:
        raise ConfigurationError(
            "there is no application to run: name one, as in `hookline dev package.module:app`, or set HOOKLINE_APP"
        )
    return found


def _import(reference: str) -> App:
    module, _, attribute = reference.partition(":")
    if not module or not attribute:
        raise ConfigurationError(f"an application is named like `package.module:app`, not {reference!r}")
    if str(Path.cwd()) not in sys.path:
        sys.path.insert(0, str(Path.cwd()))
    try:
        app = getattr(importlib.import_module(module), attribute)
    except ConfigurationError:
        raise
    except Exception as error:
        raise ConfigurationError(f"cannot load application {reference}: {error!r}") from error
    if not isinstance(app, App):
        raise ConfigurationError(f"{reference} is not a hookline App but a {type(app).__name__}")
    return app
