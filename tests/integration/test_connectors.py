"""A foreign stream is read by one process at a time, and each of its items counts once, whatever becomes of readers."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from unittest.mock import patch

import asyncpg
import pytest
from tests.support import House, at_home, on_site

from hookline import App, Context, Event, Item, Pattern, Trigger, files, rows
from hookline.errors import ConfigurationError
from hookline.ingress.connectors import Connectors
from hookline.store import connectors

COUNT = "select count(*) = $1 from hookline.runs"


def counting(app: App, last: int = 100, *, fail_at: int | None = None, gate: asyncio.Event | None = None) -> list[int]:
    """A stream of numbers, each of which starts a run; returns where it was begun. The gate is before a second time."""
    begun: list[int] = []

    @app.job()
    async def take(ctx: Context, n: int) -> int:
        return n

    @app.connector("numbers")
    async def numbers(cursor: Any) -> AsyncIterator[Item]:
        begun.append(cursor or 0)
        if gate is not None and len(begun) > 1:
            await gate.wait()
        for n in range((cursor or 0) + 1, last + 1):
            if n == fail_at and len(begun) == 1:
                raise OSError("the other side hung up")
            yield Item(n, Trigger("take", n))
            await asyncio.sleep(0)
        await asyncio.Event().wait()

    return begun


async def reading(house: House, **options: Any) -> asyncio.Task[None]:
    return asyncio.create_task(Connectors(house.app, house.database, **{"lease": 0.3, **options}).run())


async def stopped(*tasks: asyncio.Task[None]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def inputs(house: House) -> list[int]:
    found = await house.watch.connection.fetch("select input from hookline.run_data")
    return sorted(json.loads(row["input"]) for row in found)


async def test_two_processes_read_it_once_and_the_second_goes_on_when_the_first_is_lost(dsn: str) -> None:
    app = App()
    begun = counting(app, 3000)
    async with at_home(app, dsn) as house:
        with patch.object(Connectors, "_give_up", lambda _: asyncio.sleep(0)):  # it dies without a farewell
            first = await reading(house)
            await house.watch.value("select items >= 20 from hookline.connectors")
            await stopped(first)
        second = await reading(house)
        await house.watch.value(COUNT, 3000)
        assert await inputs(house) == list(range(1, 3001))
        assert len(begun) == 2
        assert begun[1] >= 20
        await stopped(second)


async def test_one_that_was_replaced_commits_nothing(dsn: str) -> None:
    app = App()
    begun = counting(app, 1000)
    async with at_home(app, dsn) as house:
        frozen = await reading(house, lease=60)
        await house.watch.value("select items > 0 from hookline.connectors")
        await house.watch.connection.execute("update hookline.connectors set expires_at = now() - interval '1 second'")
        other = await reading(house)
        await house.watch.value(COUNT, 1000)
        await stopped(frozen, other)
        assert await inputs(house) == list(range(1, 1001))
        assert len(begun) == 2


async def test_one_that_breaks_is_told_of_and_read_again_from_where_it_was(dsn: str) -> None:
    app, gate = App(), asyncio.Event()
    begun = counting(app, fail_at=50, gate=gate)
    async with on_site(app, dsn) as site:
        task = await reading(site.house, lease=6)
        await site.house.watch.value("select problem is not null from hookline.connectors")
        (told,) = (await site.client.get("/api/connectors")).json()["connectors"]
        assert (told["name"], "the other side hung up" in told["problem"]) == ("numbers", True)
        gate.set()
        await site.house.watch.value(COUNT, 100)
        assert await inputs(site.house) == list(range(1, 101))
        assert begun[0] == 0
        await stopped(task)


async def test_a_commit_whose_answer_is_lost_counts_once(dsn: str) -> None:
    app = App()
    counting(app)
    store, lost = Connectors._committed, []

    async def losing(self: Connectors, name: str, items: Any) -> bool:
        committed = await store(self, name, items)
        lost.append(committed)
        return committed and len(lost) % 2 == 0

    async with at_home(app, dsn) as house:
        with patch.object(Connectors, "_committed", losing):
            task = await reading(house, lease=30)
            await house.watch.value("select cursor::text = '100' from hookline.connectors")
            await house.watch.value(COUNT, 100)
            await stopped(task)
        assert await inputs(house) == list(range(1, 101))


async def test_rows_of_a_table_become_deliveries_each_once_whoever_commits_first(dsn: str) -> None:
    app = App()
    app.connector("orders", rows(dsn, "public.orders", every=0.02))

    @app.job(on=Pattern(["table.public.orders"], {"kind": ["book"]}), scope="{kind}")
    async def ship(ctx: Context, event: Event) -> Any:
        return event.data["id"]

    async with at_home(app, dsn) as house, house.replica():
        await house.watch.connection.execute(
            "create table public.orders (id bigint generated always as identity, kind text)"
        )
        slow = await asyncpg.connect(dsn)
        begun = slow.transaction()
        await begun.start()
        await slow.execute("insert into public.orders (kind) values ('book')")
        task = await reading(house)
        await house.watch.connection.execute("insert into public.orders (kind) values ('book'), ('pen')")
        await house.watch.value("select owner is not null from hookline.connectors")
        await begun.commit()
        await slow.close()
        await house.watch.value("select count(*) = 2 from hookline.runs where state = 'succeeded'")
        found = await house.watch.connection.fetch("select key, status from hookline.deliveries order by key")
        assert [(row["key"], row["status"]) for row in found] == [
            ("1", "accepted"),
            ("2", "accepted"),
            ("3", "ignored"),
        ]
        await stopped(task)


async def test_files_that_come_into_a_directory_become_events(dsn: str, tmp_path: Path) -> None:
    app = App()
    inbox = tmp_path / "inbox"
    inbox.mkdir()
    app.connector("inbox", files(inbox, every=0.02))

    @app.job(on=Pattern(["file"], {"name": ["order-*"]}))
    async def read(ctx: Context, event: Event) -> Any:
        return event.data["content"]

    async with at_home(app, dsn) as house, house.replica():
        (inbox / "order-1.json").write_text('{"n": 1}')
        (inbox / "note.json").write_text("not JSON")
        (inbox / "order-0.txt").write_text("no JSON either, by its name")
        task = await reading(house)
        await house.watch.value("select count(*) = 1 from hookline.runs where state = 'succeeded'")
        late = tmp_path / "order-0.json"
        late.write_text('{"n": 2}')
        late.rename(inbox / "order-0.json")
        await house.watch.value("select count(*) = 2 from hookline.runs where state = 'succeeded'")
        await stopped(task)
        again = await reading(house)
        await house.watch.value("select owner is not null from hookline.connectors")
        await stopped(again)
        assert await house.watch.connection.fetchval("select count(*) from hookline.deliveries") == 3


async def test_a_farewell_lets_another_read_at_once(dsn: str) -> None:
    app = App()
    counting(app, 10)
    async with at_home(app, dsn) as house:
        task = await reading(house, lease=60)
        await house.watch.value(COUNT, 10)
        await stopped(task)
        async with house.database.session() as connection:
            (row,) = await connectors.listed(connection)
        assert (row["read"], row["items"]) == (False, 10)


def test_a_name_is_given_once() -> None:
    app = App()
    counting(app)
    with pytest.raises(ConfigurationError, match="another connector 'numbers'"):
        app.connector("numbers", files("."))
