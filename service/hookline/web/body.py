"""Bodies: read within a size, a time and a share of memory, whatever the sender does."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import NoReturn, TypeVar

import msgspec
from starlette.requests import ClientDisconnect, Request
from starlette.types import Receive

from hookline.errors import Unavailable
from hookline.ingress.schemes import Headers
from hookline.web.faults import Fault
from hookline.web.head import WHOLE
from hookline.web.problems import Problem

T = TypeVar("T")


class Gate:
    """Counts the requests and the bytes that are being taken in, and turns away what would be too much.

    Args:
        requests: at once, at most.
        bytes_: of all their bodies together, at most.
    """

    def __init__(self, requests: int, bytes_: int) -> None:
        self._requests = requests
        self._bytes = bytes_
        self._held_requests = 0
        self._held_bytes = 0

    def passing(self) -> Share:
        """What one request holds from here on, within `with`; raises `Unavailable` if there is no place for one."""
        if self._held_requests >= self._requests:
            raise Unavailable("too many requests are in flight")
        self._held_requests += 1
        return Share(self)

    def let_go(self, share: Share) -> None:
        """Count what one request held no longer."""
        self._held_requests -= 1
        self._held_bytes -= share.bytes

    def hold(self, size: int) -> None:
        """Count `size` more bytes; raises `Unavailable` if that is too much."""
        if self._held_bytes + size > self._bytes:
            raise Unavailable("too many bytes are in flight")
        self._held_bytes += size


class Share:
    """What one request holds of a `Gate`."""

    __slots__ = ("_gate", "bytes")

    def __init__(self, gate: Gate) -> None:
        self._gate = gate
        self.bytes = 0

    def __enter__(self) -> Share:
        return self

    def __exit__(self, *_: object) -> None:
        self._gate.let_go(self)

    def grow(self, size: int) -> None:
        """Hold `size` more bytes; raises `Unavailable`."""
        self._gate.hold(size)
        self.bytes += size


@dataclass(frozen=True, slots=True)
class Limits:
    """What one body may be.

    Args:
        size: bytes that it may have.
        time: seconds that it may take to arrive.
    """

    size: int
    time: float


async def read(request: Request, headers: Headers, share: Share, limits: Limits) -> bytes:
    """The whole body of `request`, whose headers are `headers`.

    Raises:
        Problem: 408 too slow, 413 too large, 415 compressed.
        Unavailable: too much is in flight.
    """
    if any(each.lower() != b"identity" for each in headers.all("content-encoding")):
        raise Problem(Fault.MEDIA_TYPE, "compressed bodies are not taken: send it as it is", close=True)
    try:
        if WHOLE in request.scope.get("extensions", ()):  # a clock would take as long as all of this
            return await _arrived(request.receive, headers, share, limits)
        async with asyncio.timeout(limits.time):
            return await _arrived(request.receive, headers, share, limits)
    except TimeoutError:
        raise Problem(Fault.BODY_TOO_SLOW, f"the body did not arrive within {limits.time:g} s", close=True) from None
    except ClientDisconnect:
        raise Problem(Fault.BODY_CUT_OFF, "the body ended early", close=True) from None


async def _arrived(receive: Receive, headers: Headers, share: Share, limits: Limits) -> bytes:
    declared = headers.all("content-length")
    if declared and declared[0].isdigit() and int(declared[0]) > limits.size:
        await _refuse(receive, limits, more=True)
    body: bytes | bytearray = b""
    more = True
    while more:
        chunk, more = await _next(receive)
        share.grow(len(chunk))
        if not body:
            body = bytearray(chunk) if more else chunk
        else:
            body += chunk
        if len(body) > limits.size:
            await _refuse(receive, limits, more=more)
    return bytes(body)


async def _next(receive: Receive) -> tuple[bytes, bool]:
    """The next part of the body, and whether there is more."""
    message = await receive()
    if message["type"] == "http.disconnect":
        raise ClientDisconnect
    return message.get("body", b""), message.get("more_body", False)


async def _refuse(receive: Receive, limits: Limits, *, more: bool) -> NoReturn:
    """Raise the problem 413, once the sender listens: closing on one that still sends resets the connection.

    If there is `more` it is thrown away, up to as much again as it may send.
    """
    thrown_away = 0
    while more and thrown_away <= limits.size:
        chunk, more = await _next(receive)
        thrown_away += len(chunk)
    raise Problem(Fault.BODY_TOO_LARGE, f"a body may have {limits.size} bytes", close=True)


def media_type(headers: Headers) -> str:
    """The media type that is declared, in lower case; empty if none is, or several are."""
    declared = headers.all("content-type")
    return declared[0].partition(b";")[0].strip().lower().decode("latin-1") if len(declared) == 1 else ""


JSON = ("application/json",)

LARGEST_TEXT = 1_048_576
"""Bytes that a body may have which is kept as it was written."""


class Inlet:
    """The way in for bodies of a known shape.

    Args:
        gate: what all bodies together may be.
        limits: what each may be.
    """

    def __init__(self, gate: Gate, limits: Limits) -> None:
        self._gate = gate
        self._limits = limits

    @asynccontextmanager
    async def json(self, request: Request, shape: type[T]) -> AsyncIterator[tuple[bytes, T]]:
        """The body, and what it is as `shape`, an empty one as if it were `{}`; it is in flight until the block ends.

        Raises:
            Problem: 400 not JSON, 415 not declared to be, 422 not of that shape, and what `read` raises.
        """
        headers = Headers(request.headers.raw)
        declared = media_type(headers)
        if declared not in JSON and (declared or headers.all("content-length") not in ([], [b"0"])):
            raise Problem(Fault.MEDIA_TYPE, "send application/json", close=True)
        with self._gate.passing() as share:
            body = await read(request, headers, share, self._limits)
            try:
                parsed = msgspec.json.decode(body or b"{}", type=shape)
            except msgspec.ValidationError as error:
                raise Problem(Fault.INVALID_BODY, str(error)) from None
            except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
                raise Problem(Fault.BODY_NOT_JSON, f"the body is not JSON: {error}") from None
            yield body, parsed

    @asynccontextmanager
    async def text(self, request: Request, types: Sequence[str]) -> AsyncIterator[tuple[bytes, str]]:
        """The body, and what it says, of one of the media `types`; it is in flight until the block ends.

        Raises:
            Problem: 400 not UTF-8, 415 of another type, 422 with a NUL, and what `read` raises.
        """
        headers = Headers(request.headers.raw)
        if media_type(headers) not in types:
            raise Problem(Fault.MEDIA_TYPE, f"send {types[0]} or {types[-1]}", close=True)
        with self._gate.passing() as share:
            body = await read(request, headers, share, Limits(min(LARGEST_TEXT, self._limits.size), self._limits.time))
            try:
                text = body.decode()
            except UnicodeDecodeError:
                raise Problem(Fault.BODY_NOT_JSON, "the body is not UTF-8") from None
            if "\0" in text:
                raise Problem(Fault.INVALID_BODY, "a definition holds no NUL character")
            yield body, text
