"""Ticks across the days on which clocks are set, fired by two processes of which one is killed: each once."""

from __future__ import annotations

import signal
from collections import Counter
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from tests.cluster.processes import serving
from tests.cluster.ticking import ZONES, app
from tests.support import watching

from hookline.timetable import Timetable

pytestmark = pytest.mark.cluster

BACK = "update hookline.schedules set next_at = now() - interval '400 days'"


async def test_every_day_of_a_year_has_its_tick_once_in_three_zones_though_a_replica_is_killed(dsn: str) -> None:
    settings = {"HOOKLINE_DATABASE_URL": dsn, "HOOKLINE_APP": "tests.cluster.ticking:app"}
    async with watching(dsn) as watch:
        await Timetable(app.latest).declare(watch.connection)  # type: ignore[arg-type]
        await watch.connection.execute(BACK)
        async with serving(**settings) as doomed, serving(**settings):
            await watch.value("select count(*) > 0 from hookline.runs")
            doomed.send(signal.SIGKILL)
            await watch.value("select bool_and(next_at > now()) from hookline.schedules", timeout=60)
            await watch.value("select bool_and(state = 'succeeded') from hookline.runs", timeout=60)
        keys = await watch.connection.fetch("select idempotency_key as key, count(*) from hookline.runs group by 1")

    assert {row["count"] for row in keys} == {1}
    for zone in ZONES:
        name = zone.rpartition("/")[2].lower()
        ticks = [row["key"].split(":", 2)[2] for row in keys if row["key"].startswith(f"schedule:{name}:")]
        days = Counter(datetime.fromisoformat(tick).astimezone(ZoneInfo(zone)).date() for tick in ticks)
        first, last = min(days), max(days)
        assert set(days.values()) == {1}
        assert len(days) == (last - first).days + 1 >= 400 - 2
        assert last - first >= timedelta(days=398)
