"""Wherever a process falls that is asked to change something, asking another again does it once."""

from __future__ import annotations

import asyncio
import itertools
import signal
from collections.abc import AsyncIterator, Callable
from typing import Any

import httpx
import pytest
from pydantic import SecretStr
from tests.cluster.doomed import Doomed, receiving
from tests.everything import app
from tests.integration.test_sealed import aged
from tests.support import KEY, OTHER_KEY, Site, on_site

pytestmark = pytest.mark.cluster

BY = pytest.mark.parametrize("by", [signal.SIGKILL, signal.SIGSTOP], ids=["dies", "freezes"])
FIRST = {signal.SIGKILL: 1, signal.SIGSTOP: 2}
"""At which moment; then at every second one, so that each is tried with one fate or the other."""

Ask = Callable[[httpx.AsyncClient], Any]


async def falling(doomed: Doomed, client: httpx.AsyncClient, by: signal.Signals, ask: Ask) -> asyncio.Task[Any] | None:
    """What is asked of one that has met its fate meanwhile; `None` if it was answered before."""
    asked, fallen = asyncio.create_task(ask(client)), asyncio.create_task(doomed.fate(by))
    await asyncio.wait({asked, fallen}, return_when=asyncio.FIRST_COMPLETED)
    if fallen.done():
        return asked
    fallen.cancel()
    await asked
    return None


async def given_up(asked: asyncio.Task[Any]) -> None:
    asked.cancel()
    await asyncio.gather(asked, return_exceptions=True)


async def answered(ask: Ask, client: httpx.AsyncClient) -> httpx.Response:
    """The answer of one that is asked again and again, as long as another may be about to answer."""
    async with asyncio.timeout(20):
        while (answer := await ask(client)).status_code == 409:
            await asyncio.sleep(0.05)  # as its `Retry-After` asks for, and a little sooner
    assert isinstance(answer, httpx.Response)
    return answer


async def started(site: Site, tag: str) -> None:
    """Two runs that can be retried."""
    for _ in range(2):
        told = (await site.client.post("/api/jobs/saga/runs", json={"tags": [tag]})).json()
        assert (await site.client.post(f"/api/runs/{told['id']}/cancel")).status_code in (200, 202)


NEW = "select count(*) from hookline.runs where state = 'queued' and tags @> array[$1]"


@BY
@pytest.mark.parametrize(("path", "count"), [("jobs/saga/runs", 1), ("runs/retry", 2)], ids=["one", "many"])
async def test_a_write_with_a_key_is_done_once_wherever_whoever_does_it_falls(
    dsn: str, path: str, count: int, by: signal.Signals
) -> None:
    async with on_site(app, dsn) as heir:
        for at in itertools.count(FIRST[by], 2):
            tag = f"t{at}"
            if path == "runs/retry":
                await started(heir, tag)
            body = {"tags": [tag]} if count == 1 else {"filter": {"tag": tag}, "dry_run": False}

            async def ask(client: httpx.AsyncClient, key: str = tag, body: Any = body) -> httpx.Response:
                return await client.post(f"/api/{path}", json=body, headers={"Idempotency-Key": key})

            async with receiving(dsn, at, by) as doomed, httpx.AsyncClient(base_url=doomed.url, timeout=20) as client:
                asked = await falling(doomed, client, by, ask)
                if asked is None:
                    break
                answer = await answered(ask, heir.client)
                assert answer.status_code in (200, 201), (at, answer.text)
                if by == signal.SIGSTOP:
                    doomed.go_on()
                    assert (await asked).status_code in (200, 201, 409, 503), at
                    assert (await answered(ask, client)).json() == answer.json(), at
                await given_up(asked)
            assert (await ask(heir.client)).json() == answer.json(), at
            assert await heir.house.watch.connection.fetchval(NEW, tag) == count, at
    assert at > 10


TURNED = (KEY, OTHER_KEY), (OTHER_KEY, KEY)


@pytest.fixture
async def plain(dsn: str) -> AsyncIterator[dict[str, Any]]:
    """What there is of deliveries and runs, by its address, none of it encrypted."""
    async with on_site(app, dsn) as site, site.house.replica():
        pushed = [(await site.push(f"guid-{number}")).json() for number in range(3)]
        await site.house.watch.ended(*(run for each in pushed for run in each["runs"]))
        await aged(site)
        yield await shown(site)


async def shown(site: Site) -> dict[str, Any]:
    told: dict[str, Any] = {}
    for kind in ("deliveries", "runs"):
        for each in (await site.client.get(f"/api/{kind}")).json()[kind]:
            path = f"/api/{kind}/{each['id']}"
            told[path] = (await site.client.get(path)).json()
    return told


async def resealed(client: httpx.AsyncClient) -> int:
    """As the command asks for it; returns how many rows were changed."""
    after, changed = None, 0
    while True:
        answer = await client.post("/api/reseal", json={"after": after})
        assert answer.status_code == 200, answer.text
        told = answer.json()
        changed, after = changed + told["changed"], told["next"]
        if after is None:
            return changed


@BY
async def test_payloads_are_resealed_wherever_whoever_does_it_falls(
    dsn: str, plain: dict[str, Any], by: signal.Signals
) -> None:
    turned = [{"encryption_keys": tuple(map(SecretStr, given)), "encrypt_payloads": True} for given in TURNED]
    async with on_site(app, dsn, **turned[0]) as one, on_site(app, dsn, **turned[1]) as other:
        for at in itertools.count(FIRST[by], 2):
            turn = at // 2 % 2
            heir = (one, other)[turn]
            async with (
                receiving(dsn, at, by, **turned[turn]) as doomed,
                httpx.AsyncClient(base_url=doomed.url, timeout=20) as client,
            ):
                asked = await falling(doomed, client, by, resealed)
                if asked is not None:
                    await resealed(heir.client)
                    if by == signal.SIGSTOP:
                        doomed.go_on()
                    await asyncio.gather(asked, return_exceptions=True)
            assert await resealed(heir.client) == 0, at
            assert await shown(heir) == plain, at
            if asked is None:
                break
    assert at > 10
