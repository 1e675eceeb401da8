"""A job that uses all of the Context ends the same wherever its worker dies, and no recorded call is done again."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Sequence
from typing import Any
from unittest.mock import patch

import pytest

from hookline import App, CallbackFailed, Context, Fatal, Retry, progress, step
from hookline.engine.ledger import Ledger
from hookline.engine.steps import Steps
from hookline.testing import Result, Serve, Service
from hookline_parsers import github

app = App()
done: Counter[str] = Counter()


@step(retry=Retry(attempts=2, delay=0))
async def flaky(run: str) -> str:
    done[f"flaky {run}"] += 1
    if done[f"flaky {run}"] == 1:
        raise OSError("once")
    progress(0.5, state=1)
    return "well"


@step(once=True, unknown="retry")
async def charge(amount: int) -> int:
    return amount


async def look(state: int) -> int:
    return state + 1


async def double(x: int) -> int:
    return 2 * x


async def fails() -> None:
    raise ValueError("no")


async def undo(what: str) -> None:
    return None


@app.job()
async def child(ctx: Context, x: int) -> int:
    return await ctx.step(double, x)


async def branch(ctx: Context, x: int) -> int:
    await ctx.sleep(0.001)
    return await ctx.step(double, x)


@app.job()
async def everything(ctx: Context, _: None) -> list[Any]:
    told: list[Any] = [await ctx.step(flaky, str(ctx.run)), await ctx.step(charge, 5)]
    ctx.compensate(undo, "charge")
    told.append(type(await ctx.now()).__name__)
    await ctx.set_var("phase", "one")
    told.append(await ctx.poll(look, every=0.001, until=lambda n: n >= 3, state=0))
    told.append(await ctx.wait_for("word"))
    event = await ctx.wait_for(github.check_suite(sha="9fceb02"))
    told.append(event.data["action"])
    callback = await ctx.callback("paid")
    try:
        told.append(await callback)
    except CallbackFailed as error:
        told.append(str(error))
    told.append(await ctx.run_job(child, 21))
    await ctx.start_job(child, 1)
    told.append(list(await ctx.map(branch, [1, 2], concurrency=1)))
    told.append((await ctx.race(ctx.wait_for("never"), ctx.step(double, 4)))[1])
    try:
        await ctx.gather(ctx.step(fails), ctx.wait_for("never"))
    except ValueError as error:
        told.append(str(error))
    told.append(ctx.patched("new"))
    await ctx.sleep(0.001)
    await ctx.set_var("phase", "two")
    return told


@app.job()
async def saga(ctx: Context, _: None) -> None:
    for what in ("a", "b"):
        await ctx.step(double, 1)
        ctx.compensate(undo, what)
    raise Fatal("no")


SUITE = {"action": "completed", "check_suite": {"head_sha": "9fceb02"}}
EXPECTED = ["well", 5, "datetime", 3, "hi", "completed", "late", 42, [2, 4], 8, "no", True]


class Deaths:
    """Kills the worker before or after the commit number `at`, counting those that carry something of any run."""

    def __init__(self, service: Service, at: int, when: str) -> None:
        self.commits = 0
        self._service = service
        self._at = at
        self._when = when
        self._write = Ledger._write

    def __enter__(self) -> Deaths:
        deaths = self

        async def write(ledger: Ledger, connection: Any, items: Sequence[Any], again: bool) -> list[Any]:
            deaths.commits += 1
            dies = deaths.commits == deaths._at
            if dies and deaths._when == "before":
                await deaths._service.crash()
            results = await deaths._write(ledger, connection, items, again)
            if dies:
                await deaths._service.crash()
            return results

        self._patch = patch.object(Ledger, "_write", write)
        self._patch.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._patch.stop()


async def play(service: Service) -> Result:
    """A run of `everything`, with all that has to come for it."""
    run = await service.start("everything")
    await service.signal(run, "word", "hi")
    await service.deliver("github", "check_suite", SUITE)
    while not any(key == "paid" and state == "waiting" for key, _, state in (await service.result(run)).journal):
        await asyncio.sleep(0.005)
    await service.complete(run, "paid", error="late")
    return await service.ended(run)


async def play_saga(service: Service) -> Result:
    """A run of `saga`."""
    return await service.run("saga")


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("job", ["everything", "saga"])
async def test_wherever_the_worker_dies_the_run_ends_the_same(hookline: Serve, job: str, when: str) -> None:
    performed: Counter[tuple[Any, str]] = Counter()
    attempt = Steps._attempt

    async def counted(steps: Steps, call: Any, current: Any) -> bytes:
        performed[current.run, call.key] += 1
        return await attempt(steps, call, current)

    at, died = 0, True
    async with hookline(app) as service:
        with patch.object(Steps, "_attempt", counted):
            while died:
                at += 1
                await service.end()
                with Deaths(service, at, when) as deaths:
                    service.begin()
                    result = await (play(service) if job == "everything" else play_saga(service))
                    died = deaths.commits >= at
                if job == "everything":
                    assert (result.state, result.output) == ("succeeded", EXPECTED), (at, result.reason)
                    assert result.vars == {"phase": "two"}
                else:
                    assert (result.state, result.reason) == ("failed", "hookline.errors.Fatal: no")
                    assert [state for _, kind, state in result.journal if kind == "undo"] == ["succeeded", "succeeded"]
                again = [n for (run, key), n in performed.items() if run == result.id and key not in ("look", "flaky")]
                assert sum(n - 1 for n in again) <= 1, (at, performed)
    assert at > (20 if job == "everything" else 5)


async def test_every_call_can_be_replayed_after_every_other(hookline: Serve) -> None:
    async with hookline(app, always_replay=True) as service:
        result = await play(service)
        assert (result.state, result.output) == ("succeeded", EXPECTED), result.reason


async def test_a_crash_at_a_named_call_does_it_again_once(hookline: Serve) -> None:
    async with hookline(app) as service:
        with service.crash_at("charge"):
            result = await play(service)
        assert (result.state, result.output) == ("succeeded", EXPECTED)
