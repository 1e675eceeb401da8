"""Waiting: the part of a Context that goes on at a time, or when something comes from outside."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any, TypeVar, overload

from hookline.codec import Typed
from hookline.events import NEXT_EVENT, Event, Pattern
from hookline.jobs.call import Pending, Sleep, WaitForEvent, WaitForNext, WaitForSignal
from hookline.jobs.callback import Approval, Callback
from hookline.jobs.calls import Calls
from hookline.jobs.step import check_name
from hookline.spans import Seconds, seconds

T = TypeVar("T")


class Waiting(Calls):
    """The part of a Context that waits, and holds nothing meanwhile."""

    __slots__ = ()

    def sleep(self, span: Seconds) -> Pending[None]:
        """Go on after `span`; a number is in seconds. It goes on when it is over, on whichever replica."""
        return Pending(
            self._performer.perform,
            Sleep(key=self._key("sleep"), position=next(self._positions), seconds=max(seconds(span), 0.0)),
        )

    def sleep_until(self, moment: datetime) -> Pending[None]:
        """Go on at `moment`, at once if it has passed; raises `ValueError` if it has no time zone."""
        if moment.tzinfo is None:
            raise ValueError("a moment needs a time zone, as in datetime.now(UTC)")
        return Pending(
            self._performer.perform, Sleep(key=self._key("sleep"), position=next(self._positions), until=moment)
        )

    @overload
    def wait_for(self, what: str, /, *, timeout: Seconds | None = None, returns: type[T]) -> Pending[T]: ...
    @overload
    def wait_for(self, what: str, /, *, timeout: Seconds | None = None) -> Pending[Any]: ...
    @overload
    def wait_for(
        self, what: Pattern, /, *, timeout: Seconds | None = None, since: datetime | None = None
    ) -> Pending[Event]: ...
    def wait_for(
        self,
        what: str | Pattern,
        /,
        *,
        timeout: Seconds | None = None,
        since: datetime | None = None,
        returns: Any = Any,
    ) -> Pending[Any]:
        """Go on when somebody sends this run the signal `what`, or a webhook brings an event that fits it.

        What came before it was waited for is held: of signals all, of events those since the run was created, or
        since the moment `since`. Each is given to one wait, in the order in which they came.

        Args:
            returns: the type that a signal's data are read as.

        Raises:
            TimeoutError: nothing came within `timeout`.

        Example:
            suite = await ctx.wait_for(github.check_suite(sha=sha), timeout=timedelta(hours=1))
        """
        limit = None if timeout is None else seconds(timeout)
        if isinstance(what, str):
            key = self._key(check_name(what, "signal"))
            call: WaitForSignal | WaitForEvent = WaitForSignal(
                key=key, position=next(self._positions), mailbox=what, timeout=limit, returns=Typed(returns)
            )
        else:
            key = self._key(next(iter(what.types), "event").replace("/", ".").replace("#", "."))
            call = WaitForEvent(
                key=key,
                position=next(self._positions),
                mailbox=f"event:{key}",
                timeout=limit,
                pattern=what,
                since=since,
            )
        return Pending(self._performer.perform, call)

    def next_event(self, *, timeout: Seconds | None = None) -> Pending[Event]:
        """Go on with the next event about what this run is about: one that would have started it, were it not open.

        For jobs with `correlate`. They come in the order in which they arrived, each to one wait; one that the run
        ends without having taken starts the next run.

        Raises:
            TimeoutError: none came within `timeout`.

        Example:
            @app.job(on=github.pull_request(), correlate="{repository}#{number}")
            async def review(ctx: Context, event: Event) -> None:
                while event.type != "github.pull_request.closed":
                    await ctx.step(check, event.data)
                    event = await ctx.next_event()
        """
        call = WaitForNext(
            key=self._key("next_event"),
            position=next(self._positions),
            mailbox=NEXT_EVENT,
            timeout=None if timeout is None else seconds(timeout),
        )
        return Pending(self._performer.perform, call)

    async def callback(
        self, name: str, *, timeout: Seconds | None = None, heartbeat: Seconds | None = None, returns: Any = Any
    ) -> Callback:
        """Make an address that an outsider calls once, with success or failure: see `Callback`.

        Args:
            timeout: how long it may take; the address expires with it.
            heartbeat: how long the outsider may be silent.
            returns: the type that its data are read as.

        Example:
            paid = await ctx.callback("paid", timeout=timedelta(days=1))
            await ctx.step(request_payment, order, paid.url)
            receipt = await paid
        """
        return await self._callback(Callback, name, timeout, heartbeat, None, Typed(returns))

    async def approval(self, name: str, *, text: str = "", timeout: Seconds | None = None) -> Approval:
        """Make a page on which a person approves or rejects, with a comment: see `Approval`.

        Args:
            text: what the person shall know.
        """
        page = {"title": name, "text": text}
        return await self._callback(Approval, name, timeout, None, page, Typed(Any))

    async def _callback(
        self,
        made: Callable[..., T],
        name: str,
        timeout: Seconds | None,
        heartbeat: Seconds | None,
        page: dict[str, str] | None,
        returns: Typed,
    ) -> T:
        handle = made(
            self._performer,
            self._key(check_name(name, "callback")),
            next(self._positions),
            None if timeout is None else seconds(timeout),
            None if heartbeat is None else seconds(heartbeat),
            page,
            returns,
        )
        await handle.open()  # type: ignore[attr-defined]
        return handle
