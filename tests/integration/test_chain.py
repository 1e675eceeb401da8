"""A chain's steps are given what they need, merge what they return, and take the branch of what became of them."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import pytest

from hookline import App, Chain, Context, Failure, Retry, again, step
from hookline.errors import ConfigurationError
from hookline.jobs.tree import Tree
from hookline.testing import Serve
from hookline.testing.service import Result

Data = dict[str, Any]


def keys(result: Result) -> list[str]:
    return [f"{key} {state}" for key, kind, state in result.journal if kind != "var"]


@step
async def build(commit: str) -> Data:
    return {"image": f"image of {commit}"}


@step
def check(image: str, strict: bool = False) -> Data:
    return {"checked": [image, strict]}


@step
async def ship(image: str) -> Data:
    return {"shipped": image}


@step
async def no_disk(image: str) -> Data:
    raise Failure("no disk")


@step
async def clean_up(failure_message: str) -> Data:
    return {"cleaned": failure_message}


async def run(hookline: Serve, chain: Chain, input: Any, **options: Any) -> Result:
    app = App()
    app.add(chain, **options)
    async with hookline(app) as service:
        return await service.run(chain.name, input)


async def test_each_step_adds_to_what_the_next_is_given(hookline: Serve) -> None:
    result = await run(hookline, Chain("release", build.then(check, ship)), {"commit": "9fceb02"})
    assert keys(result) == ["build succeeded", "check succeeded", "ship succeeded"]
    assert result.output == {
        "commit": "9fceb02",
        "image": "image of 9fceb02",
        "checked": ["image of 9fceb02", False],
        "shipped": "image of 9fceb02",
    }


async def test_a_failure_takes_its_branch_and_the_run_ends_failed_all_the_same(hookline: Serve) -> None:
    chain = Chain("release", build.then(no_disk.then(ship).otherwise(clean_up)))
    result = await run(hookline, chain, {"commit": "1"}, retry=Retry(attempts=3))
    assert (result.state, result.reason) == ("failed", "hookline.errors.Failure: no disk")
    assert keys(result) == ["build succeeded", "no_disk failed", "clean_up succeeded"]
    assert result.vars == {"rolling_back": True}


async def test_a_failure_without_a_branch_ends_the_run(hookline: Serve) -> None:
    result = await run(hookline, Chain("release", build.then(no_disk.then(ship)).otherwise(clean_up)), {"commit": "1"})
    assert (result.state, keys(result)) == ("failed", ["build succeeded", "no_disk failed"])
    assert result.vars == {}


async def test_an_error_is_no_failure(hookline: Serve) -> None:
    @step
    async def breaks(image: str) -> Data:
        raise KeyError("image")

    result = await run(hookline, Chain("release", build.then(breaks.otherwise(clean_up))), {"commit": "1"})
    assert (result.state, keys(result)) == ("failed", ["build succeeded", "breaks failed"])


async def test_what_is_missing_or_wrong_is_named_before_the_step_runs(hookline: Serve) -> None:
    result = await run(hookline, Chain("release", ship), {"commit": "1"})
    assert result.reason == ("hookline.errors.Fatal: step ship needs image, which is missing; there are commit")
    result = await run(hookline, Chain("release", ship), {"image": 7})
    assert "step ship needs image, which is wrong" in str(result.reason)
    result = await run(hookline, Chain("release", ship), [1])
    assert "a chain's input is an object" in str(result.reason)
    assert result.journal == []


async def test_a_step_is_done_again_for_as_long_as_it_asks(hookline: Serve) -> None:
    @step
    async def wait_for_build(commit: str, looks: int = 0) -> Data:
        return again({"looks": looks + 1}, after=60) if looks < 2 else {"built": True}

    app = App()
    app.add(Chain("release", wait_for_build.then(build)))
    async with hookline(app) as service:
        started = await service.start("release", {"commit": "1"})
        for _ in range(2):
            await service.waiting(started)
            await service.advance(minutes=1)
        result = await service.ended(started)
    assert result.output == {"commit": "1", "looks": 2, "built": True, "image": "image of 1"}
    assert [key for key, kind, _ in result.journal if kind == "step"] == [
        "wait_for_build", "wait_for_build#2", "wait_for_build#3", "build",
    ]  # fmt: skip


async def test_a_step_without_progress_fails_and_takes_its_failure_branch(hookline: Serve) -> None:
    @step
    async def never_done(commit: str) -> Data:
        return again(after=0.01)

    @step
    async def hangs(commit: str) -> Data:
        await asyncio.Event().wait()
        return {}

    for slow in (never_done, hangs):
        chain = Chain("release", slow.otherwise(clean_up), expire_after=timedelta(seconds=0.05))
        result = await run(hookline, chain, {"commit": "1"})
        assert result.state == "failed"
        assert "made no progress for 0.05 s" in str(result.reason)
        assert keys(result)[-1] == "clean_up succeeded"


async def test_a_step_with_a_context_is_a_part_of_the_job(hookline: Serve) -> None:
    async def both(ctx: Context, commit: str) -> Data:
        await ctx.sleep(0.001)
        return {"both": [await ctx.step(str.upper, commit), commit]}

    result = await run(hookline, Chain("release", step(name="both")(both).then(build)), {"commit": "a"})
    assert result.output["both"] == ["A", "a"]
    assert "both/upper succeeded" in keys(result)


async def test_steps_are_told_by_the_names_under_which_they_are_registered(hookline: Serve) -> None:
    app = App()

    @app.step(retry=Retry(attempts=2, delay=0))
    async def first(n: int) -> Data:
        return {"n": n + 1}

    @app.step
    def second(n: int) -> Data:
        return {"n": n * 10}

    app.add(Chain("by-name", Tree("first").then("second", "second")))
    async with hookline(app) as service:
        assert (await service.run("by-name", {"n": 1})).output == {"n": 200}

    with pytest.raises(ConfigurationError, match="chain other: there is no step 'third'"):
        app.add(Chain("other", Tree("third")))
    with pytest.raises(ConfigurationError, match="registered twice"):
        app.step(name="first")(build.function)


def test_a_chain_is_drawn_with_its_branches() -> None:
    chain = Chain("release", build.then(check.then(ship).otherwise(clean_up)).otherwise(clean_up))
    drawn = chain.diagram()
    assert [node.name for node in drawn.nodes] == ["build", "check", "ship", "clean_up", "clean_up#2"]
    assert [(edge.source, edge.target, edge.label) for edge in drawn.edges] == [
        ("build", "check", "success"),
        ("build", "clean_up#2", "failure"),
        ("check", "ship", "success"),
        ("check", "clean_up", "failure"),
    ]
