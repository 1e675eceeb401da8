"""Schedules fire each tick once, however many replicas there are and whatever becomes of them."""

from __future__ import annotations

import asyncio
import json
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import pairwise
from typing import Any

import pytest
from tests.support import House, at_home, on_site

from hookline import App, Context, Schedule
from hookline.errors import ConfigurationError
from hookline.store import schedules
from hookline.timetable import Timetable

BACK = "update hookline.schedules set next_at = now() - $2::interval where name = $1"
RUNS = "select count(*) = $1 from hookline.runs"


async def back(house: House, name: str, span: timedelta) -> None:
    """As if the schedule had last been looked at so long ago."""
    await house.watch.connection.execute(BACK, name, span)


def scheduled(*schedules_: Schedule, **options: Any) -> App:
    app = App()

    @app.job(schedule=schedules_, **options)
    async def report(ctx: Context, about: dict[str, Any]) -> Any:
        if about.get("wait"):
            await ctx.wait_for("go")
        return about

    return app


async def test_a_tick_starts_a_run_that_is_told_of_it(dsn: str) -> None:
    async with at_home(scheduled(Schedule("@every 1s")), dsn) as house, house.replica():
        await house.watch.value("select count(*) >= 2 from hookline.runs where state = 'succeeded'")
        rows = await house.watch.connection.fetch(
            "select output, idempotency_key from hookline.runs join hookline.run_data on run_id = id order by seq"
        )
    told = [json.loads(row["output"]) for row in rows[:2]]
    moments = [datetime.fromisoformat(each["at"]) for each in told]
    assert told[0]["schedule"] == "report"
    assert rows[0]["idempotency_key"] == f"schedule:report:{told[0]['at']}"
    assert moments[1] - moments[0] == timedelta(seconds=1)


async def test_three_replicas_of_which_one_is_lost_fire_each_tick_once(dsn: str) -> None:
    app = scheduled(Schedule("@every 1s", catch_up="all", most=10_000))
    async with at_home(app, dsn, poll=0.05) as house:
        await Timetable(app.latest).declare(house.watch.connection)  # type: ignore[arg-type]
        await back(house, "report", timedelta(seconds=300))
        async with AsyncExitStack() as stack:
            for _ in range(2):
                await stack.enter_async_context(house.replica())
            doomed = asyncio.create_task(house.run_replica())
            await house.watch.value("select count(*) > 0 from hookline.runs")
            doomed.cancel()
            await house.watch.value("select next_at > now() - interval '1 second' from hookline.schedules")
            await house.watch.value("select count(*) >= 302 from hookline.runs")
        keys = [row[0] for row in await house.watch.connection.fetch("select idempotency_key from hookline.runs")]
    moments = sorted(datetime.fromisoformat(key.split(":", 2)[2]) for key in keys)
    assert len(keys) == len(set(keys))
    gaps = {later - moment for moment, later in pairwise(moments)}
    assert gaps == {timedelta(seconds=1)}


async def test_a_tick_that_was_being_fired_when_its_replica_died_is_fired_by_another(dsn: str) -> None:
    app = scheduled(Schedule("@daily", catch_up="one"))
    async with at_home(app, dsn) as house:
        timetable = Timetable(app.latest)
        async with house.database.session() as connection:
            await timetable.declare(connection)
            await back(house, "report", timedelta(days=1))
            dying = await house.database.connect()
            begun = dying.transaction()
            await begun.start()
            (row,) = await schedules.due(dying, ["report"])
            await timetable._fire(dying, row)
            await timetable.fire(connection)
            assert await house.watch.connection.fetchval(RUNS, 0), "the row is in another's hands"
            dying.terminate()
            await house.watch.until(lambda _: _fired(timetable, house))
        assert await house.watch.connection.fetchval(RUNS, 1)


async def _fired(timetable: Timetable, house: House) -> bool:
    async with house.database.session() as connection:
        await timetable.fire(connection)
    return bool(await house.watch.connection.fetchval("select count(*) > 0 from hookline.runs"))


