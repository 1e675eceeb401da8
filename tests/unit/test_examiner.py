"""The examiner: what came in together is examined together, and each is told for itself."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from hookline import telemetry
from hookline.codec import uuid7
from hookline.errors import Rejected, TooOften
from hookline.events import Pong
from hookline.ingress.examiner import Examiner
from hookline.ingress.quota import Quota
from hookline.ingress.schemes import Headers, Received, Unsigned
from hookline.ingress.sources import Source
from hookline.source_settings import Rate, SourceLimits
from hookline.store.delivery import NewDelivery
from hookline_parsers import github


class Watched:
    """An examiner, and all that it did, in order."""

    def __init__(self) -> None:
        self.done: list[tuple[str, bytes]] = []
        self.runs: list[object] = []
        self.examiner = Examiner(self._examine, self._hand_in)

    def _examine(self, source: Source, received: Received) -> tuple[NewDelivery, Pong | None]:
        self.done.append(("examined", received.body))
        self.runs.append(telemetry.id_bound("run"))
        if received.body == b"forged":
            raise Rejected("signature_mismatch")
        new = NewDelivery(
            id=uuid7(), source=source.name, key="", type="", status="ignored", reason=None, secret="", headers=b"[]",
            body=received.body,
        )  # fmt: skip
        return new, None

    def _hand_in(self, new: NewDelivery, committed: asyncio.Future[Any]) -> None:
        self.done.append(("handed in", new.body))
        committed.set_result(new.body)


def source(rate: Rate | None = None) -> Source:
    return Source("github", github.parser, Unsigned(), (), quota=Quota(SourceLimits(rate=rate)))


def of(body: bytes) -> Received:
    return Received(Headers([]), body)


async def test_what_came_together_is_handed_in_as_it_came_and_what_is_refused_keeps_nobody_out() -> None:
    watched = Watched()
    first, forged, last = (watched.examiner.take(source(), of(body)) for body in (b"first", b"forged", b"last"))
    assert watched.done == []
    async with asyncio.timeout(5):
        assert await last.committed == b"last"
    assert first.committed.result() == b"first"
    with pytest.raises(Rejected, match="signature_mismatch"):
        await forged.committed
    assert [body for what, body in watched.done if what == "handed in"] == [b"first", b"last"]
    assert (last.new.body, last.pong) == (b"last", None)


async def test_what_comes_later_is_examined_too() -> None:
    watched = Watched()
    async with asyncio.timeout(5):
        for body in (b"one", b"two"):
            assert await watched.examiner.take(source(), of(body)).committed == body


async def test_only_what_is_authentic_uses_up_the_rate_of_its_source() -> None:
    watched, limited = Watched(), source(Rate(1, 3600))
    forged, one, two = (watched.examiner.take(limited, of(body)) for body in (b"forged", b"one", b"two"))
    with pytest.raises(TooOften):
        async with asyncio.timeout(5):
            await two.committed
    assert one.committed.result() == b"one"
    assert isinstance(forged.committed.exception(), Rejected)


async def test_what_nobody_waits_for_any_more_is_not_handed_in() -> None:
    watched = Watched()
    gone, there = (watched.examiner.take(source(), of(body)) for body in (b"gone", b"there"))
    gone.committed.cancel()
    async with asyncio.timeout(5):
        await there.committed
    assert watched.done == [("examined", b"there"), ("handed in", b"there")]


async def test_what_is_logged_of_one_is_not_told_as_of_the_run_that_brought_another() -> None:
    watched = Watched()
    with telemetry.bound(run="a run that takes in what it fetched"):
        fetched = watched.examiner.take(source(), of(b"fetched"))
    posted = watched.examiner.take(source(), of(b"posted"))
    await asyncio.gather(fetched.committed, posted.committed)
    assert watched.runs == [None, None]
