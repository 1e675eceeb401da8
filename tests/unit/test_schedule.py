"""Schedules tick when their fields say, by the clock on the wall, across the days on which that is set."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hookline import Schedule
from hookline.errors import ConfigurationError

ZONES = {
    "Europe/Berlin": (date(2026, 3, 29), date(2026, 10, 25)),
    "America/New_York": (date(2026, 3, 8), date(2026, 11, 1)),
    "Australia/Lord_Howe": (date(2026, 10, 4), date(2026, 4, 5)),
}
"""The days on which clocks are set forward, and back; on Lord Howe by half an hour."""


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("cron", "after", "expected"),
    [
        ("*/15 * * * *", "2026-11-21T12:07", ["2026-11-21T12:15", "2026-11-21T12:30"]),
        ("*/20 * * * * *", "2026-11-21T12:00:05", ["2026-11-21T12:00:20", "2026-11-21T12:00:40"]),
        ("0 9 * JAN mon", "2026-11-21T12:00", ["2027-01-04T09:00", "2027-01-11T09:00"]),
        ("@daily", "2026-11-21T00:00", ["2026-11-22T00:00", "2026-11-23T00:00"]),
        ("@monthly", "2026-11-21T00:00", ["2026-12-01T00:00", "2027-01-01T00:00"]),
        ("@every 1h30m", "2026-11-21T12:00", ["2026-11-21T13:30", "2026-11-21T15:00"]),
        ("0 0 29 2 *", "2026-11-21T12:00", ["2028-02-29T00:00", "2032-02-29T00:00"]),
    ],
)
def test_fields_names_and_shorthands(cron: str, after: str, expected: list[str]) -> None:
    assert Schedule(cron).upcoming(at(after), 2) == [at(each) for each in expected]


@pytest.mark.parametrize("zone", ZONES)
@pytest.mark.parametrize("hour", [1, 2, 3])
def test_a_time_of_day_comes_once_a_day_also_when_clocks_are_set(zone: str, hour: int) -> None:
    for turning in ZONES[zone]:
        start = datetime.combine(turning - timedelta(days=2), datetime.min.time(), ZoneInfo(zone))
        ticks = Schedule(f"15 {hour} * * *", timezone=zone).upcoming(start, 4)
        local = [tick.astimezone(ZoneInfo(zone)) for tick in ticks]
        assert [each.date() for each in local] == [turning + timedelta(days=days) for days in (-2, -1, 0, 1)]
        assert ticks == sorted(set(ticks))


@pytest.mark.parametrize("zone", ZONES)
def test_every_hour_has_its_quarters_also_when_clocks_are_set(zone: str) -> None:
    for turning in ZONES[zone]:
        start = datetime.combine(turning - timedelta(days=1), datetime.min.time(), ZoneInfo(zone))
        ticks = Schedule("*/15 * * * *", timezone=zone).upcoming(start, 4 * 24 * 3)
        assert {later - tick for tick, later in pairwise(ticks)} == {timedelta(minutes=15)}


@given(
    st.sampled_from(["*/7 * * * *", "0 */5 * * *", "30 2 * * *", "@hourly", "@every 17m", "5 4 * * sun"]),
    st.sampled_from([*ZONES, "UTC"]),
    st.datetimes(datetime(2026, 1, 1), datetime(2027, 1, 1), timezones=st.just(UTC)),
)
def test_ticks_go_on_from_wherever_they_were_left(cron: str, zone: str, moment: datetime) -> None:
    schedule = Schedule(cron, timezone=zone)
    first, second, third = schedule.upcoming(moment, 3)
    assert moment < first < second < third
    assert schedule.upcoming(first, 2) == [second, third]
    assert schedule.after(second - timedelta(microseconds=1)) == second


@pytest.mark.parametrize(
    ("cron", "options", "why"),
    [
        ("* * * *", {}, "Wrong number of fields"),
        ("61 * * * *", {}, "Bad minute"),
        ("0 0 30 2 *", {}, "Bad day-of-month"),
        ("@every", {}, "followed by a time"),
        ("@every 0s", {}, "followed by a time"),
        ("@every 5 minutes", {}, "followed by a time"),
        ("@sometimes", {}, "Wrong number of fields"),
        ("@daily", {"timezone": "Mars/Olympus"}, "no time zone 'Mars/Olympus'"),
        ("@daily", {"timezone": "../etc/passwd"}, "no time zone"),
        ("@daily", {"overlap": "maybe"}, "overlap"),
        ("@daily", {"catch_up": "some"}, "catch_up"),
        ("@daily", {"most": 0}, "most"),
    ],
)
def test_what_makes_no_sense_is_refused(cron: str, options: dict[str, str], why: str) -> None:
    with pytest.raises(ConfigurationError, match=why):
        Schedule(cron, **options)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("catch_up", "late", "fired", "missed"),
    [
        ("skip", 10, ["12:00"], 4),
        ("skip", 120, [], 5),
        ("one", 120, ["12:00"], 4),
        ("all", 120, ["11:30", "11:45", "12:00"], 2),
    ],
)
def test_missed_ticks_are_made_up_for_as_is_said(catch_up: str, late: int, fired: list[str], missed: int) -> None:
    schedule = Schedule("*/15 * * * *", catch_up=catch_up, most=3)  # type: ignore[arg-type]
    now = at("2026-11-21T12:00") + timedelta(seconds=late)
    assert schedule.due(at("2026-11-21T11:00"), now) == ([at(f"2026-11-21T{each}") for each in fired], missed)


def test_the_jitter_is_the_same_on_every_replica() -> None:
    schedule, tick = Schedule("@daily", jitter=60), at("2026-11-21T00:00")
    assert schedule.delay("a", tick) == schedule.delay("a", tick) != schedule.delay("b", tick)
    assert 0 <= schedule.delay("a", tick) <= 60
