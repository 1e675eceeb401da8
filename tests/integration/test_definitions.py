"""Jobs as data: checked with the line, versioned, learnt by every replica, and as durable as any other."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path
from typing import Any

import pytest
from examples.release.definition import steps
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.integration.test_examples import payload
from tests.support import PUSH, at_home, on_site

from hookline import App, Context, Debounce, Rate
from hookline.errors import InvalidInput
from hookline.jobs.definition import define
from hookline.terms import Terms

SOURCE = (Path(__file__).parents[2] / "examples" / "release" / "release.yaml").read_text()


def registered() -> App:
    app = App()
    for each in (steps.build, steps.test, steps.ship, steps.clean_up):
        app.step(each)

    @app.step
    def double(n: int, times: int = 1) -> int:
        return n * 2 * times

    @app.step
    async def wants_context(ctx: Context) -> None: ...

    @app.job()
    async def in_code(ctx: Context, _: Any) -> None: ...

    return app


def yaml(**content: Any) -> bytes:
    return json.dumps(content).encode()


async def test_a_definition_is_kept_started_changed_and_deleted(dsn: str) -> None:
    app = registered()
    async with on_site(app, dsn) as site, site.house.replica():

        async def put(content: bytes, name: str = "sums") -> Any:
            return await site.client.put(
                f"/api/definitions/{name}", content=content, headers={"Content-Type": "application/yaml"}
            )

        in_a_row = [
            {"name": "first", "step": "double"},
            {"name": "second", "step": "double", "with": {"n": "{first}", "times": 3}},
        ]
        assert (await put(yaml(tasks=in_a_row, priority=7))).json() == {"name": "sums", "version": 1}
        again = await put(yaml(tasks=in_a_row, priority=7))
        assert (again.status_code, again.json()["version"]) == (200, 1)
        started = await site.client.post("/api/jobs/sums/runs", json={"input": {"n": 5}})
        assert (started.status_code, started.json()["priority"]) == (201, 7)
        await site.house.watch.ended(started.json()["id"])
        assert (await site.client.get(f"/api/runs/{started.json()['id']}")).json()["output"] == {"second": 60}

        assert (await put(yaml(tasks={"only": {"step": "double"}}))).json()["version"] == 2
        newer = (await site.client.post("/api/jobs/sums/runs", json={"input": {"n": 5}})).json()
        await site.house.watch.ended(newer["id"])
        assert (newer["version"], (await site.house.read(newer["id"]))["output"]) == (2, b'{"only":10}')
        assert json.loads((await site.client.get("/api/definitions/sums?version=1")).json()["source"])["priority"] == 7

        assert (await put(yaml(tasks={"a": {"step": "double"}}), "in_code")).status_code == 422
        assert (await put(b"tasks: [", "sums")).json()["detail"].startswith("line 1: ")
        assert (await put(b"\xff", "sums")).status_code == 400
        assert (await site.client.put("/api/definitions/sums", content=b"{}")).status_code == 415
        assert (await site.client.delete("/api/definitions/sums")).status_code == 200
        assert (await site.client.delete("/api/definitions/sums")).status_code == 404
        assert (await site.client.post("/api/jobs/sums/runs", json={})).status_code == 404
        assert (await site.client.get("/api/definitions")).json() == {"definitions": []}


async def test_every_replica_learns_of_it_and_a_failed_step_is_retried_or_skipped(dsn: str) -> None:
    one, two = registered(), registered()
    async with on_site(one, dsn) as site, at_home(two, dsn, poll=0.05) as other, other.replica():
        told = await site.hookline("definitions", "apply", "examples/release/release.yaml")
        assert "release is at version 1" in told
        await other.watch.value("select 'release@1' = any(offers) from hookline.workers")
        assert "release" in await site.hookline("definitions", "list")
        assert await site.hookline("definitions", "show", "release") == SOURCE + "\n"
        assert "clean_up" in await site.hookline("jobs", "graph", "release")

        push = payload("push") | {"ref": "refs/heads/main", "after": "bad0" * 10}
        answer = await site.push("g1", json.dumps(push).encode())
        (row,) = await other.watch.ended(answer.json()["runs"][0])
        assert (row["state"], row["job"]) == ("failed", "release")
        skipped = (await site.hookline("runs", "retry", str(row["id"]), "--skip")).split()[-1]
        await other.watch.ended(skipped)
        done = set(await other.journal(skipped))
        assert done == {"build succeeded", "test succeeded", "ship succeeded", "clean_up skipped"}
        assert (await other.read(skipped))["state"] == "succeeded"


async def test_a_definition_has_schedules_and_a_replica_that_lacks_its_steps_leaves_it_to_others(dsn: str) -> None:
    able, unable = registered(), App()
    async with at_home(able, dsn, poll=0.05) as house, on_site(able, dsn) as site:
        source = yaml(schedule="@every 1s", tasks={"n": {"step": "double", "with": {"n": 4}}})
        put = await site.client.put(
            "/api/definitions/ticking", content=source, headers={"Content-Type": "application/json"}
        )
        assert put.status_code == 201, put.text
        async with at_home(unable, dsn) as lacking, lacking.replica(), house.replica():
            await house.watch.value("select count(*) > 0 from hookline.runs where state = 'succeeded'")
            assert "ticking" not in unable.latest


async def test_a_push_starts_it(dsn: str) -> None:
    app = registered()
    async with on_site(app, dsn) as site, site.house.replica():
        await site.client.put("/api/definitions/release", content=SOURCE, headers={"Content-Type": "application/yaml"})
        answer = await site.push("g1", PUSH)
        await site.house.watch.ended(*answer.json()["runs"])
        run = await site.house.read(answer.json()["runs"][0])
        assert (run["state"], json.loads(run["output"])["ship"]) == ("succeeded", {"shipped": "site:9fceb02"})


WRONG = {
    "no tasks": ("description: x", "line 1: tasks: Field required"),
    "empty": ("", "line 1: the definition: Input should be a valid dict"),
    "a list": ("- 1", "line 1"),
    "unknown key": ("tasks: {a: {step: double}}\ncolour: red", "line 2: colour: Extra inputs are not permitted"),
    "unknown step": ("tasks:\n  a:\n    step: fly", "line 2: task a: there is no step 'fly'; registered are build,"),
    "unknown task": (
        "tasks:\n  a: {step: double}\n  b:\n    step: double\n    after: c",
        "line 5: there is no task 'c'",
    ),
    "cycle": ("tasks:\n  a: {step: double, after: b}\n  b: {step: double, after: a}", "has a cycle"),
    "two operators": ("tasks:\n  a: {step: double, command: [ls]}", "line 2: task a says one of"),
    "no operator": ("tasks:\n  a: {after: []}", "line 2: task a says one of"),
    "a command": ("tasks:\n  a: {command: [ls]}", "line 2: task a: commands need HOOKLINE_DEFINITIONS_COMMANDS"),
    "parameter": ("tasks:\n  a: {step: double, with: {m: 1}}", "line 2: step double has no parameter 'm'"),
    "context": ("tasks:\n  a: {step: wants_context}", "line 2: step wants_context wants a Context"),
    "retry": (
        "tasks:\n  a:\n    step: double\n    retry: {attempts: 0}",
        "line 4: tasks.a.retry.attempts: Input should",
    ),
    "a text for a number": (
        "tasks: {a: {step: double}}\npriority: high",
        "line 2: priority: Input should be a valid int",
    ),
    "rule": ("tasks:\n  a: {step: double, rule: maybe}", "line 2: tasks.a.rule: Input should be"),
    "twice": ("tasks:\n  a: {step: double}\n  a: {step: double}", "line 3: 'a' is here twice"),
    "an alias": ("a: &x {step: double}\ntasks: {a: *x}", "line 1: anchors and aliases are not taken"),
    "a tag": ("tasks: !!python/object/apply:os.system [ls]", "line 1"),
    "a bad name": ("tasks:\n  a/b: {step: double}", "line 2"),
    "schedule": ("tasks: {a: {step: double}}\nschedule: sometimes", "line 2: schedule 'sometimes' is not as cron's"),
    "a policy without a scope": (
        "tasks: {a: {step: double}}\npolicy: skip",
        "line 2: job job has a policy, but no scope",
    ),
    "a policy": ("tasks: {a: {step: double}}\nscope: a\npolicy: drop", "line 3: policy: Input should be"),
    "a rate": ("tasks: {a: {step: double}}\nscope: a\nrate: {count: 0, per: 1}", "line 3: a Rate is 1 to 1000"),
    "a limit": ("tasks: {a: {step: double}}\nscope: a\nlimit: 0", "line 3: job job: a limit is at least 1"),
    "deep": ("[" * 100 + "]" * 100, "nested too deeply"),
    "very deep": ("[" * 5000 + "]" * 5000, "this is no YAML that can be read"),
    "infinite": ("tasks: {a: {step: double, timeout: .inf}}", "numbers are finite"),
    "large": ("#" * 300_000, "262144 characters"),
    "tab": ("tasks:\n\t- a", "line 2"),
}


@pytest.mark.parametrize("what", WRONG)
def test_what_is_wrong_is_told_with_its_line(what: str) -> None:
    source, told = WRONG[what]
    with pytest.raises(InvalidInput) as refused:
        registered().check_definition("job", source, commands=False)
    assert told in str(refused.value), str(refused.value)


@pytest.mark.parametrize(
    ("says", "terms"),
    [
        ("limit: 3\nrate: {count: 10, per: 60}", Terms(limit=3, rate=Rate(10, 60))),
        ("limit: null\npolicy: {quiet: 30, at_most: 600}", Terms(Debounce(30, 600), None)),
        ("policy: replace_waiting", Terms("replace_waiting")),
    ],
)
def test_the_terms_of_a_scope_can_be_defined(says: str, terms: Terms) -> None:
    app = registered()
    app.learn("job", 1, f"tasks: {{a: {{step: double}}}}\nscope: one\n{says}", commands=False)
    assert app.find("job").terms == terms


def test_operators_can_be_defined() -> None:
    source = """
