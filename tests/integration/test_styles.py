"""Whichever way a job is written, it is as durable: one table of behaviour for all of them."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable
from importlib import import_module
from typing import Any
from uuid import UUID

import pytest
from tests.integration.test_examples import PAYLOADS, payload
from tests.support import no_hooks

from hookline import App, Chain, Context, Graph, Machine, Step, step
from hookline.codec import uuid7
from hookline.store import control, forks
from hookline.testing import Serve
from hookline.testing.service import Result, Service

EXAMPLES = PAYLOADS.parent
NAMES = ("build", "test", "ship")
STYLES = ("coroutine", "chain", "graph", "machine", "definition")


class Work:
    """Three steps that count how often they are done, and fail or wait as they are told to."""

    def __init__(self) -> None:
        self.done: Counter[str] = Counter()
        self.broken: set[str] = set()
        self.gates: dict[str, asyncio.Event] = {}
        self.begun: dict[str, asyncio.Event] = {name: asyncio.Event() for name in NAMES}

    def step(self, name: str) -> Step[..., Any]:
        async def work(n: int = 0) -> dict[str, Any]:
            self.begun[name].set()
            if name in self.gates:
                await self.gates[name].wait()
            self.done[name] += 1
            if name in self.broken:
                raise OSError(name)
            return {"n": n + 1}

        return step(name=name)(work)


def declared(style: str, work: Work, *versions: int) -> App:
    app = App()
    for version in versions or (1,):
        _declare(app, style, work, version)
    return app


def _declare(app: App, style: str, work: Work, version: int) -> None:
    build, test, ship = (work.step(name) for name in NAMES)
    match style:
        case "coroutine":

            async def job(ctx: Context, _: Any) -> dict[str, Any]:
                told: dict[str, Any] = {"n": 0}
                for each in (build, test, ship):
                    told = await ctx.step(each, told["n"])
                return told

            app.job("release", version=version)(job)
        case "chain":
            app.add(Chain("release", build.then(test, ship)), version=version)
        case "graph":
            graph = Graph("release")
            graph.task(lambda: build(0), name="build")
            graph.task(_after("build", test), name="test", after="build")
            graph.task(_after("test", ship), name="ship", after="test")
            app.add(graph, version=version)
        case "machine":
            machine = Machine("release", data=dict[str, int], initial="build", terminal=["done"])
            for name, following, each in zip(NAMES, (*NAMES[1:], "done"), (build, test, ship), strict=True):
                machine.state(name, to=[following])(_state(name, each, following))
            app.add(machine, version=version)

        case "definition":
            for each in (build, test, ship):
                app.step(each.options(name=f"{each.name}{version}"))
            app.learn("release", version, DEFINITION.format(v=version), commands=False)


DEFINITION = """
tasks:
  - {{name: build, step: build{v}}}
  - {{name: test, step: test{v}, with: {{n: "{{build.n}}"}}}}
  - {{name: ship, step: ship{v}, with: {{n: "{{test.n}}"}}}}