@pytest.mark.parametrize(
    ("overlap", "states"),
    [
        ("allow", ["waiting", "waiting"]),
        ("skip", ["waiting"]),
        ("queue", ["waiting", "blocked"]),
        ("cancel_running", ["cancelled", "waiting"]),
    ],
)
async def test_a_tick_minds_the_run_of_the_one_before(dsn: str, overlap: Any, states: list[str]) -> None:
    app = scheduled(Schedule("@daily", overlap=overlap, catch_up="one", input={"wait": True}))
    async with at_home(app, dsn, poll=0.05) as house, house.replica():
        await house.watch.value("select count(*) = 1 from hookline.schedules")
        for day in (2, 1):
            await back(house, "report", timedelta(days=day))
            await house.watch.connection.execute("select pg_notify('hookline', 'arrived')")
            await house.watch.value("select next_at > now() from hookline.schedules")
            await house.watch.connection.execute(
                "update hookline.runs set idempotency_key = id::text"
            )  # both moves lead to the tick of today
            await house.watch.value("select count(*) > 0 from hookline.runs where state = 'waiting'")
        await house.watch.value("select array_agg(state order by seq) = $1 from hookline.runs", states)


async def test_a_filter_decides_and_one_that_breaks_is_told_of_and_stops_no_other(dsn: str) -> None:
    app = scheduled(
        Schedule("@daily", name="never", filter=lambda tick: False, catch_up="one"),
        Schedule("@daily", name="broken", filter=lambda tick: 1 / 0, catch_up="one"),
        Schedule("@daily", name="sound", filter=lambda tick: tick.tzinfo is UTC, catch_up="one"),
    )
    async with at_home(app, dsn) as house:
        timetable = Timetable(app.latest)
        async with house.database.session() as connection:
            await timetable.declare(connection)
            for name in timetable.names:
                await back(house, name, timedelta(days=1))
            await timetable.fire(connection)
            rows = {row["name"]: row for row in await schedules.listed(connection)}
        keys = await house.watch.connection.fetchval("select array_agg(idempotency_key) from hookline.runs")
        assert [key.split(":")[1] for key in keys] == ["sound"]
        assert "ZeroDivisionError" in rows["broken"]["problem"]
        assert all(row["next_at"] > datetime.now(UTC) for row in rows.values())


async def test_a_schedule_is_switched_off_and_on_seen_and_backfilled(dsn: str) -> None:
    app = scheduled(Schedule("0 3 * * *", timezone="Europe/Berlin"))
    async with on_site(app, dsn) as site, site.house.replica():
        await site.house.watch.value("select count(*) = 1 from hookline.schedules")

        hookline = partial(site.hookline, "schedules")

        (listed,) = (await site.client.get("/api/schedules")).json()["schedules"]
        assert (listed["name"], listed["active"], listed["declared"]) == ("report", True, True)
        assert len(set(listed["upcoming"])) == 5
        assert "report is off" in await hookline("off", "report")
        await back(site.house, "report", timedelta(days=3))
        assert "off" in await hookline("list")
        assert "report is on; next " in await hookline("on", "report")
        assert await site.house.watch.connection.fetchval(RUNS, 0), "what it missed while it was off is missed"

        span = ("--since", "2026-11-01T00:00Z", "--until", "2026-11-08T00:00Z")
        assert "7 ticks; add --yes" in await hookline("backfill", "report", *span)
        assert "7 of 7 runs are new" in await hookline("backfill", "report", *span, "--yes")
        assert "0 of 7 runs are new" in await hookline("backfill", "report", *span, "--yes")
        for path, body, status in (
            ("none/off", {}, 404),
            ("report/sideways", {}, 404),
            ("report/backfill", {"since": "2026-11-01T00:00:00", "until": "2026-11-08T00:00:00Z"}, 422),
            ("report/backfill", {"since": "1990-11-01T00:00:00Z", "until": "2026-11-08T00:00:00Z"}, 422),
            ("report/backfill", {"since": "x"}, 422),
        ):
            assert (await site.client.post(f"/api/schedules/{path}", json=body)).status_code == status, path


def test_two_schedules_of_one_name_are_refused() -> None:
    with pytest.raises(ConfigurationError, match="2 schedules called 'report'"):
        scheduled(Schedule("@daily"), Schedule("@hourly")).check()
