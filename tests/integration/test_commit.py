"""The group commit: how many of those who wait it writes at once."""

from __future__ import annotations

import asyncio
import weakref
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import pytest

from hookline.store.commit import GroupCommit
from hookline.store.database import Connection, Database


class Thing:
    """Something to be written."""


@asynccontextmanager
async def writing(dsn: str, sizes: list[int], **limits: int) -> AsyncIterator[GroupCommit[Thing, int]]:
    """A group commit whose writer notes how many things it was given, and says of each which of them it was."""

    async def write(_: Connection, things: Sequence[Thing], __: bool) -> list[int]:
        sizes.append(len(things))
        return [*range(len(things))]

    async with Database(dsn) as database:
        commit: GroupCommit[Thing, int] = GroupCommit(database, write, name="test", **limits)
        running = asyncio.create_task(commit.run())
        yield commit
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


@pytest.mark.parametrize(
    ("waiting", "written"),
    [(8, [8]), (9, [8, 1]), (20, [10, 8, 2]), (60, [20, 20, 10, 8, 2])],
    ids=["all of a few", "a few of a few more", "half of many", "never more than the limit"],
)
async def test_so_many_of_those_who_wait_are_written_at_once(dsn: str, waiting: int, written: list[int]) -> None:
    sizes: list[int] = []
    async with writing(dsn, sizes, few=8, limit=20) as commit:
        told = await asyncio.gather(*(commit.submit(Thing()) for _ in range(waiting)))
    assert sizes == written
    assert told == [place for size in sizes for place in range(size)]  # in the order in which they came


async def test_what_has_been_written_is_not_kept_until_there_is_more(dsn: str) -> None:
    async with writing(dsn, []) as commit:
        thing = Thing()
        gone = weakref.ref(thing)
        assert await commit.submit(thing) == 0
        del thing
        assert await commit.submit(Thing()) == 0
        assert gone() is None
