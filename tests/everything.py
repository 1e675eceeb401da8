"""A job that uses every call of the Context, one that undoes itself, and what has to come for them."""

from __future__ import annotations

import asyncio
from typing import Any

from hookline import App, CallbackFailed, Context, Event, Fatal, Retry, current_step, progress, step
from hookline.testing.service import Result, Service
from hookline_parsers import github

app = App()


@step(retry=Retry(attempts=2, delay=0))
async def flaky() -> str:
    if current_step().attempt == 1:
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
    told: list[Any] = [await ctx.step(flaky), await ctx.step(charge, 5)]
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


@app.job(on=github.push(), scope="{repository}")
async def pushed(ctx: Context, event: Event) -> str:
    return str(event.data["after"])


@app.job(on=github.push())
async def noted(ctx: Context, event: Event) -> str:
    return str(event.data["after"])


SUITE = {"action": "completed", "check_suite": {"head_sha": "9fceb02"}}
EXPECTED = ["well", 5, "datetime", 3, "hi", "completed", "late", 42, [2, 4], 8, "no", True]


async def play(service: Service) -> Result:
    """A run of `everything`, once it has ended: all comes for it that it waits for."""
    run = await service.start("everything")
    await service.signal(run, "word", "hi")
    await service.deliver("github", "check_suite", SUITE)
    while not any(key == "paid" and state == "waiting" for key, _, state in (await service.result(run)).journal):
        await asyncio.sleep(0.005)
    await service.complete(run, "paid", error="late")
    return await service.ended(run)
