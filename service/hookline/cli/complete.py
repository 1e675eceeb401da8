"""Complete: what a shell is told when somebody presses Tab; in silence, and at once or not at all."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import httpx
import typer

from hookline.settings import load
from hookline.store.states import TERMINAL

PATIENCE = 1.0
"""Seconds that a person waits for a completion."""

MOST, LONGEST = 50, 40
"""Completions, and characters of what is said of each."""


def _of(path: str, noun: str, word: str, help_: Callable[[dict[str, Any]], str]) -> Callable[..., Any]:
    """What completes the `word` of each of the API's answers that begins with what was typed."""

    def complete(ctx: typer.Context, incomplete: str) -> list[tuple[str, str]]:
        try:
            told = _asked(path, ctx.params)[noun]
            fitting = [each for each in told if each[word].startswith(incomplete)][:MOST]
            return [(each[word], help_(each)[:LONGEST]) for each in fitting]
        except Exception:  # noqa: BLE001 - whatever it is, it must not be in the way of who types
            return []

    return complete


def _asked(path: str, given: dict[str, Any]) -> Any:
    settings = load(url=given.get("url"), token=given.get("token"))
    headers = {"Authorization": f"Bearer {settings.token.get_secret_value()}"} if settings.token else {}
    return httpx.get(f"{settings.asked}{path}", headers=headers, timeout=PATIENCE).raise_for_status().json()


def open_runs(ctx: typer.Context, incomplete: str) -> Iterator[tuple[str, str]]:
    """The newest runs, those that have not ended first."""
    told = _runs(ctx, incomplete)
    for ended in (False, True):
        yield from ((run, help_) for run, help_ in told if help_.startswith(tuple(TERMINAL)) == ended)


_runs = _of(f"/api/runs?limit={MOST}", "runs", "id", lambda run: f"{run['state']} {run['job']}")
jobs = _of("/api/jobs", "jobs", "name", lambda job: job["description"].partition("\n")[0])
sources = _of("/api/sources", "sources", "name", lambda source: source["parser"])
workers = _of("/api/workers", "workers", "id", lambda worker: worker["name"])
schedules = _of("/api/schedules", "schedules", "name", lambda schedule: schedule["spec"])
definitions = _of("/api/definitions", "definitions", "name", lambda each: f"version {each['version']}")
deliveries = _of(f"/api/deliveries?limit={MOST}", "deliveries", "id", lambda each: f"{each['type']} {each['status']}")
