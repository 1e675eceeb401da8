"""The API's document says what the API does: every route, every status, every shape."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import Any

from starlette.routing import Mount, Route
from tests.reference import markdown, openapi
from tests.support import on_site

from hookline import App, Context, Event
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


async def test_whatever_is_asked_is_answered_as_the_document_says(dsn: str) -> None:
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
