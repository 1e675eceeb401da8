"""Patience: who waits for a commit is given up in time, whoever else waits."""

from __future__ import annotations

import asyncio

import pytest

from hookline.errors import Unavailable
from hookline.ingress.patience import Patience


async def test_each_is_given_up_after_its_own_time_unless_it_is_done() -> None:
    loop, patience = asyncio.get_running_loop(), Patience(0.05)
    done, early, late = loop.create_future(), loop.create_future(), loop.create_future()
    patience.limit(early)
    patience.limit(done)
    done.set_result("committed")
    began = loop.time()
    with pytest.raises(Unavailable, match="did not commit in time"):
        await early
    patience.limit(late)
    assert not late.done()
    with pytest.raises(Unavailable):
        await late
    assert loop.time() - began >= 0.05
    assert done.result() == "committed"


async def test_after_nobody_has_waited_for_a_while_the_next_is_given_up_too() -> None:
    loop, patience = asyncio.get_running_loop(), Patience(0.01)
    for _ in range(3):
        waiting = loop.create_future()
        patience.limit(waiting)
        with pytest.raises(Unavailable):
            await waiting


async def test_whoever_went_away_keeps_nobody_else_from_being_given_up() -> None:
    loop, patience = asyncio.get_running_loop(), Patience(0.05)
    gone, waiting = loop.create_future(), loop.create_future()
    patience.limit(gone)
    patience.limit(waiting)
    gone.cancel()
    with pytest.raises(Unavailable):
        await waiting
