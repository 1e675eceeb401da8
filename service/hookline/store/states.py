"""The states of a run, and the only ways from one to another."""

from __future__ import annotations

from typing import Final, Literal, get_args

State = Literal["blocked", "queued", "running", "waiting", "paused", "succeeded", "failed", "cancelled"]

STATES: Final[tuple[State, ...]] = get_args(State)
TERMINAL: Final[frozenset[State]] = frozenset({"succeeded", "failed", "cancelled"})

TRANSITIONS: Final[dict[State, frozenset[State]]] = {
    "blocked": frozenset({"queued", "paused", "cancelled"}),
    "queued": frozenset({"running", "paused", "cancelled"}),
    "running": frozenset({"succeeded", "failed", "cancelled", "queued", "waiting", "paused"}),
    "waiting": frozenset({"queued", "paused", "cancelled"}),
    "paused": frozenset({"queued", "blocked", "cancelled"}),
    "succeeded": frozenset(),
    "failed": frozenset(),
    "cancelled": frozenset(),
}