tasks:
  - {name: list, command: [ls, "{input.where}"], env: {A: b}, timeout: 5}
  - name: call
    request: {method: POST, url: "https://example.com/{input.n}", json: {n: "{input.n}"}}
    retry: {attempts: 3, delay: [1, 2]}
  - {name: status, github_status: {state: success, context: x}}
  - {name: comment, github_comment: {body: "{call.status}"}, rule: all_done}
"""
    found = define("job", source, {}, commands=True)
    assert [edge.source for edge in found.graph.diagram().edges] == ["list", "call", "status"]


words = st.sampled_from(
    [
        "tasks",
        "on",
        "step",
        "double",
        "after",
        "rule",
        "with",
        "schedule",
        "name",
        "{input.n}",
        "{",
        "}",
        "a",
        "b",
        "@daily",
    ]
)
anything = st.recursive(
    words
    | st.integers()
    | st.booleans()
    | st.none()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(words | st.text(max_size=4), inner, max_size=4),
    max_leaves=25,
)


@settings(max_examples=300, deadline=None)
@given(anything | st.fixed_dictionaries({"tasks": st.dictionaries(words, anything, max_size=3)}))
def test_nothing_but_a_refusal_comes_of_what_is_no_definition(content: Any) -> None:
    app = registered()
    with contextlib.suppress(InvalidInput):
        app.learn("job", 1, json.dumps(content), commands=False)
        assert app.latest["job"].diagram is not None


@settings(max_examples=300, deadline=None)
@given(st.text(alphabet="abtsk: -[]{}&*!|>\n\t\"'#,@{}.0123", max_size=120))
def test_no_text_breaks_the_reader(source: str) -> None:
    with contextlib.suppress(InvalidInput):
        registered().check_definition("job", source, commands=False)
