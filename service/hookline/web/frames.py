"""Frames: what a stream sends, in the form of server-sent events, and the response that sends it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Iterable, Sequence
from contextlib import aclosing
from typing import Any, Literal
from uuid import UUID

import asyncpg
import msgspec
from msgspec import Struct
from starlette.responses import StreamingResponse
from starlette.types import Send

from hookline.payloads import WITHHELD

Kind = Literal["run", "delivery", "data"]

RETRY = 1000
"""Milliseconds after which a client that was cut off asks again."""

PIECE = 8 * 1024
"""Bytes that are sent at once, about: what a slow client keeps in memory is a few of these.

Measured: with four times as many, and no turn for others in between, one of a hundred runs started a tenth later while
a thousand clients watched.
"""

MEDIA_TYPE = "text/event-stream"

_HEADERS = {"Cache-Control": "no-cache, no-transform", "X-Accel-Buffering": "no"}


class Told(Struct, frozen=True):
    """An event, and how those who watch are told of it.

    Args:
        seq: its number.
        frame: what is sent.
        veiled: what is sent to those who may not see what rests encrypted.
    """

    seq: int
    kind: Kind
    run: UUID | None
    job: str | None
    scope: str | None
    state: str | None
    frame: bytes
    veiled: bytes


class Portion(Struct, frozen=True):
    """What has come of what somebody wants, and how it is sent: joined once for all who want the same.

    Args:
        upto: the number up to which that is all.
        pieces: what is sent, each at once; a sign of life if nothing has come.
        size: bytes of what has come.
    """

    told: Sequence[Told]
    upto: int
    pieces: Sequence[bytes]
    size: int


class Filter(Struct, frozen=True):
    """Which events somebody wants: of these kinds, and with what else is given.

    Args:
        sees: whether it is somebody who may see what rests encrypted.
    """

    kinds: frozenset[str]
    run: UUID | None = None
    job: str | None = None
    scope: str | None = None
    state: str | None = None
    sees: bool = False

    @property
    def asks_of_runs(self) -> bool:
        """Whether it asks for anything that no delivery has."""
        return any((self.run, self.job is not None, self.scope is not None, self.state))

    @property
    def anchor(self) -> tuple[str, object] | None:
        """What an event must have, by which the few that may fit are found; `None` if all may."""
        for name in ("run", "scope", "job"):
            if (value := getattr(self, name)) is not None:
                return name, value
        return None

    def portion(self, come: Iterable[Told], upto: int) -> Portion:
        """What is wanted of that which has come, which is all up to the number `upto`."""
        fitting = [each for each in come if self._fits(each)]
        if not fitting:
            return Portion((), upto, (beat(upto),), 0)
        pieces: list[bytes] = []
        gathered: list[bytes] = []
        size = total = 0
        for each in fitting:
            gathered.append(each.frame if self.sees else each.veiled)
            size += len(gathered[-1])
            if size >= PIECE:
                pieces.append(b"".join(gathered))
                total += size
                gathered, size = [], 0
        if gathered:
            pieces.append(b"".join(gathered))
        return Portion(fitting, upto, pieces, total + size)

    def _fits(self, told: Told) -> bool:
        """Whether this is wanted. What is asked of runs, no delivery has."""
        return (
            told.kind in self.kinds
            and self.run in (None, told.run)
            and self.job in (None, told.job)
            and self.scope in (None, told.scope)
            and self.state in (None, told.state)
        )


def told(row: asyncpg.Record, data: bytes | None, *, is_sealed: bool) -> Told:
    """The event in `row`.

    Args:
        data: what a run published, JSON.
        is_sealed: whether that is told to those only who may see what rests encrypted.
    """
    kind: Kind = "delivery" if row["run_id"] is None else "run" if row["key"] is None else "data"
    match kind:
        case "delivery":
            content = {"id": row["delivery_id"], "source": row["source"], "type": row["type"], "status": row["state"]}
        case "run":
            content = {"id": row["run_id"], "job": row["job"], "scope": row["scope"], "state": row["state"]}
        case "data":
            content = {"id": row["run_id"], "key": row["key"], "data": msgspec.Raw(data or b"null")}
    if row["reason"] is not None:
        content["reason"] = row["reason"]
    content["at"] = row["at"]
    frame = veiled = event(kind, content, row["seq"])
    if kind == "data" and is_sealed:
        veiled = event(kind, content | {"data": msgspec.Raw(WITHHELD)}, row["seq"])
    return Told(row["seq"], kind, row["run_id"], row["job"], row["scope"], row["state"], frame, veiled)


def event(name: str, content: Any, id_: int | str) -> bytes:
    """An event, behind which a client that was cut off goes on by its id."""
    return b"id: %b\nevent: %b\ndata: %b\n\n" % (str(id_).encode(), name.encode(), msgspec.json.encode(content))


def opening(position: int) -> bytes:
    """The beginning of a stream: where it stands, though nothing has happened yet."""
    return b"retry: %d\nid: %d\n\n" % (RETRY, position)


def beat(position: int) -> bytes:
    """A sign of life, and of how far the client has been told everything; it dispatches nothing."""
    return b": beat\nid: %d\n\n" % position


class EventStream(StreamingResponse):
    """Sends `first` and all that `rest` yields, and closes that when it has ended, or the client is gone."""

    def __init__(self, first: bytes, rest: AsyncGenerator[bytes]) -> None:
        super().__init__(rest, headers=_HEADERS, media_type=MEDIA_TYPE)
        self._first = first
        self._rest = rest

    async def stream_response(self, send: Send) -> None:
        """Send it."""
        async with aclosing(self._rest):
            await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
            await send({"type": "http.response.body", "body": self._first, "more_body": True})
            async for piece in self._rest:
                await send({"type": "http.response.body", "body": piece, "more_body": True})
                await asyncio.sleep(0)  # which sending does not do by itself, as long as the client takes it
        await send({"type": "http.response.body", "body": b"", "more_body": False})
