"""The head: a request's line and headers, within bounds, before anything of it is kept or answered.

uvicorn keeps whatever comes, of headers that never end too.
"""

from __future__ import annotations

import asyncio

from hookline import metrics
from hookline.web import problems
from hookline.web.exchange import Direct
from hookline.web.faults import Fault
from hookline.web.packet import Packet

MOST_HEADERS, MOST_BYTES = 100, 65_536

WHOLE = "hookline.whole"
"""The extension of ASGI that a request has whose whole body was there before it was answered."""

_ALL_THERE: dict[str, dict[object, object]] = {WHOLE: {}}

_BODY = problems.response(
    Fault.HEAD_TOO_LARGE, f"at most {MOST_HEADERS} headers, and {MOST_BYTES} bytes of them and the address"
).body

_REFUSAL = b"\r\n".join((
    b"HTTP/1.1 431 Request Header Fields Too Large", b"content-type: application/problem+json",
    b"content-length: %d" % len(_BODY), b"connection: close", b"", bytes(_BODY),
))  # fmt: skip


class BoundedHead(Direct):
    """HTTP/1.1, whose heads have at most `MOST_HEADERS` headers and `MOST_BYTES` bytes."""

    _is_in_head = True
    _is_too_large = False
    _heads = 0
    _chunk = 0
    _before = 0
    """Bytes of the head that came before this chunk."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Answer in whole packets."""
        super().connection_made(Packet(transport, self.loop))

    def data_received(self, data: bytes) -> None:
        """Take in what came; a head that has not ended is given up once it is too large."""
        began_in_head, heads = self._is_in_head, self._heads
        self._chunk = len(data)
        super().data_received(data)
        if began_in_head and heads == self._heads:
            self._before += len(data)
            if self._before > MOST_BYTES and not self.transport.is_closing():
                self._refuse()

    def on_headers_complete(self) -> None:
        """Answer the request, if its head is small enough."""
        at_most, self._before = self._before + self._chunk, 0
        self._is_in_head = False
        self._heads += 1
        if len(self.headers) > MOST_HEADERS or (at_most > MOST_BYTES and self._size() > MOST_BYTES):
            self._is_too_large = True
            raise ValueError("the head is too large")  # ends the parser, which has uvicorn send its refusal
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        """Tell that the body is there, and expect the next head."""
        self.scope["extensions"] = _ALL_THERE
        self._is_in_head = True
        super().on_message_complete()

    def send_400_response(self, msg: str) -> None:
        """Refuse what cannot be parsed, or must not be."""
        if self._is_too_large:
            self._refuse()
        else:
            super().send_400_response(msg)

    def _size(self) -> int:
        return len(self.url) + sum(len(name) + len(value) for name, value in self.headers)

    def _refuse(self) -> None:
        metrics.REJECTED.count(reason="http_431")
        self.transport.write(_REFUSAL)
        self.transport.close()
