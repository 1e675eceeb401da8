"""Code that is not a job starts runs, sends them signals and waits for them, whatever the network does to it."""

from __future__ import annotations

from typing import Any
from unittest.mock import patch
from uuid import uuid4

import httpx
import pytest
from tests.support import Site, on_site

from hookline import App, Client, Context, Refused, client

app = App()


@app.job()
async def order(ctx: Context, number: int) -> Any:
    return [number, await ctx.wait_for("paid")]


def calling(site: Site, token: str | None = "t0ken") -> Client:
    return Client(str(site.client.base_url), token)


async def test_an_order_is_started_and_paid_from_plain_code(dsn: str) -> None:
    async with on_site(app, dsn, tokens=["t0ken"]) as site, site.house.replica(), calling(site) as hookline:
        run = await hookline.start("order", 7, idempotency_key="7")
        assert await hookline.start("order", 7, idempotency_key="7") == run
        await hookline.signal(run, "paid", {"amount": 12})
        ended = await hookline.ended(run)
        assert (ended["state"], ended["output"]) == ("succeeded", [7, {"amount": 12}])

        other = await hookline.start("order", 8)
        await hookline.cancel(other)
        assert (await hookline.ended(other))["state"] == "cancelled"
        with pytest.raises(Refused, match="has ended") as refused:
            await hookline.signal(other, "paid")
        assert refused.value.status == 409


async def test_what_is_refused_says_why(dsn: str) -> None:
    async with on_site(app, dsn, tokens=["t0ken"]) as site:
        async with calling(site) as hookline:
            with pytest.raises(Refused, match="there is no job 'none'"):
                await hookline.start("none")
            with pytest.raises(Refused, match="there is no run"):
                await hookline.signal(uuid4(), "paid")
            with pytest.raises(TimeoutError):
                await hookline.ended(await hookline.start("order", 1), timeout=0.01)
        async with calling(site, "wrong") as stranger:
            with pytest.raises(Refused, match="401"):
                await stranger.start("order", 1)


async def test_what_got_no_answer_is_sent_again_and_counts_once(dsn: str) -> None:
    request, lost = httpx.AsyncClient.request, []

    async def losing(self: httpx.AsyncClient, method: str, url: str, **how: Any) -> httpx.Response:
        answer = await request(self, method, url, **how)
        if method == "POST" and len(lost) % 2 == 0:
            lost.append(url)
            raise httpx.ReadError("the connection broke")
        lost.append("")
        return answer

    async with on_site(app, dsn) as site, calling(site) as hookline:
        with patch.object(httpx.AsyncClient, "request", losing), patch.object(client, "FIRST_PAUSE", 0):
            run = await hookline.start("order", 7)
            await hookline.signal(run, "paid")
        count = "select (select count(*) from hookline.runs), (select count(*) from hookline.signals)"
        assert len(lost) == 4
        assert tuple(await site.house.watch.connection.fetchrow(count)) == (1, 1)


async def test_a_service_that_does_not_answer_is_named() -> None:
    async with Client("http://127.0.0.1:9") as hookline:
        with patch.object(client, "FIRST_PAUSE", 0), pytest.raises(Refused, match=r"http://127.0.0.1:9 does not ans"):
            await hookline.start("order")
