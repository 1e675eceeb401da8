"""Complete: what a shell is told when somebody presses Tab; in silence, and at once or not at all."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import httpx
import typer

from hookline.settings import load

PATIENCE = 1.0
"""Seconds that a person waits for a completion."""

MOST = 50


def _of(path: str, noun: str, word: str, help_: Callable[[dict[str, Any]], str]) -> Callable[..., Any]:
    """What completes the `word` of each of the API's answers that begins with what was typed."""

    def complete(ctx: typer.Context, incomplete: str) -> list[tuple[str, str]]:
        try:
            told = _asked(path, ctx.params)[noun]
            return [(each[word], help_(each)) for each in told if each[word].startswith(incomplete)][:MOST]
        except Exception:  # noqa: BLE001 - whatever it is, it must not be in the way of who types
            return []

    return complete


def _asked(path: str, given: dict[str, Any]) -> Any:
    settings = load(url=given.get("url"), token=given.get("token"))
    headers = {"Authorization": f"Bearer {settings.token.get_secret_value()}"} if settings.token else {}
    return httpx.get(f"{settings.url.rstrip('/')}{path}", headers=headers, timeout=PATIENCE).raise_for_status().json()


def open_runs(ctx: typer.Context, incomplete: str) -> Iterator[tuple[str, str]]:
    """The newest runs, those that have not ended first."""
    told = _runs(ctx, incomplete)
    for ended in (False, True):
        for run, help_ in told:
            if help_.endswith((" succeeded", " failed", " cancelled")) == ended:
                yield run, help_


_runs = _of(f"/api/runs?limit={MOST}", "runs", "id", lambda run: f"{run['job']} {run['state']}")
jobs = _of("/api/jobs", "jobs", "name", lambda job: job["description"].partition("\n")[0])
sources = _of("/api/sources", "sources", "name", lambda source: source["parser"])
workers = _of("/api/workers", "workers", "id", lambda worker: worker["name"])
schedules = _of("/api/schedules", "schedules", "name", lambda schedule: schedule["spec"])
definitions = _of("/api/definitions", "definitions", "name", lambda each: f"version {each['version']}")
deliveries = _of(f"/api/deliveries?limit={MOST}", "deliveries", "id", lambda each: f"{each['type']} {each['status']}")
