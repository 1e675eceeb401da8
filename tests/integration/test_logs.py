"""What runs say is kept, once, along with what they commit, and whoever looks at them can read it."""

from __future__ import annotations

import asyncio
import json
import logging
import threading
from collections.abc import Iterator
from typing import Any
from uuid import UUID

import asyncpg
import pytest
import structlog
from tests.support import House, at_home

from hookline import App, Context, Fatal, telemetry
from hookline.codec import uuid7
from hookline.settings import load
from hookline.store import deletion, logs

pytestmark = pytest.mark.anyio


@pytest.fixture(autouse=True)
def as_served() -> Iterator[None]:
    """Logging as `hookline serve` sets it up."""
    telemetry.configure(load())
    yield
    telemetry.configure(load())
    structlog.reset_defaults()


async def said(house: House, run: UUID, **wanted: Any) -> list[str]:
    """What `run` has said, in order."""
    async with house.database.session() as connection:
        return [json.loads(row["data"])["event"] for row in await logs.of_run(connection, run, **wanted)]


async def lines(house: House, run: UUID) -> list[dict[str, Any]]:
    async with house.database.session() as connection:
        return [dict(row) | json.loads(row["data"]) for row in await logs.of_run(connection, run)]


async def test_what_a_job_and_its_steps_say_is_kept_in_order(dsn: str) -> None:
    app = App()

    async def build(commit: str) -> str:
        structlog.get_logger().info("building", commit=commit)
        logging.getLogger("user.code").warning("disk is at %d %%", 93)
        return commit

    def ship(commit: str) -> None:
        telemetry.log.error("no van", commit=commit)

    @app.job()
    async def deploy(ctx: Context, commit: str) -> None:
        ctx.log.info("begun", commit=commit)
        await ctx.step(build, commit)
        await ctx.step(ship, commit)
        ctx.log.info("shipped")

    async with at_home(app, dsn) as house, house.replica():
        run = (await house.finish("deploy", "9fceb02"))["id"]
        told = await lines(house, run)
    assert [(each["event"], each["step"], each["level"], each["attempt"]) for each in told] == [
        ("begun", None, 20, None), ("building", "build", 20, 1), ("disk is at 93 %", "build", 30, 1),
        ("no van", "ship", 40, 1), ("shipped", None, 20, None),
    ]  # fmt: skip
    assert told[0]["fields"] == {"commit": "9fceb02"}
    assert [each["number"] for each in told] == [1, 2, 3, 4, 5]
    assert sorted(each["at"] for each in told) == [each["at"] for each in told]
