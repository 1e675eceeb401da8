"""The application that the cluster's processes run; it notes each effect, waits at gates, and dies where it is told."""

from __future__ import annotations

import os
import signal
from collections.abc import Sequence
from typing import Any

import asyncpg

from hookline import App, Context, Event, step, telemetry
from hookline.engine.steps import Steps
from hookline.store.commit import GroupCommit
from hookline.store.journal import Record
from hookline_parsers import github

app = App()

EFFECTS = "create table if not exists public.effects (run text, step text, pid integer)"
GATE = 42
"""An advisory lock: whoever holds it for himself keeps every step that waits at the gate waiting."""


async def effect(run: str, name: str, *, at_gate: bool = False) -> str:
    """Note that step `name` of `run` has begun here, then pass the gate if it is to be passed."""
    connection = await asyncpg.connect(os.environ["EFFECTS_DSN"])
    try:
        await connection.execute("insert into public.effects values ($1, $2, $3)", run, name, os.getpid())
        if at_gate:
            await connection.execute("select pg_advisory_lock_shared($1)", GATE)
    finally:
        await connection.close()
    return name


@step
async def first(run: str) -> str:
    return await effect(run, "first")


@step
async def second(run: str) -> str:
    await effect(run, "second")
    telemetry.log.info("at it")
    die_at("in the step")
    return "second"


@step
async def gated(run: str) -> str:
    return await effect(run, "gated", at_gate=True)


@step
async def third(run: str) -> str:
    return await effect(run, "third")


@app.job()
async def three_steps(ctx: Context, _: None) -> list[str]:
    run = str(ctx.run)
    ctx.log.info("begun")
    done = [await ctx.step(first, run)]
    ctx.log.info("done", so_far=done)
    ctx.log.info("on to the second")
    done.append(await ctx.step(second, run))
    ctx.log.info("done", so_far=done)
    done.append(await ctx.step(third, run))
    ctx.log.info("done", so_far=done)
    return done


@app.job()
async def through_the_gate(ctx: Context, _: None) -> list[str]:
    run = str(ctx.run)
    return [await ctx.step(first, run), await ctx.step(gated, run), await ctx.step(third, run)]


@app.job(on=github.push())
async def on_push(ctx: Context, event: Event) -> str:
    return await ctx.step(remember, event.data["after"])


@step
def remember(commit: str) -> str:
    return commit


@app.job()
async def deadly(ctx: Context, _: None) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def die_at(point: str) -> None:
    """Die as by kill -9, if this is the point that was chosen."""
    if os.environ.get("DIE_AT") == point:
        os.kill(os.getpid(), signal.SIGKILL)


_attempt, _commit = Steps._attempt, GroupCommit._commit


async def _attempt_or_die(steps: Steps, call: Any, current: Any) -> bytes:
    if call.key == "second":
        die_at("before the step")
    return await _attempt(steps, call, current)


async def _commit_or_die(writer: GroupCommit[Any, Any], items: Sequence[Any], again: bool) -> Sequence[Any]:
    ours = any(isinstance(item, Record) and item.key == "second" for item in items)
    if ours:
        die_at("after the step, before its commit")
    results = await _commit(writer, items, again)
    if ours:
        die_at("after its commit")
    return results


Steps._attempt = _attempt_or_die  # type: ignore[method-assign]
GroupCommit._commit = _commit_or_die  # type: ignore[method-assign]
