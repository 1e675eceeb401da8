"""The packet: what is written within one turn of the loop leaves as one, not the head before the body."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Any

MOST = 65_536
"""Bytes that wait for the end of the turn, at most."""


class Packet(asyncio.Transport):
    """A transport that gathers what is written, and hands it to `transport` once the loop comes round.

    A packet of its own for each write takes the kernel as long as everything else that an answer takes.
    """

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__()
        self._transport = transport
        self._loop = loop
        self._gathered: list[bytes] = []
        self._size = 0

    def write(self, data: bytes | bytearray | memoryview[Any]) -> None:
        """Send `data`, soon."""
        if not self._gathered:
            self._loop.call_soon(self._send)
        self._gathered.append(bytes(data))
        self._size += len(data)
        if self._size > MOST:  # whoever writes has to learn that the other side does not take it
            self._send()

    def writelines(self, list_of_data: Iterable[bytes | bytearray | memoryview[Any]]) -> None:
        """Send all of them, soon."""
        for each in list_of_data:
            self.write(each)

    def _send(self) -> None:
        gathered, self._gathered, self._size = self._gathered, [], 0
        if gathered and not self._transport.is_closing():
            self._transport.write(gathered[0] if len(gathered) == 1 else b"".join(gathered))

    def close(self) -> None:
        """Send what is left, and close."""
        self._send()
        self._transport.close()

    def abort(self) -> None:
        """Close, and send nothing more."""
        self._gathered = []
        self._transport.abort()

    def get_write_buffer_size(self) -> int:
        """The bytes that are not sent."""
        return self._size + self._transport.get_write_buffer_size()

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        """What the other transport knows."""
        return self._transport.get_extra_info(name, default)

    def is_closing(self) -> bool:
        """Whether it is closed, or about to be."""
        return self._transport.is_closing()

    def pause_reading(self) -> None:
        """Take nothing more for now."""
        self._transport.pause_reading()

    def resume_reading(self) -> None:
        """Take more."""
        self._transport.resume_reading()
