"""A graph's tasks run once all that is upstream of them has ended as their rule says; the others are skipped."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hookline import App, Context, Event, Fatal, Graph, Retry, TasksFailed, step
from hookline.codec import uuid7
from hookline.errors import ConfigurationError
from hookline.jobs.graph import verdict
from hookline.store import forks
from hookline.testing import Serve
from hookline.testing.service import Result
from hookline_parsers import github

RULES = ("all_successful", "all_done", "any_successful", "any_failed", "none_failed")


def states(result: Result) -> dict[str, str]:
    """What became of each task, by the journal."""
    return {key: "skipped" if kind == "skip" else state for key, kind, state in result.journal}


async def test_results_and_the_event_reach_the_tasks_and_the_last_ones_are_returned(hookline: Serve) -> None:
    app, graph = App(), Graph("release")

    @graph.task()
    async def build(event: Event, input: dict[str, Any]) -> str:
        return f"{event.fields['branch']} {input['after']}"

    @graph.task(after=build)
    def lint(build: str) -> int:
        return len(build)

    @graph.task(after="build")
    async def test(ctx: Context, build: str, results: dict[str, Any]) -> list[Any]:
        await ctx.sleep(0.001)
        return [await ctx.step(str.upper, build), results]

    ship = graph.task(lambda lint, test, build: [build, lint, test[0]], name="ship", after=[lint, test])
    assert ship.name == "ship"
    app.add(graph, on=github.push())
    async with hookline(app) as service:
        push = {"ref": "refs/heads/main", "after": "9fceb02"}
        receipt = await service.deliver("github", "push", push)
        result = await service.ended(receipt.runs[0])
    assert result.output == {"ship": ["main 9fceb02", 12, "MAIN 9FCEB02"]}
    assert next(key for key, *_ in result.journal) == "build"
    assert "test/upper" in states(result)


async def test_a_failed_task_fails_the_job_even_if_what_cleans_up_succeeds(hookline: Serve) -> None:
    app, graph = App(), Graph("release")
    broken = [True]

    @graph.task()
    async def build() -> None:
        if broken[0]:
            raise OSError("no disk")

    graph.task(lambda: "shipped", name="ship", after=build)
    graph.task(lambda: None, name="notify", after="ship", rule="all_done")
    graph.task(lambda: "clean", name="clean", after=build, rule="any_failed")
    app.add(graph)
    async with hookline(app) as service:
        result = await service.run("release")
        assert (result.state, result.reason) == ("failed", "OSError: no disk")
        assert states(result) == {"build": "failed", "ship": "skipped", "notify": "succeeded", "clean": "succeeded"}
        assert result.error is not None
        assert result.error["step"] == "build"

        broken[0] = False
        async with service._database.session() as connection:
            await forks.retry(connection, result.id, new := uuid7())
        again = await service.ended(new)
        assert again.state == "succeeded"
        assert again.output == {"notify": None, "clean": None}
        assert states(again)["ship"] == "succeeded"


async def test_several_failures_are_told_together_and_all_are_tried_again(hookline: Serve) -> None:
    app, graph = App(), Graph("release")
    tried: Counter[str] = Counter()

    def flaky(name: str) -> Any:
        async def work() -> str:
            tried[name] += 1
            if tried[name] == 1:
                raise OSError(name)
            return name

        return work

    for name in ("one", "two"):
        graph.task(flaky(name), name=name)
    graph.task(lambda results: sorted(results), name="both", after=["one", "two"])
    app.add(graph, retry=Retry(attempts=2, delay=0))
    async with hookline(app) as service:
        result = await service.run("release")
    assert (result.state, result.output) == ("succeeded", {"both": ["one", "two"]})
    assert tried == {"one": 2, "two": 2}


async def test_a_fatal_failure_among_several_is_not_tried_again(hookline: Serve) -> None:
    app, graph = App(), Graph("release")

    @graph.task()
    async def one() -> None:
        raise Fatal("never")

    @graph.task()
    async def two() -> None:
        raise OSError("again")

    app.add(graph, retry=Retry(attempts=5, delay=0))
    async with hookline(app) as service:
        result = await service.run("release")
    assert result.state == "failed"
    assert "2 tasks failed: one: Fatal: never; two: OSError: again" in str(result.reason)
    assert result.error is not None
    assert result.error["type"] == f"{TasksFailed.__module__}:TasksFailed"


async def test_a_retry_blocks_no_sibling_and_no_more_run_at_once_than_is_said(hookline: Serve) -> None:
    app, graph = App(), Graph("release", concurrency=2)
    now, most = 0, 0
    done: list[str] = []

    def working(name: str) -> Any:
        async def work() -> None:
            nonlocal now, most
            now += 1
            most = max(most, now)
            await asyncio.sleep(0.005)
            now -= 1
            done.append(name)

        return work

    @step(retry=Retry(attempts=2, delay=30, jitter=0))
    async def flaky() -> None:
        if not done.count("flaky"):
            done.append("flaky")
            raise OSError("once")
        done.append("again")

    graph.task(flaky)
    for number in range(6):
        graph.task(working(f"t{number}"), name=f"t{number}")
    app.add(graph)
    async with hookline(app) as service:
        run = await service.start("release")
        await service.waiting(run)
        assert len(done) == 7
        assert most <= 2
        await service.advance(30)
        assert (await service.ended(run)).state == "succeeded"
    assert done[-1] == "again"


async def test_a_condition_skips_and_says_so(hookline: Serve) -> None:
    app, graph = App(), Graph("release")
    graph.task(lambda event: event.data["n"], name="count")
    graph.task(lambda: "big", name="big", after="count", when=lambda given: given["count"] > 5)
    graph.task(lambda: "small", name="small", after="count", when=lambda given: given["count"] <= 5)
    graph.task(
        lambda results: [results["big"], results["small"]], name="end", after=["big", "small"], rule="none_failed"
    )
    app.add(graph)
    async with hookline(app) as service:
        result = await service.run("release", {"n": 3})
    assert result.output == {"end": [None, "small"]}
    assert states(result)["big"] == "skipped"


def test_a_graph_that_makes_no_sense_is_refused_when_it_is_built() -> None:
    graph = Graph("g")
    a, b, c = (graph.task(lambda: None, name=name) for name in "abc")
    assert (a >> b >> c) is c
    with pytest.raises(ConfigurationError, match=r"graph g has a cycle: . → . → . → ."):
        c >> a
    with pytest.raises(ConfigurationError, match="cannot have another task 'a'"):
        graph.task(lambda: None, name="a")
    with pytest.raises(ConfigurationError, match="task d is after 'x', which is no task of graph g"):
        graph.task(lambda: None, name="d", after="x")
    with pytest.raises(ConfigurationError, match="which is of another graph"):
        Graph("h").task(lambda: None, name="e", after=b)
    with pytest.raises(ConfigurationError, match="graph empty has no tasks"):
        App().add(Graph("empty"))
    with pytest.raises(ConfigurationError, match="its rule is one of"):
        graph.task(lambda: None, name="f", rule="sometimes")
    with pytest.raises(ConfigurationError, match="at least 1"):
        Graph("none", concurrency=0)
    with pytest.raises(ConfigurationError, match="give retry to the steps in it"):
        Graph("i").task(_with_context, retry=Retry(attempts=2))
    wants = Graph("wants")
    wants.task(lambda image: image, name="ship")
    with pytest.raises(ConfigurationError, match=r"task ship has a parameter 'image', which is neither of .* upstream"):
        App().add(wants)


async def _with_context(ctx: Context) -> None: ...


def test_lists_fan_out_and_in() -> None:
    graph = Graph("g")
    a, b, c, d = (graph.task(lambda: None, name=name) for name in "abcd")
    a >> [b, c] >> d
    assert [(edge.source, edge.target) for edge in graph.diagram().edges] == [
        ("a", "b"), ("a", "c"), ("b", "d"), ("c", "d"),
    ]  # fmt: skip
    assert graph.diagram().mermaid().splitlines()[0] == "flowchart TD"


def oracle(rule: str, upstream: list[str]) -> bool:
    """Whether a task runs."""
    failed, succeeded = "failed" in upstream, "succeeded" in upstream
    return {
        "all_successful": all(state == "succeeded" for state in upstream),
        "all_done": True,
        "any_successful": succeeded or not upstream,
        "any_failed": failed,
        "none_failed": not failed,
    }[rule]


shapes = st.lists(
    st.tuples(st.sampled_from(RULES), st.booleans(), st.sets(st.integers(0, 6), max_size=3)), min_size=1, max_size=7
)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(shapes, st.sampled_from([None, 1, 2]))
def test_random_graphs_end_as_a_simple_model_says(
    hookline: Serve, shape: list[tuple[str, bool, set[int]]], concurrency: int | None
) -> None:
    graph, expected = Graph("random", concurrency=concurrency), {}

    def working(fails: bool) -> Any:
        def work() -> None:
            if fails:
                raise OSError("no")

        return work

    for number, (rule, fails, wanted) in enumerate(shape):
        upstream = [f"t{each}" for each in sorted(wanted) if each < number]
        graph.task(working(fails), name=f"t{number}", after=upstream, rule=rule)
        runs = oracle(rule, [expected[up] for up in upstream])
        expected[f"t{number}"] = ("failed" if fails else "succeeded") if runs else "skipped"

    async def play() -> Result:
        app = App()
        app.add(graph)
        async with hookline(app, always_replay=len(shape) < 4) as service:
            return await service.run("random")

    result = asyncio.run(play())
    assert states(result) == expected
    assert result.state == ("failed" if "failed" in expected.values() else "succeeded")


def test_a_rule_says_why_it_skips() -> None:
    assert verdict("all_successful", {"a": "skipped", "b": "failed"}) == "b failed"
    assert verdict("all_successful", {"a": "skipped"}) == "a was skipped"
    assert verdict("all_done", {"a": "failed"}) is None