"""


def _after(upstream: str, work: Step[..., Any]) -> Callable[..., Any]:
    async def of_build(build: dict[str, Any]) -> Any:
        return await work(build["n"])

    async def of_test(test: dict[str, Any]) -> Any:
        return await work(test["n"])

    return of_build if upstream == "build" else of_test


def _state(name: str, work: Step[..., Any], following: str) -> Callable[..., Any]:
    async def state(data: dict[str, int]) -> str:
        data |= await work(data.get("n", 0))
        return following

    state.__name__ = name
    return state


def n(result: Result) -> Any:
    """What came out, wherever the style puts it."""
    return result.output.get("ship", result.output)["n"]


def key(style: str, name: str) -> str:
    return f"{name}/{name}" if style == "machine" else name


async def steered(service: Service, run: UUID, what: str) -> None:
    async with service._database.session() as connection:
        if what == "resume":
            await control.resume(connection, run)
        else:
            await (control.cancel if what == "cancel" else control.pause)(connection, run, no_hooks)


pytestmark = pytest.mark.parametrize("style", STYLES)


async def test_it_runs_and_can_be_replayed_after_every_call(hookline: Serve, style: str) -> None:
    work = Work()
    async with hookline(declared(style, work), always_replay=True) as service:
        result = await service.run("release", {})
    assert (result.state, n(result)) == ("succeeded", 3)
    assert work.done == dict.fromkeys(NAMES, 1)


@pytest.mark.parametrize("name", NAMES)
async def test_a_crash_at_a_step_does_only_that_one_again(hookline: Serve, style: str, name: str) -> None:
    work = Work()
    async with hookline(declared(style, work)) as service:
        with service.crash_at(key(style, name)):
            result = await service.run("release", {})
    assert (result.state, n(result)) == ("succeeded", 3)
    assert work.done == dict.fromkeys(NAMES, 1) | {name: 2}


async def test_a_cancel_ends_it_in_the_step_that_it_is_in(hookline: Serve, style: str) -> None:
    work = Work()
    work.gates["test"] = asyncio.Event()
    async with hookline(declared(style, work)) as service:
        run = await service.start("release", {})
        await work.begun["test"].wait()
        await steered(service, run, "cancel")
        assert (await service._until(run, {"cancelled"})).state == "cancelled"
    assert work.done == {"build": 1}


async def test_a_pause_lets_the_step_end_and_a_resume_goes_on_behind_it(hookline: Serve, style: str) -> None:
    work = Work()
    work.gates["test"] = asyncio.Event()
    async with hookline(declared(style, work)) as service:
        run = await service.start("release", {})
        await work.begun["test"].wait()
        await steered(service, run, "pause")
        work.gates["test"].set()
        assert (await service.ended(run)).state == "paused"
        await steered(service, run, "resume")
        assert n(await service._until(run, {"succeeded"})) == 3
    assert work.done == dict.fromkeys(NAMES, 1)


async def test_a_retry_goes_on_from_what_failed_and_a_fork_from_where_it_is_told_to(
    hookline: Serve, style: str
) -> None:
    work = Work()
    work.broken.add("test")
    async with hookline(declared(style, work)) as service:
        failed = await service.run("release", {})
        assert (failed.state, failed.reason) == ("failed", "OSError: test")
        work.broken.clear()
        async with service._database.session() as connection:
            await forks.retry(connection, failed.id, retried := uuid7())
        assert n(await service.ended(retried)) == 3
        assert work.done == {"build": 1, "test": 2, "ship": 1}

        async with service._database.session() as connection:
            await forks.fork(connection, retried, forked := uuid7(), before=key(style, "ship"))
        assert n(await service.ended(forked)) == 3
        assert work.done == {"build": 1, "test": 2, "ship": 2}


async def test_a_run_keeps_the_version_that_it_was_created_with(hookline: Serve, style: str) -> None:
    old, new = Work(), Work()
    app = declared(style, old, 1)
    async with hookline(app) as service:
        old.gates["test"] = asyncio.Event()
        run = await service.start("release", {})
        await old.begun["test"].wait()
        await service.end()
        old.gates.clear()
        _declare(app, style, new, 2)
        await service.lose_worker()
        assert n(await service.ended(run)) == 3
        assert not new.done


async def test_a_push_is_released_and_one_that_does_not_pass_is_cleaned_up(hookline: Serve, style: str) -> None:
    app = import_module(f"examples.release.{style}").app
    if style == "definition":
        app.learn("release", 1, (EXAMPLES / "release" / "release.yaml").read_text(), commands=False)
    async with hookline(app) as service:
        push = payload("push") | {"ref": "refs/heads/main"}
        good = await service.ended((await service.deliver("github", "push", push | {"after": "900d" * 10})).runs[0])
        bad = await service.ended((await service.deliver("github", "push", push | {"after": "bad0" * 10})).runs[0])
    assert good.state == "succeeded"
    if style == "machine":
        assert (good.vars, bad.vars) == ({"state": "SHIPPED"}, {"state": "REJECTED"})
        return
    assert "site:900d900" in str(good.output)
    assert bad.state == "failed"
    assert "site:bad0bad does not pass its tests" in str(bad.reason)
    assert ("clean_up", "step", "succeeded") in bad.journal
    assert "ship" not in [name for name, kind, _ in bad.journal if kind == "step"]
