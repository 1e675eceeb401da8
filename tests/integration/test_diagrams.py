"""Every job can be drawn, whichever way it is written, and the same each time."""

from __future__ import annotations

import json
from functools import partial

from tests.support import on_site

from hookline import App, Chain, Context, Graph, step
from hookline.jobs.diagram import Diagram, Edge, Node, of_runs


@step
async def build() -> None: ...


@step
async def ship() -> None: ...


async def test_jobs_are_drawn_over_the_api_and_on_the_command_line(dsn: str) -> None:
    app, graph = App(), Graph("graph")
    graph.task(build)
    graph.task(ship, after="build", rule="all_done")
    app.add(graph)
    app.add(Chain("chain", build.then(ship)))

    @app.job()
    async def coroutine(ctx: Context, n: int) -> None:
        """Builds n times."""
        for _ in range(n):
            await ctx.step(build)
        await ctx.map(str, [1, 2])
        await ctx.step(ship)

    async with on_site(app, dsn) as site, site.house.replica():
        for n in (1, 3):
            await site.house.finish("coroutine", n)
        told = (await site.client.get("/api/jobs/coroutine/graph")).json()
        assert told["nodes"] == [{"name": name, "kind": "step"} for name in ("build", "ship", "str/*")]
        assert [(edge["source"], edge["target"]) for edge in told["edges"]] == [("build", "str/*"), ("str/*", "ship")]
        assert (await site.client.get("/api/jobs/none/graph")).status_code == 404

        hookline = partial(site.hookline, "jobs")

        lines = (await hookline("graph", "graph")).splitlines()
        assert lines == ["flowchart TD", '    n0["build"]', '    n1["ship"]', "    n0 -->|all_done| n1"]
        assert "success" in await hookline("graph", "chain")
        assert json.loads(await hookline("graph", "chain", "--json"))["job"] == "chain"
        assert "Builds n times." in await hookline("list")
        run = (await hookline("run", "coroutine", "--input", "1")).split()[-1]
        (row,) = await site.house.watch.ended(run)
        assert row["state"] == "succeeded"


def test_nothing_in_a_name_is_taken_for_markup() -> None:
    evil = 'a"]; click n0 "javascript:alert(1)"'
    drawn = Diagram([Node(evil)], [Edge(evil, evil, "|x|")]).mermaid()
    assert drawn.count('"') == 2
    assert drawn.splitlines()[-1] == "    n0 -->|#124;x#124;| n0"


def test_what_several_runs_did_is_one_drawing_whatever_their_order() -> None:
    runs = [["a", "b", "m/0", "m/1", "c"], ["a", "b#2", "c"]]
    assert of_runs(runs) == of_runs(list(reversed(runs)))
    assert [node.name for node in of_runs(runs).nodes] == ["a", "b", "c", "m/*"]
