"""The pace at which those who listen are told: together they take a part of the time, however many they are."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from types import SimpleNamespace

import pytest
from starlette.types import Message

from hookline import App
from hookline.ingress.intake import Intake
from hookline.ingress.register import Register
from hookline.settings import load
from hookline.store.database import Database
from hookline.web import pace, routes
from hookline.web.frames import PIECE, EventStream, Filter, Told
from hookline.web.listener import Listener
from hookline.web.pace import Pace

ALL = Filter(frozenset({"run", "data"}))


def told(seq: int, size: int = 100, *, secret: bool = False) -> Told:
    frame = b"%d " % seq + b"x" * size
    kind = "data" if secret else "run"
    return Told(seq, kind, None, "build", None, "queued", frame, b"withheld" if secret else frame)


def listening(many: int) -> list[Listener]:
    return [Listener(ALL, 0) for _ in range(many)]


async def test_streams_take_their_part_of_the_time(monkeypatch: pytest.MonkeyPatch) -> None:
    rested: list[float] = []

    async def rest(seconds: float) -> None:
        rested.append(seconds)

    monkeypatch.setattr(pace, "asyncio", SimpleNamespace(sleep=rest))  # others on this loop sleep as ever
    work = 1000 * (pace.SECONDS_PER_SEND + 100_000 * pace.SECONDS_PER_BYTE)
    for share, at_once in ((0.05, 1), (0.5, 3)):
        rested.clear()
        await Pace(share).wake([(each, 100_000) for each in listening(1000)])
        assert share * sum(rested) == pytest.approx(work, rel=0.01)
        assert len(rested) == 1000 // at_once
        assert min(rested) >= pace.SHORTEST


def test_streams_leave_more_of_the_time_where_runs_are_executed(monkeypatch: pytest.MonkeyPatch) -> None:
    shares = []

    def noted(share: float) -> Pace:
        shares.append(share)
        return Pace(share)

    monkeypatch.setattr(routes, "Pace", noted)
    app, database, settings = App(), Database("postgresql://nowhere"), load()
    intake, register = Intake(app, database, timeout=1), Register(app, database, settings)
    for slack in (None, lambda: 1.0):
        routes.application(app, settings, database, intake, register, schema="", slack=slack, local=True)
    assert shares == [pace.ALONE, pace.BESIDE_RUNS]


async def test_those_who_want_the_same_are_sent_the_same_bytes() -> None:
    one, other = listening(2)
    portion = ALL.portion([told(1), told(2)], 2)
    assert one.give(portion)
    assert other.give(portion)
    (mine,), (its,) = await one.take(), await other.take()
    assert mine.pieces[0] is its.pieces[0]


async def test_who_knows_some_of_it_is_sent_the_rest() -> None:
    knowing = Listener(ALL, 1)
    knowing.give(ALL.portion([told(1), told(2)], 2))
    assert [each.pieces for each in await knowing.take()] == [[told(2).frame]]


async def test_who_knows_all_of_it_stays_where_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hookline.web.listener.BEAT", 0)
    knowing = Listener(ALL, 9)
    assert not knowing.give(ALL.portion([told(1), told(2)], 2))
    (sign,) = await knowing.take()
    assert sign.upto == 9
    assert b"id: 9" in sign.pieces[0]


async def test_what_was_not_taken_yet_comes_before_what_comes_later() -> None:
    (slow,) = listening(1)
    for seq in range(1, 4):
        slow.give(ALL.portion([told(seq)], seq))
    assert [each.upto for each in await slow.take()] == [1, 2, 3]


async def test_who_is_over_is_sent_nothing_more() -> None:
    (late,) = listening(1)
    late.give(ALL.portion([told(1)], 1))
    late.end()
    assert not late.give(ALL.portion([told(2)], 2))
    async with asyncio.timeout(1):
        assert await late.take() == []


def test_a_portion_is_sent_in_pieces_and_nothing_of_it_is_missing() -> None:
    come = [told(seq, 1000) for seq in range(1, 101)]
    portion = ALL.portion(come, 100)
    assert b"".join(portion.pieces) == b"".join(each.frame for each in come)
    assert portion.size == sum(map(len, portion.pieces))
    assert len(portion.pieces) > 1


def test_who_may_not_see_a_secret_is_not_sent_it() -> None:
    seeing = Filter(ALL.kinds, sees=True)
    come = [told(1, secret=True)]
    assert ALL.portion(come, 1).pieces == [b"withheld"]
    assert seeing.portion(come, 1).pieces == [come[0].frame]


async def test_between_two_pieces_others_have_their_turn() -> None:
    happened: list[str] = []

    async def pieces() -> AsyncGenerator[bytes]:
        for _ in range(2):
            asyncio.get_running_loop().call_soon(happened.append, "another")
            yield b"piece"

    async def send(message: Message) -> None:
        if message.get("body") == b"piece":
            happened.append("sent")

    await EventStream(b"", pieces()).stream_response(send)
    assert happened == ["sent", "another", "sent", "another"]


def test_what_is_much_is_sent_in_pieces() -> None:
    portion = ALL.portion([told(seq, 1000) for seq in range(50)], 50)
    assert max(map(len, portion.pieces)) < PIECE + 1100
    assert b"".join(portion.pieces) == b"".join(told(seq, 1000).frame for seq in range(50))
