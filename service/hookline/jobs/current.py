"""The current step: what a step's function may know of the call that it serves, and tell of how far it has come."""

from __future__ import annotations

from collections.abc import Callable
from contextvars import ContextVar
from typing import Any
from uuid import UUID

from hookline import codec

Report = Callable[[Any, bytes], None]


class CurrentStep:
    """One try of a step, as its function sees it.

    Attributes:
        run: the run's id.
        key: the step's key in the journal.
        attempt: which try this is, from 1.
        checkpoint: the `state` that an earlier try last gave to `progress`; `None` if none did.
        report: takes what this tells of its progress, as JSON, from whichever thread.
        cancelled: whether the outcome is no longer wanted: an operator cancelled the run, or it timed out.
    """

    __slots__ = ("attempt", "cancelled", "checkpoint", "key", "report", "run")

    def __init__(self, run: UUID, key: str, attempt: int, checkpoint: Any, report: Report) -> None:
        self.run = run
        self.key = key
        self.attempt = attempt
        self.checkpoint = checkpoint
        self.cancelled = False
        self.report = report

    @property
    def idempotency_key(self) -> str:
        """The same for every try of this call, and of no other: for services that take one."""
        return f"{self.run}/{self.key}"

    def progress(self, fraction: float | None = None, message: str = "", *, state: Any = None) -> None:
        """Tell how far this try has come; counts as a sign of life.

        Args:
            fraction: from 0 to 1.
            message: for people.
            state: what the next try shall find as its `checkpoint`, should this one not end well.
        """
        if state is not None:
            self.checkpoint = state
        self.report(self, codec.encode({"progress": fraction, "message": message, "checkpoint": self.checkpoint}))


CURRENT: ContextVar[CurrentStep | None] = ContextVar("hookline_step", default=None)


def current_step() -> CurrentStep:
    """The step whose function is being executed; raises `RuntimeError` outside of one.

    Example:
        payments.charge(amount, idempotency_key=current_step().idempotency_key)
    """
    step = CURRENT.get()
    if step is None:
        raise RuntimeError("there is no current step: this is not called from within one")
    return step


def progress(fraction: float | None = None, message: str = "", *, state: Any = None) -> None:
    """Tell how far the current step has come: see `CurrentStep.progress`; outside of a step it does nothing."""
    step = CURRENT.get()
    if step is not None:
        step.progress(fraction, message, state=state)
