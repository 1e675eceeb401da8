"""Packets: what is written in one turn of the loop leaves as one, in order, and nothing of it is lost."""

from __future__ import annotations

import asyncio
import socket

import pytest

from hookline.web.packet import MOST, Packet


class Wire(asyncio.Transport):
    """Keeps what is sent."""

    def __init__(self) -> None:
        super().__init__()
        self.sent: list[bytes] = []
        self.is_closed = False

    def write(self, data: object) -> None:
        assert isinstance(data, bytes)
        self.sent.append(data)

    def get_write_buffer_size(self) -> int:
        return 7

    def is_closing(self) -> bool:
        return self.is_closed

    def close(self) -> None:
        self.is_closed = True


@pytest.fixture
async def wire() -> Wire:
    return Wire()


@pytest.fixture
async def packet(wire: Wire) -> Packet:
    return Packet(wire, asyncio.get_running_loop())


async def test_what_is_written_in_one_turn_leaves_as_one(wire: Wire, packet: Packet) -> None:
    packet.write(b"head ")
    packet.writelines([b"bo", bytearray(b"dy")])
    assert (wire.sent, packet.get_write_buffer_size()) == ([], 16)
    await asyncio.sleep(0)
    packet.write(b"next")
    await asyncio.sleep(0)
    assert (wire.sent, packet.get_write_buffer_size()) == ([b"head body", b"next"], 7)


async def test_what_is_much_does_not_wait(wire: Wire, packet: Packet) -> None:
    packet.write(b"little")
    packet.write(b"x" * MOST)
    assert wire.sent == [b"little" + b"x" * MOST]


async def test_what_was_written_before_it_is_closed_is_sent(wire: Wire, packet: Packet) -> None:
    packet.write(b"last")
    packet.close()
    packet.write(b"too late")
    await asyncio.sleep(0)
    assert wire.sent == [b"last"]


async def test_it_knows_what_the_other_knows() -> None:
    ours, theirs = socket.socketpair()
    loop = asyncio.get_running_loop()
    transport, _ = await loop.create_connection(asyncio.Protocol, sock=ours)
    packet = Packet(transport, loop)
    assert packet.get_extra_info("socket") is not None
    packet.pause_reading()
    packet.resume_reading()
    packet.abort()
    assert packet.is_closing()
    theirs.close()
