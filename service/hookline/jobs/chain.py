"""Chain: a job as a tree of steps, with what follows each if it succeeds, and what if it fails."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from hookline.errors import ConfigurationError, Failure, Fatal
from hookline.events import Event
from hookline.jobs import given as supply
from hookline.jobs.context import Context
from hookline.jobs.diagram import Diagram, Edge, Node
from hookline.jobs.step import Step, as_step
from hookline.jobs.tree import Action, Tree, grown
from hookline.spans import Seconds, seconds

AGAIN = "again_after"
"""The key by which a step's data say that it is to be done again, after so many seconds."""

ROLLING_BACK = "rolling_back"
"""The variable that operators see once a failure branch has been taken."""


def again(data: Mapping[str, Any] | None = None, *, after: Seconds) -> dict[str, Any]:
    """What a step of a Chain returns to be called again after a while, with `data` merged into what it is given.

    Example:
        async def wait_for_build(build: int) -> dict[str, Any]:
            state = await ci.state(build)
            return again(after=10) if state == "running" else {"state": state}
    """
    return {**(data or {}), AGAIN: seconds(after)}


class Chain:
    """A job as a tree of steps.

    What a step returns, a dict, is merged into the data that the next one is given; a step is called with those of the
    data that its parameters are named after. When it raises `Failure` its failure branch is taken, and the run is
    rolling back: it ends `failed` even if all of that branch succeeds. Any other exception ends the run.

    Args:
        name: what the job is called.
        root: the first step, with what follows it.
        expire_after: a step that takes longer, with all the times that it asks to be done again, has failed.

    Example:
        release = Chain("release", build.then(test.then(ship).otherwise(clean_up)).otherwise(notify))
        app.add(release, on=github.push(branches=["main"]))
    """

    takes = None

    def __init__(self, name: str, root: Tree | Action, *, expire_after: Seconds | None = None) -> None:
        self.name = name
        self._root = grown(root)
        self._expire_after = None if expire_after is None else seconds(expire_after)
        self._links: dict[int, _Link] = {}

    def bind(self, steps: Mapping[str, Step[..., Any]]) -> None:
        """Find the steps that are told by name among `steps`; raises `ConfigurationError` that names what is not."""
        for tree in self._root:
            if isinstance(tree.action, str) and tree.action not in steps:
                raise ConfigurationError(f"chain {self.name}: there is no step {tree.action!r}")
            found = steps[tree.action] if isinstance(tree.action, str) else as_step(tree.action)
            self._links[id(tree)] = _Link(
                found, supply.Needs.of(f"chain {self.name}: step {found.name}", found.function)
            )

    def check(self) -> None:
        """Nothing: each of its steps was looked at when it was found."""

    def diagram(self) -> Diagram:
        """Its steps, and what follows each on success and on failure."""
        names = self._names()
        edges = [
            Edge(names[id(tree)], names[id(branch)], label)
            for tree in self._root
            for branch, label in ((tree.success, "success"), (tree.failure, "failure"))
            if branch is not None
        ]
        return Diagram([Node(name) for name in names.values()], edges)

    def _names(self) -> dict[int, str]:
        counts: dict[str, int] = {}
        names = {}
        for tree in self._root:
            name = tree.action if isinstance(tree.action, str) else as_step(tree.action).name
            counts[name] = counts.get(name, 0) + 1
            names[id(tree)] = name if counts[name] == 1 else f"{name}#{counts[name]}"
        return names

    async def __call__(self, ctx: Context, argument: Any) -> dict[str, Any]:
        """Run it; returns the data as the last step left them."""
        data = _begun_with(argument)
        failure: Failure | None = None
        ahead: Tree | None = self._root
        while (tree := ahead) is not None:
            try:
                data |= await self._links[id(tree)].perform(ctx, data, self._expire_after)
                ahead = tree.success
            except Failure as failed:
                if failure is None and tree.failure is not None:
                    await ctx.set_var(ROLLING_BACK, True)
                failure = failure or failed
                data["failure_message"] = str(failed)
                ahead = tree.failure
        if failure is not None:
            raise failure
        return data


def _begun_with(argument: Any) -> dict[str, Any]:
    """The data that the first step is given: the fields of the input."""
    given = argument.data if isinstance(argument, Event) else argument
    if given is None:
        return {}
    if not isinstance(given, Mapping):
        raise Fatal(f"a chain's input is an object with the fields that its steps need, not {type(given).__name__}")
    return dict(given)


@dataclass(frozen=True, slots=True)
class _Link:
    """A step of a chain, and what it needs."""

    step: Step[..., Any]
    needs: supply.Needs

    async def perform(self, ctx: Context, data: Mapping[str, Any], expire_after: float | None) -> dict[str, Any]:
        """What the step adds to the data, once it does not ask to be done again."""
        added: dict[str, Any] = {}
        waited = 0.0
        while True:
            returned = await self._once(ctx, {**data, **added}, expire_after)
            added |= {name: value for name, value in returned.items() if name != AGAIN}
            if AGAIN not in returned:
                return added
            waited += returned[AGAIN]
            if expire_after is not None and waited > expire_after:
                raise Failure(f"step {self.step.name} made no progress for {expire_after:g} s")
            await ctx.sleep(returned[AGAIN])

    async def _once(self, ctx: Context, data: Mapping[str, Any], expire_after: float | None) -> dict[str, Any]:
        step = self.step
        expires = expire_after is not None and (step.timeout is None or step.timeout > expire_after)
        try:
            if self.needs.context:
                returned = await step.function(ctx.group(step.name), **self.needs.chosen(f"step {step.name}", data))
            else:
                timed = step.options(timeout=expire_after) if expires else step
                returned = await ctx.step(timed, **self.needs.chosen(f"step {step.name}", data))
        except TimeoutError as error:
            if not expires:
                raise
            raise Failure(f"step {step.name} made no progress for {expire_after:g} s") from error
        if returned is not None and not isinstance(returned, Mapping):
            raise Fatal(f"step {step.name} of a chain returns a dict, not {type(returned).__name__}")
        return dict(returned or {})
