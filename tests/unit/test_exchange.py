"""Exchanges: a delivery that is all there is answered straight from its connection, and uvicorn does all the rest."""

from __future__ import annotations

import asyncio
import re
from itertools import pairwise
from typing import Any

import pytest
import uvicorn
from hypothesis import given
from hypothesis import strategies as st
from starlette.responses import Response
from starlette.types import Receive, Scope, Send
from uvicorn.server import ServerState

from hookline.web import exchange
from hookline.web.exchange import MOST
from hookline.web.head import BoundedHead


class Wire(asyncio.Transport):
    """Keeps what is sent."""

    def __init__(self) -> None:
        super().__init__()
        self.sent = b""
        self.is_closed = self.is_paused = False

    def write(self, data: Any) -> None:
        self.sent += data

    def is_closing(self) -> bool:
        return self.is_closed

    def close(self) -> None:
        self.is_closed = True

    def pause_reading(self) -> None:
        self.is_paused = True

    def resume_reading(self) -> None:
        self.is_paused = False


class Line:
    """One connection, what came over it, by which way, and what was answered.

    Args:
        held: whether nothing is answered before `go_on` is set.
    """

    def __init__(self, *, held: bool = False, headers: dict[str, str] | None = None) -> None:
        self.taken: list[tuple[str, str, bytes]] = []
        self.begun, self.go_on = asyncio.Event(), asyncio.Event()
        if not held:
            self.go_on.set()
        self._headers = headers
        self.state = ServerState()
        self.state.default_headers = [(b"date", b"today")]
        config = uvicorn.Config(
            self._asgi, interface="asgi3", log_config=None, lifespan="off", ws="none", proxy_headers=False
        )
        self.protocol = BoundedHead(config, self.state, {}, asyncio.get_running_loop())
        self.protocol.answer = self._direct
        self.wire = Wire()
        self.protocol.connection_made(self.wire)

    async def _direct(self, scope: Scope, receive: Receive) -> Response:
        message = await receive()
        assert not message.get("more_body")
        self.taken.append(("direct", scope["path"], message["body"]))
        self.begun.set()
        await self.go_on.wait()
        return Response(b"%d" % len(message["body"]), 202, self._headers)

    async def _asgi(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.begun.set()
        body, more = b"", True
        while more:
            message = await receive()
            if message["type"] == "http.disconnect":
                self.taken.append(("cut off", scope["path"], body))
                return
            body, more = body + message["body"], message["more_body"]
        self.taken.append(("asgi", scope["path"], body))
        await self.go_on.wait()
        await Response(b"%d" % len(body), 200)(scope, receive, send)

    async def settled(self) -> None:
        """Return once all that has begun is answered."""
        async with asyncio.timeout(5):
            while self.state.tasks:
                await asyncio.gather(*self.state.tasks)
                await asyncio.sleep(0)
            await asyncio.sleep(0)

    @property
    def answers(self) -> list[tuple[int, bytes]]:
        """The statuses and the bodies of what was answered so far."""
        found, rest = [], self.wire.sent
        while rest:
            head, _, rest = rest.partition(b"\r\n\r\n")
            size = int(re.search(rb"content-length: (\d+)", head)[1])  # type: ignore[index]
            found.append((int(head[9:12]), rest[:size]))
            rest = rest[size:]
        return found


def post(body: bytes, path: str = "/webhooks/github", *more: str, version: str = "1.1") -> bytes:
    headers = "".join(f"{each}\r\n" for each in ("Host: here", f"Content-Length: {len(body)}", *more))
    return f"POST {path} HTTP/{version}\r\n{headers}\r\n".encode() + body


async def test_a_delivery_that_is_all_there_is_answered_straight() -> None:
    line = Line()
    line.protocol.data_received(post(b"payload"))
    await line.settled()
    assert line.taken == [("direct", "/webhooks/github", b"payload")]
    assert line.wire.sent == b"HTTP/1.1 202 Accepted\r\ndate: today\r\ncontent-length: 1\r\n\r\n7"
    line.protocol.data_received(post(b"again"))
    await line.settled()
    assert (line.answers[1], line.wire.is_closed, line.state.total_requests) == ((202, b"5"), False, 2)


async def test_one_that_comes_in_pieces_is_too() -> None:
    line = Line()
    whole = post(b"x" * MOST)
    for start in range(0, len(whole), 10_000):
        assert line.taken == []
        line.protocol.data_received(whole[start : start + 10_000])
    await line.settled()
    assert line.taken == [("direct", "/webhooks/github", b"x" * MOST)]


@pytest.mark.parametrize(
    "request_",
    [
        post(b"x" * (MOST + 1)),
        post(b"{}", "/api/runs"),
        post(b"{}", "/webhooks/git%68ub"),
        post(b"{}", "/webhooks/github?a=b"),
        post(b"{}", "/webhooks/github", "Expect: 100-continue"),
        post(b"{}", version="1.0"),
        post(b"{}").replace(b"POST", b"PUT"),
        post(b"").replace(b"Content-Length: 0", b"Transfer-Encoding: chunked") + b"2\r\n{}\r\n0\r\n\r\n",
    ],
    ids=["larger", "elsewhere", "escaped", "with a query", "asks first", "old", "another method", "chunked"],
)
async def test_what_is_no_delivery_of_a_moderate_size_is_uvicorns(request_: bytes) -> None:
    line = Line()
    line.protocol.data_received(request_)
    await line.settled()
    assert [way for way, _, _ in line.taken] == ["asgi"]


async def test_what_is_not_all_there_soon_is_uvicorns(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exchange, "SOON", 0.0)
    line = Line()
    whole = post(b"payload")
    line.protocol.data_received(whole[:-4])
    async with asyncio.timeout(5):
        await line.begun.wait()
    line.protocol.data_received(whole[-4:])
    await line.settled()
    assert (line.taken, line.answers) == ([("asgi", "/webhooks/github", b"payload")], [(200, b"7")])


async def test_what_breaks_off_is_told_to_be_cut_off() -> None:
    line = Line()
    line.protocol.data_received(post(b"payload")[:-4])
    line.protocol.connection_lost(None)
    await line.settled()
    assert (line.taken, line.answers) == ([("cut off", "/webhooks/github", b"")], [])


async def test_who_hangs_up_before_the_answer_is_sent_none() -> None:
    line = Line(held=True)
    line.protocol.data_received(post(b"payload"))
    async with asyncio.timeout(5):
        await line.begun.wait()
    line.protocol.connection_lost(None)
    line.go_on.set()
    await line.settled()
    assert line.answers == []


async def test_what_is_sent_ahead_waits_its_turn() -> None:
    line = Line(held=True)
    line.protocol.data_received(post(b"1") + post(b"22", "/api/runs") + post(b"333"))
    async with asyncio.timeout(5):
        await line.begun.wait()
    assert (len(line.taken), line.wire.is_paused) == (1, True)
    line.go_on.set()
    await line.settled()
    assert line.answers == [(202, b"1"), (200, b"2"), (200, b"3")]


@pytest.mark.parametrize("asked", [True, False], ids=["the sender asks for it", "the answer says so"])
async def test_a_connection_ends_with_the_answer_if(asked: bool) -> None:
    line = Line(headers=None if asked else {"Connection": "close"})
    line.protocol.data_received(post(b"payload", "/webhooks/github", *(["Connection: close"] if asked else [])))
    await line.settled()
    assert (line.wire.sent.lower().count(b"connection: close"), line.wire.is_closed) == (1, True)


async def test_a_server_that_stops_answers_what_has_begun_and_ends_the_connection() -> None:
    line = Line(held=True)
    line.protocol.data_received(post(b"payload"))
    line.protocol.shutdown()
    assert not line.wire.is_closed
    line.go_on.set()
    await line.settled()
    assert (line.answers, line.wire.is_closed) == ([(202, b"7")], True)
    assert b"connection: close" in line.wire.sent


async def test_a_server_that_stops_takes_what_is_half_there() -> None:
    line = Line()
    whole = post(b"payload")
    line.protocol.data_received(whole[:-4])
    line.protocol.shutdown()
    assert not line.wire.is_closed
    line.protocol.data_received(whole[-4:])
    await line.settled()
    assert (line.answers, line.wire.is_closed) == ([(200, b"7")], True)


REQUESTS = st.lists(
    st.tuples(st.sampled_from(["/webhooks/github", "/api/runs"]), st.integers(1, 300)), min_size=1, max_size=4
)


@given(REQUESTS, st.lists(st.integers(0, 1500), max_size=6))
async def test_however_it_is_cut_each_request_is_answered_once_and_in_order(
    requests: list[tuple[str, int]], cuts: list[int]
) -> None:
    line = Line()
    whole = b"".join(post(b"x" * size, path) for path, size in requests)
    places = sorted({0, len(whole), *(cut for cut in cuts if cut < len(whole))})
    for start, end in pairwise(places):
        line.protocol.data_received(whole[start:end])
        for _ in range(start % 5):  # what has begun gets so far meanwhile
            await asyncio.sleep(0)
    await line.settled()
    assert [body for _, body in line.answers] == [b"%d" % size for _, size in requests]
    assert [(path, len(body)) for _, path, body in line.taken] == requests
