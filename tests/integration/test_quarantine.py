"""Quarantine: what nothing could identify is one delivery all the same, tried again or sent again, in any order."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any
from uuid import UUID

import pytest
from pydantic import SecretStr
from tests.support import KEY, PUSH, Site, on_site

from hookline import App, Context, Event
from hookline.errors import Unparseable
from hookline.peek import LARGE
from hookline.store import repeats
from hookline.store.database import Connection
from hookline.store.delivery import NewDelivery
from hookline_parsers import github

SEALED: dict[str, Any] = {"encrypt_payloads": True, "encryption_keys": (SecretStr(KEY),)}
LONG = json.dumps(json.loads(PUSH) | {"more": "x" * LARGE}).encode()

FIRST_RUNS = """
select count(*) from hookline.runs join hookline.deliveries on deliveries.id = delivery_id where replay_of is null
"""
"""Who asks for a replay behind the first who did is given another delivery, which starts runs of its own."""

app = App()


@app.job(on=github.push(), scope="{repository}")
async def deploy(ctx: Context, event: Event) -> None: ...


@pytest.fixture
async def site(dsn: str) -> AsyncIterator[Site]:
    async with on_site(app, dsn) as found:
        yield found


@contextmanager
def broken() -> Iterator[None]:
    """Within the block nobody finds out which delivery something is."""

    def identify(*_: object) -> None:
        raise Unparseable("what is this?")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(type(github.parser), "identify", identify)
        yield


async def unidentified(site: Site, guid: str, body: bytes = PUSH) -> str:
    """The id of one that was quarantined; `guid` is what it will be known by."""
    with broken():
        told = (await site.push(guid, body)).json()
        assert (told["status"], (await site.push(guid, body)).json()["status"]) == ("quarantined", "duplicate")
    id_: str = told["delivery"]
    return id_


async def replayed(site: Site, id_: str) -> dict[str, Any]:
    answer = await site.client.post(f"/api/deliveries/{id_}/replay", json={})
    assert answer.status_code == 202, answer.text
    told: dict[str, Any] = answer.json()
    return told


async def listed(site: Site) -> list[tuple[str, str]]:
    """The key and the status of each delivery, the oldest first."""
    found = (await site.client.get("/api/deliveries")).json()["deliveries"]
    return [(each["key"], each["status"]) for each in reversed(found)]


async def runs(site: Site) -> int:
    return int(await site.house.watch.connection.fetchval("select count(*) from hookline.runs"))


@pytest.mark.parametrize("changes", [{}, SEALED], ids=["plain", "sealed"])
@pytest.mark.parametrize("body", [PUSH, LONG], ids=["small", "large"])
async def test_one_that_is_tried_again_takes_its_own_key_so_that_the_same_is_a_duplicate_of_it(
    dsn: str, body: bytes, changes: dict[str, Any]
) -> None:
    async with on_site(app, dsn, **changes) as site:
        id_ = await unidentified(site, "guid-1", body)
        told = await replayed(site, id_)
        assert (told["delivery"], told["status"], len(told["runs"])) == (id_, "accepted", 1)
        again = (await site.push("guid-1", body)).json()
        assert (again["delivery"], again["status"], again["runs"]) == (id_, "duplicate", told["runs"])
        assert await listed(site) == [("guid-1", "accepted")]
        assert await runs(site) == 1


@pytest.mark.parametrize("changes", [{}, SEALED], ids=["plain", "sealed"])
@pytest.mark.parametrize("body", [PUSH, LONG], ids=["small", "large"])
async def test_one_that_was_sent_again_under_its_own_key_starts_nothing_more_and_leaves_the_quarantine(
    dsn: str, body: bytes, changes: dict[str, Any]
) -> None:
    async with on_site(app, dsn, **changes) as site:
        id_ = await unidentified(site, "guid-1", body)
        first = (await site.push("guid-1", body)).json()
        told = await replayed(site, id_)
        assert (told["delivery"], told["status"], told["runs"]) == (first["delivery"], "duplicate", first["runs"])
        assert [status for _, status in await listed(site)] == ["ignored", "accepted"]
        shown = (await site.client.get(f"/api/deliveries/{id_}")).json()
        assert shown["reason"] == f"the same came under its own key as delivery {first['delivery']}"
        assert await runs(site) == 1


async def test_one_that_nothing_can_identify_yet_stays_what_it_is(site: Site) -> None:
    id_ = await unidentified(site, "guid-1")
    with broken():
        assert (await replayed(site, id_))["status"] == "quarantined"
        assert (await site.push("guid-1")).json()["status"] == "duplicate"
    assert (await replayed(site, id_))["status"] == "accepted"


async def test_one_that_is_identified_but_not_read_is_tried_again_when_it_is_sent_again(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    id_ = await unidentified(site, "guid-1")
    with monkeypatch.context() as patch:
        patch.setattr(type(github.parser), "parse", lambda *_: [][0])
        assert (await replayed(site, id_))["status"] == "quarantined"
    again = (await site.push("guid-1")).json()
    assert (again["delivery"], again["status"], len(again["runs"])) == (id_, "duplicate", 1)
    assert await listed(site) == [("guid-1", "accepted")]


@pytest.mark.parametrize("body", [PUSH, LONG], ids=["small", "large"])
async def test_one_that_turns_out_to_be_another_body_under_a_key_is_a_conflict(site: Site, body: bytes) -> None:
    id_ = await unidentified(site, "guid-1", body)
    await site.push("guid-1", PUSH + b" ")
    told = await replayed(site, id_)
    assert (told["delivery"], told["status"], told["runs"]) == (id_, "conflict", [])
    assert await listed(site) == [("guid-1", "conflict"), ("guid-1", "accepted")]
    assert (await site.push("guid-1", body)).json()["delivery"] == id_
    assert (await replayed(site, id_))["status"] == "accepted", "it cannot be taken in all the same"


async def test_one_that_turns_out_to_be_a_conflict_that_is_there_leaves_the_quarantine(site: Site) -> None:
    id_ = await unidentified(site, "guid-1")
    await site.push("guid-1", PUSH + b" ")
    other = (await site.push("guid-1")).json()
    assert (await replayed(site, id_))["delivery"] == other["delivery"]
    assert [status for _, status in await listed(site)] == ["ignored", "accepted", "conflict"]
    assert await runs(site) == 1


async def test_of_two_that_turn_out_to_have_one_key_the_one_is_a_conflict_of_the_other(site: Site) -> None:
    ids = [await unidentified(site, "guid-1", body) for body in (PUSH, PUSH + b" ")]
    told = await asyncio.gather(*(replayed(site, each) for each in ids))
    assert sorted(each["status"] for each in told) == ["accepted", "conflict"]
    assert {each["delivery"] for each in told} == set(ids)
    assert await runs(site) == 1


@contextmanager
def just_before_it_is_reconsidered(do: Callable[[], Awaitable[None]]) -> Iterator[None]:
    """Within the block something is done, once, between the look for a key and its taking."""
    done: list[int] = []
    reconsider = repeats._reconsider

    async def overtaken(connection: Connection, tried: Iterable[NewDelivery]) -> dict[UUID, NewDelivery]:
        if not done:
            done.append(1)
            await do()
        return await reconsider(connection, tried)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(repeats, "_reconsider", overtaken)
        yield
        assert done


@pytest.mark.parametrize("body", [PUSH, LONG], ids=["small", "large"])
async def test_the_same_may_come_to_another_replica_at_the_moment_at_which_one_is_tried_again(
    dsn: str, body: bytes
) -> None:
    async with on_site(app, dsn) as one, on_site(app, dsn) as other:
        id_ = await unidentified(one, "guid-1", body)
        sent: list[dict[str, Any]] = []

        async def send() -> None:
            sent.append((await other.push("guid-1", body)).json())

        with just_before_it_is_reconsidered(send):
            told = await replayed(one, id_)
        assert sent[0]["status"] == "accepted"
        assert (told["delivery"], told["runs"]) == (sent[0]["delivery"], sent[0]["runs"])
        assert told["status"] == "duplicate"
        assert [status for _, status in await listed(one)] == ["ignored", "accepted"]
        assert await runs(one) == 1


async def test_another_replica_may_find_it_sent_again_at_the_moment_at_which_one_is_tried_again(dsn: str) -> None:
    """Then nothing is in quarantine any more, so that no unique index stands in the way."""
    async with on_site(app, dsn) as one, on_site(app, dsn) as other:
        id_ = await unidentified(one, "guid-1")

        async def overtake() -> None:
            await other.push("guid-1")
            assert (await replayed(other, id_))["status"] == "duplicate"

        with just_before_it_is_reconsidered(overtake):
            told = await replayed(one, id_)
        assert told["status"] == "duplicate"
        assert await runs(one) == 1


async def test_it_is_tried_again_once_by_all_who_ask_at_once_while_it_is_sent_again(dsn: str) -> None:
    async with on_site(app, dsn) as one, on_site(app, dsn) as other:
        id_ = await unidentified(one, "guid-1")
        asked = [replayed(site, id_) for site in (one, other)]
        sent = [site.push("guid-1") for site in (one, other)]
        answers = await asyncio.gather(*asked, *sent, return_exceptions=True)
        assert not [each for each in answers if isinstance(each, BaseException)], answers
        assert await one.house.watch.connection.fetchval(FIRST_RUNS) == 1
