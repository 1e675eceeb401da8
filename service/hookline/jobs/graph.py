"""Graph: a job as tasks that wait for others, at once where they can."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass
from functools import cached_property, partial
from graphlib import CycleError, TopologicalSorter
from typing import Any, Literal, Unpack, get_args

from hookline.errors import ConfigurationError, TasksFailed
from hookline.jobs import given as supply
from hookline.jobs.context import Context
from hookline.jobs.diagram import Diagram, Edge, Node
from hookline.jobs.step import Options, Step, as_step, check_name

Rule = Literal["all_successful", "all_done", "any_successful", "any_failed", "none_failed"]
"""When a task runs, once all that are upstream of it have ended: all succeeded; in any case; at least one succeeded;
at least one failed; none failed, though some may have been skipped. Else it is skipped."""

Condition = Callable[[Mapping[str, Any]], object]


class Task:
    """A task of a graph; `a >> b` and `a >> [b, c]` say what waits for it."""

    def __init__(self, graph: Graph, name: str, operator: Any, rule: Rule, when: Condition | None) -> None:
        self.name = name
        self.rule = rule
        self.when = when
        self.upstream: list[Task] = []
        self._graph = graph
        self._operator = operator
        self._function = operator.function if isinstance(operator, Step) else operator
        self._wants = [each.name for each in supply.parameters(self._function)]

    def set_downstream(self, *tasks: Task) -> None:
        """Have `tasks` wait for this one; raises `ConfigurationError` if that makes a cycle."""
        for task in tasks:
            task.set_upstream(self)

    def set_upstream(self, *tasks: Task) -> None:
        """Have this one wait for `tasks`; raises `ConfigurationError` if that makes a cycle."""
        for task in tasks:
            if self._graph.tasks.get(task.name) is not task:
                raise ConfigurationError(f"task {self.name} is after {task.name!r}, which is of another graph")
            if task not in self.upstream:
                self.upstream.append(task)
        self._graph.in_order()

    def __rshift__(self, other: Task | list[Task]) -> Task | list[Task]:
        self.set_downstream(*(other if isinstance(other, list) else [other]))
        return other

    def __rrshift__(self, others: list[Task]) -> Task:
        self.set_upstream(*others)
        return self

    @cached_property
    def before(self) -> list[Task]:
        """All that is upstream of it, near and far; to be asked once the graph is built."""
        found: dict[Task, None] = {}
        ahead = list(self.upstream)
        while ahead:
            each = ahead.pop()
            ahead += [up for up in each.upstream if up not in found]
            found[each] = None
        return list(found)

    def check(self) -> None:
        """Return if it can be given all that it wants; raises `ConfigurationError`."""
        supply.check(f"task {self.name}", self._function, [each.name for each in self.before])

    async def perform(self, ctx: Context, given: Mapping[str, Any]) -> Any:
        """Do it, as a step of its name, or as a part of the job with a Context of its own."""
        if isinstance(self._operator, Step):
            return await ctx.step(self._operator, **supply.chosen(self._wants, given))
        own = ctx.group(self.name)
        return await self._operator(**supply.chosen(self._wants, {**given, "ctx": own}))


class Graph:
    """A job as a directed acyclic graph of tasks.

    A task is a step, called with what its parameters are named after: `input`, `event`, `results`, or a task upstream
    of it, whose result it gets. One with a parameter `ctx`, or an object with `run(ctx)`, is a part of the job with
    a Context of its own, in which it may step, sleep and wait.

    Args:
        name: what the job is called.
        concurrency: tasks at once, at most.

    Example:
        release = Graph("release")

        @release.task()
        async def build(event: Event) -> str: ...

        @release.task(after=build, retry=Retry(attempts=3))
        async def test(build: str) -> None: ...

        app.add(release, on=github.push(branches=["main"]))
    """

    takes = None

    def __init__(self, name: str, *, concurrency: int | None = None) -> None:
        if concurrency is not None and concurrency < 1:
            raise ConfigurationError(f"graph {name}: its concurrency is at least 1, not {concurrency}")
        self.name = name
        self.concurrency = concurrency
        self.tasks: dict[str, Task] = {}
        self.ordered: list[Task] = []

    def task(
        self,
        operator: Any = None,
        /,
        *,
        after: Task | str | Iterable[Task | str] = (),
        rule: Rule = "all_successful",
        when: Condition | None = None,
        **options: Unpack[Options],
    ) -> Any:
        """Add a task: `operator`, or the function that this decorates; returns the Task.

        Args:
            after: the tasks that it waits for, or their names.
            rule: what must have become of them; else it is skipped.
            when: asked with all that a task may be given; if it says no, the task is skipped.
            options: as of `step`; `name` is the function's, unless said otherwise.

        Raises:
            ConfigurationError: the name is taken, one in `after` is unknown, or it makes a cycle.
        """
        if operator is None:
            return partial(self.task, after=after, rule=rule, when=when, **options)
        name = str(options.get("name") or getattr(operator, "name", None) or getattr(operator, "__name__", ""))
        try:
            check_name(name, "task")
        except ValueError as error:
            raise ConfigurationError(f"graph {self.name}: {error}") from None
        if name in self.tasks or name in supply.ALWAYS:
            raise ConfigurationError(f"graph {self.name} cannot have another task {name!r}")
        if rule not in get_args(Rule):
            raise ConfigurationError(f"task {name}: its rule is one of {', '.join(get_args(Rule))}, not {rule!r}")
        upstream = [self._known(name, each) for each in ([after] if isinstance(after, Task | str) else after)]
        task = Task(self, name, _as_operator(name, operator, options), rule, when)
        self.tasks[name] = task
        task.set_upstream(*upstream)
        return task

    def _known(self, name: str, wanted: Task | str) -> Task:
        if isinstance(wanted, Task):
            return wanted
        if wanted not in self.tasks:
            raise ConfigurationError(f"task {name} is after {wanted!r}, which is no task of graph {self.name}")
        return self.tasks[wanted]

    def in_order(self) -> list[Task]:
        """The tasks, none before what it waits for; raises `ConfigurationError` if there is a cycle, and names it."""
        sorter = TopologicalSorter({name: [up.name for up in task.upstream] for name, task in self.tasks.items()})
        try:
            return [self.tasks[name] for name in sorter.static_order()]
        except CycleError as error:
            raise ConfigurationError(f"graph {self.name} has a cycle: {' → '.join(error.args[1])}") from None

    def bind(self, steps: Mapping[str, Step[..., Any]]) -> None:
        """Nothing: its tasks are its own."""

    def check(self) -> None:
        """Return if it can be run; raises `ConfigurationError`."""
        if not self.tasks:
            raise ConfigurationError(f"graph {self.name} has no tasks")
        self.ordered = self.in_order()
        for task in self.ordered:
            task.check()

    def diagram(self) -> Diagram:
        """Its tasks, and what waits for what."""
        ordered = self.in_order()
        return Diagram(
            [Node(task.name) for task in ordered],
            [
                Edge(up.name, task.name, "" if task.rule == "all_successful" else task.rule)
                for task in ordered
                for up in task.upstream
            ],
        )

    async def __call__(self, ctx: Context, argument: Any) -> dict[str, Any]:
        """Run it; returns the results of the tasks that nothing waits for, by their names."""
        return await _Walk(self, ctx, argument).run()


def _as_operator(name: str, operator: Any, options: Options) -> Any:
    """A step, or a function that wants a Context."""
    function = operator.run if hasattr(operator, "run") else operator
    if isinstance(function, Step) or all(each.name != "ctx" for each in supply.parameters(function)):
        step = as_step(function) if hasattr(function, "__name__") else Step(function, name)
        return step.options(**options).options(name=name)
    if further := set(options) - {"name"}:
        raise ConfigurationError(f"task {name} has a Context: give {', '.join(sorted(further))} to the steps in it")
    return function


@dataclass(frozen=True, slots=True)
class _Outcome:
    """What became of a task."""

    state: Literal["succeeded", "failed", "skipped"]
    result: Any = None
    error: Exception | None = None


class _Walk:
    """One run of a graph: a branch for each task, which waits for those upstream of it."""

    def __init__(self, graph: Graph, ctx: Context, argument: Any) -> None:
        self._tasks = graph.ordered
        self._ctx = ctx
        self._argument = argument
        self._outcomes: dict[str, _Outcome] = {}
        self._ended = {task.name: asyncio.Event() for task in self._tasks}
        self._places = None if graph.concurrency is None else asyncio.Semaphore(graph.concurrency)

    async def run(self) -> dict[str, Any]:
        await self._ctx.together({task.name: partial(self._branch, task) for task in self._tasks})
        outcomes = {task.name: self._outcomes[task.name] for task in self._tasks}
        errors = {name: outcome.error for name, outcome in outcomes.items() if outcome.error is not None}
        self._ctx.redo(self._ctx.at(task.name) for task in self._tasks if any(up.name in errors for up in task.before))
        if len(errors) > 1:
            raise TasksFailed(errors)
        for error in errors.values():
            raise error
        waited_for = {up.name for task in self._tasks for up in task.upstream}
        return {name: outcome.result for name, outcome in outcomes.items() if name not in waited_for}

    async def _branch(self, task: Task) -> None:
        for up in task.upstream:
            await self._ended[up.name].wait()
        self._outcomes[task.name] = await self._outcome(task)
        self._ended[task.name].set()

    async def _outcome(self, task: Task) -> _Outcome:
        why = verdict(task.rule, {up.name: self._outcomes[up.name].state for up in task.upstream})
        given = supply.given(self._argument, {up.name: self._outcomes[up.name].result for up in task.before})
        try:
            if why is None and task.when is not None and not task.when(given):
                why = "its condition does not hold"
            if why is not None:
                await self._ctx.skip(task.name, why)
                return _Outcome("skipped")
            async with AsyncExitStack() as stack:
                if self._places is not None and not self._ctx.knows(task.name):  # else what is recorded might wait
                    await stack.enter_async_context(self._places)
                return _Outcome("succeeded", await task.perform(self._ctx, given))
        except Exception as error:  # noqa: BLE001 - it is the task's outcome, and the others go on
            return _Outcome("failed", error=error)


def verdict(rule: Rule, upstream: Mapping[str, str]) -> str | None:
    """Why a task with this rule is skipped, given what became of those upstream of it; `None` if it runs."""
    failed, skipped, succeeded = (
        [name for name, became in upstream.items() if became == state] for state in ("failed", "skipped", "succeeded")
    )
    match rule:
        case "all_successful" if failed or skipped:
            return f"{(failed + skipped)[0]} {'failed' if failed else 'was skipped'}"
        case "any_successful" if upstream and not succeeded:
            return "nothing upstream of it succeeded"
        case "any_failed" if not failed:
            return "nothing upstream of it failed"
        case "none_failed" if failed:
            return f"{failed[0]} failed"
        case _:
            return None
