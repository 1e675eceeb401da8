"""The API's document says what the API does: every route, every status, every shape."""

from __future__ import annotations

import asyncio
import sys
from html import unescape
from pathlib import Path
from time import monotonic
from typing import Any

import pytest
from starlette.routing import Mount, Route
from tests.reference import markdown, openapi, problems
from tests.support import on_site

from hookline import App, Context, Event
from hookline.web.api import inbox
from hookline.web.faults import Fault
from hookline_parsers import github

CHECKS = "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance"
ROOT = Path(__file__).parents[2]


def busy() -> App:
    app = App()

    @app.job(on=github.push(), schedule="@daily")
    async def waits(ctx: Context, event: Event) -> None:
        await ctx.wait_for("go")

    @app.job()
    async def fails(ctx: Context, _: Any) -> None:
        raise ValueError("as asked")

    return app


async def test_every_route_is_in_the_document_and_nothing_else_is(dsn: str) -> None:
    async with on_site(busy(), dsn) as site:
        (mount,) = (each for each in site.routes if isinstance(each, Mount) and each.path == "/api")
        routed = {
            (method, f"/api{route.path.replace(':path', '')}")
            for route in mount.routes
            if isinstance(route, Route)
            for method in (route.methods or set()) - {"HEAD"}
        }
        told = (await site.client.get("/openapi.json")).json()
    assert {(method.upper(), path) for path, all_ in told["paths"].items() for method in all_} == routed
    assert told["openapi"] == "3.1.0"
    ids = [operation["operationId"] for all_ in told["paths"].values() for operation in all_.values()]
    assert len(ids) == len(set(ids))


async def test_whatever_is_asked_is_answered_as_the_document_says(dsn: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inbox, "monotonic", lambda: 100 * monotonic())  # who asks to wait 30 s waits a third of one
    async with on_site(busy(), dsn, tokens=["t0ken"]) as site, site.house.replica():
        for guid in ("1", "2"):
            await site.push(guid)
        await site.house.watch.ended(await site.house.start("fails"))
        process = await asyncio.create_subprocess_exec(
            str(Path(sys.executable).parent / "st"), "run", f"{site.client.base_url}/openapi.json".replace("//o", "/o"),
            "--header", "Authorization: Bearer t0ken", "--checks", CHECKS, "--max-examples", "8", "--seed", "1",
            "--phases", "examples,coverage,fuzzing", "--exclude-path-regex", "await$|stream$",
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
        )  # fmt: skip
        out, _ = await process.communicate()
    assert process.returncode == 0, out.decode()[-6000:]


def test_the_reference_is_made_of_the_document() -> None:
    assert (ROOT / "docs" / "reference.md").read_text() == markdown(), (
        "run `python -m tests.reference > docs/reference.md`"
    )
    assert len(openapi()["paths"]) > 20


def test_the_page_of_problems_is_made_of_their_declaration() -> None:
    assert (ROOT / "docs" / "problems.md").read_text() == problems(), (
        "run `python -m tests.reference problems > docs/problems.md`"
    )


async def test_the_service_tells_of_each_problem_where_its_type_leads(dsn: str) -> None:
    async with on_site(busy(), dsn, tokens=["t0ken"]) as site:
        for fault in Fault:
            told = await site.client.get(fault.uri)
            assert told.status_code == 200, fault
            assert fault.title in unescape(told.text)
            assert fault.uri in (await site.client.get("/problems")).text
        assert (await site.client.get("/problems/no-such")).status_code == 404
        assert (await site.client.get("/nothing/here")).json()["type"] == "/problems/no-such-path"
        assert (await site.client.post("/healthz")).json()["type"] == "/problems/method-not-allowed"
