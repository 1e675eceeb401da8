"""A callback: an address that a run gives away, and what an outsider answers there, once."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from typing import Any

from hookline.codec import Typed
from hookline.errors import HooklineError
from hookline.jobs.call import Pending, Performer, WaitForCallback


class CallbackFailed(HooklineError):
    """An outsider completed a callback with failure; its text is what the outsider said."""


class Callback:
    """Await it for what the outsider sends.

    The outsider posts `{"data": ...}` to `url`, or `{"error": "..."}`, once. Until then it may post to
    `url + "/heartbeat"` to show that it is still at work.

    Attributes:
        url: the address; whoever has it may use it.

    Raises:
        CallbackFailed: when awaited, if the outsider sent an error.
        TimeoutError: when awaited, if nothing came in time, or no heartbeat.
    """

    def __init__(
        self,
        performer: Performer,
        key: str,
        position: int,
        timeout: float | None,
        heartbeat: float | None,
        page: dict[str, str] | None,
        returns: Typed,
    ) -> None:
        self.url = ""
        self._performer = performer
        self._key = key
        self._position = position
        self._timeout = timeout
        self._heartbeat = heartbeat
        self._page = page
        self._returns = returns

    def _call(self, *, opening: bool) -> WaitForCallback:
        return WaitForCallback(
            key=self._key,
            position=self._position,
            mailbox=f"callback:{self._key}",
            timeout=self._timeout,
            heartbeat=self._heartbeat,
            page=self._page,
            returns=self._returns,
            opening=opening,
        )

    async def open(self) -> None:
        """Have the address made; returns once a call to it would be accepted."""
        self.url = await self._performer.perform(self._call(opening=True))

    def result(self) -> Pending[Any]:
        """What awaiting this does, as a call that can be gathered or raced."""
        return Pending(self._performer.perform, self._call(opening=False))

    def __await__(self) -> Generator[Any, Any, Any]:
        return self.result().__await__()


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a person decided.

    Args:
        approved: whether it may go on.
        comment: what the person wrote.
        by: who it was, as far as that is known.
    """

    approved: bool
    comment: str = ""
    by: str = ""


class Approval(Callback):
    """A callback with a page for people at `url`; await it for their `Verdict`."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self._returns = Typed(Verdict)
