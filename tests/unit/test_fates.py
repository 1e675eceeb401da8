"""What becomes of a delivery that never arrived is decided from what its provider lists."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hookline.ingress.reconcilers.fates import FIRST_PAUSE, GRACE, TRIES, decide
from hookline.ingress.reconcilers.provider import Listed

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)


def listed(key: str, minutes: float, *, again: bool = False) -> Listed:
    return Listed(key, f"{key}@{minutes}", "app", "github.push", NOW - timedelta(minutes=minutes), again)


@pytest.mark.parametrize(
    ("attempts", "fate", "tries"),
    [
        ([listed("a", 1)], "waiting", 0),
        ([listed("a", 3)], "due", 0),
        ([listed("a", 60), listed("a", 9, again=True)], "waiting", 1),
        ([listed("a", 60), listed("a", 11, again=True)], "due", 1),
        ([listed("a", 60), listed("a", 30, again=True), listed("a", 19, again=True)], "waiting", 2),
        ([listed("a", 60), listed("a", 30, again=True), listed("a", 21, again=True)], "due", 2),
        ([listed("a", 4000), *(listed("a", 3000 - n, again=True) for n in range(TRIES))], "gave_up", TRIES),
    ],
)
def test_it_is_asked_for_ever_less_often_and_then_no_more(attempts: list[Listed], fate: str, tries: int) -> None:
    (found,) = decide(attempts[::-1], NOW, insisting=False)
    assert (found.fate, found.tries) == (fate, tries)
    assert found.at == attempts[0].at, "it is as old as the first attempt"
    assert found.latest == attempts[-1], "and asked for by the last"
    (insisted,) = decide(attempts, NOW, insisting=True)
    assert insisted.fate == ("due" if NOW - attempts[-1].at >= GRACE else "waiting")


def test_the_oldest_come_first_and_what_was_settled_before_does_not_come() -> None:
    found = decide(
        [listed("young", 5), listed("settled", 7, again=True), listed("old", 50), listed("middle", 20)],
        NOW, insisting=True,
    )  # fmt: skip
    assert [each.key for each in found] == ["old", "middle", "young"]


def test_a_clock_that_is_ahead_of_ours_only_delays() -> None:
    (found,) = decide([listed("a", -5)], NOW, insisting=True)
    assert found.fate == "waiting"


@given(st.lists(st.floats(0, 4000), max_size=12))
def test_between_two_times_that_it_is_asked_for_is_a_pause_that_grows(whens: list[float]) -> None:
    attempts = [listed("a", 4320)]
    for minutes in sorted(whens, reverse=True):
        now = NOW - timedelta(minutes=minutes)
        (found,) = decide(attempts, now, insisting=False)
        if found.fate == "due":
            attempts.append(listed("a", minutes, again=True))
    pauses = [later.at - earlier.at for earlier, later in pairwise(attempts[1:])]
    assert len(attempts) <= 1 + TRIES
    assert all(pause >= FIRST_PAUSE * 2**number for number, pause in enumerate(pauses))
