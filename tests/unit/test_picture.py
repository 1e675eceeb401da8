"""A run drawn for people in a terminal."""

from __future__ import annotations

from typing import Any

from rich.console import Console

from hookline.cli.picture import Picture


def drawn(state: str, finished_at: str | None, *journal: dict[str, Any]) -> str:
    run = {
        "id": "r1", "job": "deploy", "version": 1, "state": state, "started_at": "2026-01-02T03:04:05Z",
        "finished_at": finished_at, "journal": journal, "output": None, "due_at": None, "reason": None,
    }  # fmt: skip
    console = Console(width=100)
    with console.capture() as told:
        console.print(Picture(run))
    return told.get()


def test_a_step_that_was_under_way_when_its_run_ended_took_until_then() -> None:
    step = {
        "key": "ship", "kind": "step", "state": "started", "attempt": 1, "output": None, "error": None,
        "started_at": "2026-01-02T03:04:06Z", "finished_at": None,
    }  # fmt: skip
    assert "started 2.0 s" in drawn("cancelled", "2026-01-02T03:04:08Z", step)
    assert "started 2.0 s" not in drawn("running", None, step)
    assert drawn("paused", None, step).rstrip().endswith("started"), "nobody knows how long it went on"
