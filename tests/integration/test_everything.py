"""A job that uses every call of the Context can be replayed after each, and be taken over at a named one."""

from __future__ import annotations

from tests.everything import EXPECTED, app, play

from hookline.testing import Serve


async def test_every_call_can_be_replayed_after_every_other(hookline: Serve) -> None:
    async with hookline(app, always_replay=True) as service:
        result = await play(service)
        assert (result.state, result.output) == ("succeeded", EXPECTED), result.reason


async def test_a_crash_at_a_named_call_does_it_again_once(hookline: Serve) -> None:
    async with hookline(app) as service:
        with service.crash_at("charge"):
            result = await play(service)
        assert (result.state, result.output) == ("succeeded", EXPECTED)
