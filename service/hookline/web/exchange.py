"""The exchange: a delivery that is all there, and its answer, straight from the connection with no ASGI in between."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable
from typing import Any, ClassVar

from starlette.responses import Response
from starlette.types import Message, Receive, Scope
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

PATH = "/webhooks/"
"""What the paths begin with that deliveries are posted to; the rest is the name of their source."""

DELIVERY = re.compile(PATH.encode() + rb"[A-Za-z0-9._-]+")
"""A path that needs no reading."""

MOST = 65_536
"""Bytes that a body may have which is kept before anything else is known of it."""

SOON = 1.0
"""Seconds within which all of it is there; what takes longer is read under the clock that `read` has for it."""

Answer = Callable[[Scope, Receive], Awaitable[Response]]


class _Nobody:
    """Is told what nobody waits for."""

    def set(self) -> None:
        """Wake nobody."""


class Exchange:
    """One of them, in the place of uvicorn's cycle, by which that knows how far a connection is.

    Args:
        keep_alive: whether the connection goes on behind the answer.
    """

    __slots__ = ("body", "disconnected", "keep_alive", "response_complete")

    message_event: ClassVar[_Nobody] = _Nobody()

    def __init__(self, body: bytes, keep_alive: bool) -> None:
        self.body = body
        self.keep_alive = keep_alive
        self.disconnected = False
        self.response_complete = False

    async def receive(self) -> Message:
        """The body, in one message."""
        return {"type": "http.request", "body": self.body}


class Direct(HttpToolsProtocol):
    """HTTP/1.1 as uvicorn speaks it, but for deliveries of a moderate size, which begin once they are all there.

    For uvicorn a request is one from its head on, and body, head and body of the answer are passed on one after the
    other, as they come. Of the CPU that a webhook took, that was a fourteenth.

    Attributes:
        answer: what answers deliveries; nothing, if none are taken here.
    """

    answer: Answer | None = None
    _parts: list[bytes] | None = None
    """What is there of the body of a delivery that is not all there."""
    _late: asyncio.TimerHandle | None = None

    def data_received(self, data: bytes) -> None:
        """Take in what came."""
        super().data_received(data)
        if self._parts is not None and self._late is None and not self.transport.is_closing():
            self._late = self.loop.call_later(SOON, self._give_up)

    def connection_lost(self, exc: Exception | None) -> None:
        """Have uvicorn tell that the rest does not come."""
        self._give_up()
        super().connection_lost(exc)

    def shutdown(self) -> None:
        """End behind what is under way, which is also what is not all there."""
        self._give_up()
        super().shutdown()

    def on_headers_complete(self) -> None:
        """Wait for the body, if this is a delivery."""
        if self._is_delivery():
            self._parts = []
        else:
            super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """Keep it, if it is a delivery's."""
        if self._parts is None:
            super().on_body(body)
        else:
            self._parts.append(body)

    def on_message_complete(self) -> None:
        """Begin, now that the delivery is all there."""
        if self._parts is None:
            super().on_message_complete()
            return
        exchange = Exchange(b"".join(self._taken()), self.parser.should_keep_alive())
        self.cycle = exchange  # type: ignore[assignment] # which has all that uvicorn asks of one
        self.scope |= {"method": "POST", "path": self.url.decode("ascii"), "raw_path": self.url, "query_string": b""}
        task = self.loop.create_task(self._go_through(exchange, self.scope))
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)

    def _is_delivery(self) -> bool:
        return (
            self.answer is not None
            and DELIVERY.fullmatch(self.url) is not None
            and self.parser.get_method() == b"POST"
            and self.parser.get_http_version() == "1.1"
            and not self.parser.should_upgrade()
            and not self.expect_100_continue
            and (self.cycle is None or self.cycle.response_complete)  # type: ignore[redundant-expr] # it is None at first
            and any(name == b"content-length" and int(value) <= MOST for name, value in self.headers)
        )

    def _taken(self) -> list[bytes]:
        parts, self._parts = self._parts or [], None
        if self._late is not None:
            self._late.cancel()
            self._late = None
        return parts

    def _give_up(self) -> None:
        """Have uvicorn begin with what is there, and read the rest."""
        if self._parts is not None:
            parts = self._taken()
            super().on_headers_complete()
            for each in parts:
                super().on_body(each)

    async def _go_through(self, exchange: Exchange, scope: Any) -> None:
        assert self.answer is not None  # noqa: S101 - or nothing is a delivery
        response = await self.answer(scope, exchange.receive)
        if self.flow.write_paused:
            await self.flow.drain()
        headers = [*self.server_state.default_headers, *response.raw_headers]
        if any(name == b"connection" for name, _ in response.raw_headers):  # which says `close`, whenever it is there
            exchange.keep_alive = False
        elif not exchange.keep_alive:
            headers.append((b"connection", b"close"))
        told = [STATUS_LINE[response.status_code]]
        for name, value in headers:
            told += (name, b": ", value, b"\r\n")
        self.transport.write(b"".join((*told, b"\r\n", response.body)))
        exchange.response_complete = True
        if not exchange.keep_alive:
            self.transport.close()
        self.on_response_complete()
