"""The handlers: what does each kind of call that a job makes."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, Protocol

from hookline.engine.steps import Steps
from hookline.engine.waits import Waits
from hookline.jobs.call import (
    Call,
    Child,
    Note,
    Send,
    Skip,
    Sleep,
    Stream,
    Tag,
    WaitForCallback,
    WaitForEvent,
    WaitForNext,
    WaitForSignal,
)
from hookline.jobs.step import Poll, StepCall, Undo
from hookline.store.journal import Record

Handler = Callable[[Any, Record | None], Awaitable[Any]]
"""Called with a call, and with what is recorded of it."""


class Doer(Protocol):
    """Whoever has something that does steps, and something that waits."""

    @property
    def steps(self) -> Steps:
        """What does steps."""

    @property
    def waits(self) -> Waits:
        """What does the waits."""


HANDLERS: dict[type[Call], Callable[[Doer], Handler]] = {
    StepCall: lambda doer: doer.steps.do,
    Undo: lambda doer: doer.steps.do,
    Poll: lambda doer: doer.steps.poll,
    Note: lambda doer: doer.steps.note,
    Skip: lambda doer: doer.steps.skip,
    Stream: lambda doer: doer.steps.stream,
    Tag: lambda doer: doer.steps.tag,
    Sleep: lambda doer: doer.waits.sleep,
    WaitForSignal: lambda doer: doer.waits.signal,
    WaitForNext: lambda doer: doer.waits.signal,
    WaitForEvent: lambda doer: doer.waits.event,
    WaitForCallback: lambda doer: doer.waits.callback,
    Child: lambda doer: doer.waits.child,
    Send: lambda doer: doer.waits.send,
}
