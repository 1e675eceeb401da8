"""An event goes to the run that is open for what it is about, or starts it; none is lost, and none is handled twice."""

from __future__ import annotations

import asyncio
import json
from typing import Any
from uuid import UUID

import asyncpg
import pytest
from tests.support import Site, at_home, on_site

from hookline import App, Context, Event
from hookline.store.commit import GroupCommit
from hookline_parsers import github


def pushed(number: int, ref: str = "refs/heads/main") -> bytes:
    return json.dumps({"ref": ref, "after": f"{number}", "repository": {"full_name": "octo/site"}}).encode()


def following(handled: list[str], *, most: int = 1000, **options: Any) -> App:
    """A job that handles the event which starts it, and those after it until one says `last`, or there were so many."""
    app = App()

    async def handle(after: str) -> None:
        handled.append(after)

    @app.job(on=github.push(), correlate="{ref}", **options)
    async def follow(ctx: Context, event: Event) -> list[str]:
        seen = [event.data["after"]]
        await ctx.step(handle, seen[-1])
        while seen[-1] != "last" and len(seen) < most:
            event = await ctx.next_event()
            assert event.type == "github.push"
            seen.append(event.data["after"])
            await ctx.step(handle, seen[-1])
        return seen

    return app


async def push(site: Site, guid: str, after: object, ref: str = "refs/heads/main") -> list[UUID]:
    body = json.dumps({"ref": ref, "after": str(after), "repository": {"full_name": "octo/site"}}).encode()
    answer = await site.push(guid, body)
    assert answer.json()["status"] in ("accepted", "duplicate")
    return [UUID(run) for run in answer.json()["runs"]]


async def test_an_event_is_sent_to_the_run_that_is_open_for_its_key(dsn: str) -> None:
    handled: list[str] = []
    async with on_site(following(handled), dsn) as site, site.house.replica():
        (run,) = await push(site, "1", 1)
        (other,) = await push(site, "2", 1, "refs/heads/next")
        assert other != run
        assert [await push(site, f"{number}", number) for number in range(3, 6)] == [[run]] * 3
        assert await push(site, "4", 4) == [run]
        await push(site, "last", "last")
        await site.house.watch.ended(run)
        assert (await site.house.read(run))["output"] == b'["1","3","4","5","last"]'
        shown = (await site.client.get("/api/deliveries?key=4&source=github")).json()["deliveries"][0]
        assert shown["runs"] == [str(run)]
        told = (await site.client.get(f"/api/deliveries/{shown['id']}")).json()
        assert [(each["id"], each["state"]) for each in told["runs"]] == [(str(run), "succeeded")]
        assert await site.house.watch.value("select state = 'waiting' from hookline.runs where id = $1", other)


async def test_what_came_before_the_run_had_begun_is_held_in_order(dsn: str) -> None:
    handled: list[str] = []
    async with on_site(following(handled), dsn) as site:
        runs = [await push(site, f"{number}", number) for number in range(5)]
        await push(site, "last", "last")
        async with site.house.replica():
            await site.house.watch.ended(*runs[0])
    assert runs == [runs[0]] * 5
    assert handled == ["0", "1", "2", "3", "4", "last"]


async def test_an_event_that_its_run_did_not_take_starts_the_next_and_the_others_go_there(dsn: str) -> None:
    handled: list[str] = []
    app = following(handled, most=2, scope="{repository}", input=None)
    async with on_site(app, dsn) as site:
        for number in range(5):
            await push(site, f"{number}", number)
        async with site.house.replica():
            await site.house.watch.value("select count(*) = 3 from hookline.runs where started_at is not null")
            await site.house.watch.value("select count(*) = 1 from hookline.runs where state = 'waiting'")
            outputs = await site.house.watch.connection.fetch(
                """
                select output::text as output, state, delivery_id is not null as has, event_index
                  from hookline.runs join hookline.run_data on run_id = id order by seq
                """
            )
            assert [tuple(row) for row in outputs] == [
                ('["0","1"]', "succeeded", True, 0),
                ('["2","3"]', "succeeded", True, 0),
                (None, "waiting", True, 0),
            ]
    assert handled == ["0", "1", "2", "3", "4"]


async def test_a_job_with_an_input_of_its_own_starts_the_next_run_with_that(dsn: str) -> None:
    app = App()

    @app.job(on=github.push(), correlate="{ref}", input={"sha": "{after}"})
    async def follow(ctx: Context, given: dict[str, str]) -> str:
        return given["sha"]

    async with on_site(app, dsn) as site:
        for number in range(3):
            await push(site, f"{number}", number)
        async with site.house.replica():
            await site.house.watch.value("select count(*) = 3 from hookline.runs where state = 'succeeded'")
        outputs = await site.house.watch.connection.fetch(
            "select output::text from hookline.runs join hookline.run_data on run_id = id order by seq"
        )
    assert [row[0] for row in outputs] == ['"0"', '"1"', '"2"']


async def test_what_was_sent_to_a_run_that_is_cancelled_goes_with_it(dsn: str) -> None:
    async with on_site(following([]), dsn) as site:
        (run,) = await push(site, "1", 1)
        await push(site, "2", 2)
        assert (await site.client.post(f"/api/runs/{run}/cancel")).is_success
        (new,) = await push(site, "3", 3)
        assert new != run


@pytest.mark.parametrize("lost", [None, "Finish", "NewDelivery"])
async def test_each_event_is_handled_once_whoever_takes_it_in_and_however_runs_end(
    dsn: str, lost: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    commit, to_lose = GroupCommit._commit, 3

    async def faulty(writer: GroupCommit[Any, Any], items: Any, again: bool) -> Any:
        nonlocal to_lose
        results = await commit(writer, items, again)
        if to_lose and lost in {type(item).__name__ for item in items}:
            to_lose -= 1
            raise asyncpg.ConnectionDoesNotExistError("lost after the commit")
        return results

    monkeypatch.setattr(GroupCommit, "_commit", faulty)
    handled: list[str] = []
    app = following(handled, most=3)
    async with on_site(app, dsn) as site, at_home(app, dsn) as other, site.house.replica(), other.replica():
        await asyncio.gather(*(push(site, f"{number}", number) for number in range(60)))
        for number in range(60, 63):
            await push(site, f"{number}", "last")
        await site.house.watch.value("select count(*) = 0 from hookline.runs where finished_at is null")
        untaken = "select count(*) from hookline.signals where taken_by is null"
        assert await site.house.watch.connection.fetchval(untaken) == 0
    assert sorted(handled) == sorted([*map(str, range(60)), "last", "last", "last"])
    assert lost is None or to_lose == 0


async def test_nobody_sends_a_signal_into_the_mailbox_of_events(dsn: str) -> None:
    async with on_site(following([]), dsn) as site:
        (run,) = await push(site, "1", 1)
        answer = await site.client.post(f"/api/runs/{run}/signals", json={"name": "next/event", "data": {}})
        assert answer.status_code == 422
