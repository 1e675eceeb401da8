"""The page of the API: whoever can read can try every call, with a session or with a token, streams as well."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import msgspec
from playwright.async_api import Browser, Page, expect
from tests.reference import endpoints, openapi
from tests.support import Site, on_site

from hookline import App, Context
from hookline.web.dashboard.calls import calls


def jobs() -> App:
    app = App()

    @app.job()
    async def order(ctx: Context, _: Any) -> None: ...

    return app


@asynccontextmanager
async def page_of(browser: Browser, dsn: str, role: str = "operator") -> AsyncIterator[tuple[Site, Page]]:
    """The page, looked at by somebody who has logged in."""
    async with on_site(jobs(), dsn, tokens=["r00t"]) as site:
        admin = {"Authorization": "Bearer r00t"}
        made = await site.client.post("/api/tokens", json={"name": "me", "role": role}, headers=admin)
        at = str(site.client.base_url)
        context = await browser.new_context(base_url=at, viewport={"width": 1200, "height": 860})
        await context.grant_permissions(["clipboard-read", "clipboard-write"], origin=at.rstrip("/"))
        page = await context.new_page()
        wrong: list[str] = []
        page.on("pageerror", lambda error: wrong.append(str(error)))
        await page.goto("/docs")
        await page.fill("#token", made.json()["token"])
        await page.press("#token", "Enter")
        await page.wait_for_url("**/docs")
        yield site, page
        await context.close()
        assert not wrong


def test_every_example_is_a_body_that_its_call_takes() -> None:
    found = {each.id: each for each in calls(endpoints(), openapi())}
    assert len(found) == len(endpoints())
    for endpoint, call in zip(endpoints(), found.values(), strict=True):
        if endpoint.body not in (None, str):
            assert call.example is not None
            msgspec.json.decode(call.example, type=endpoint.body)


async def test_a_call_is_found_filled_in_sent_and_read(browser: Browser, dsn: str) -> None:
    async with page_of(browser, dsn) as (site, page):
        await page.keyboard.press("/")
        await page.keyboard.type("jobs/{name}/runs")
        await expect(page.locator(".call:visible")).to_have_count(1)
        call = page.locator("#runs_start")
        await call.locator("summary").first.press("Enter")
        await call.locator("input[name=name]").fill("order")
        asked = call.locator("textarea")
        assert set(json.loads(await asked.input_value())) == {"input", "priority", "delay", "tags"}
        await asked.fill('{"input": {"big": 1180591620717411303424}}')
        await call.locator("input[name=Idempotency-Key]").fill("once")
        body, headers = call.get_by_label("Body of the answer"), call.get_by_label("Headers of the answer")
        await call.get_by_role("button", name="Send").click()
        await expect(body).to_contain_text('"big": 1180591620717411303424')
        await expect(headers).not_to_contain_text("idempotent-replayed")
        await call.get_by_role("button", name="Send").click()
        await expect(headers).to_contain_text("idempotent-replayed: true")
        await expect(body).to_contain_text('"big": 1180591620717411303424')
        await expect(call.get_by_role("status")).to_contain_text("201")
        rows = await site.house.watch.connection.fetchval("select count(*) from hookline.runs")
        assert rows == 1
        await call.get_by_role("button", name="Copy as curl").click()
        await expect(page.locator("#told")).to_contain_text("Copied")
        copied = await page.evaluate("navigator.clipboard.readText()")
        assert copied.startswith(f"curl -X POST '{str(site.client.base_url).rstrip('/')}/api/jobs/order/runs' ")
        assert "Idempotency-Key: once" in copied
        assert '"Authorization: Bearer $HOOKLINE_TOKEN"' in copied


async def test_a_token_that_is_pasted_counts_and_is_forgotten(browser: Browser, dsn: str) -> None:
    async with page_of(browser, dsn, "viewer") as (_, page):
        await page.goto("/docs#tokens_list")
        call = page.locator("#tokens_list")
        await call.get_by_role("button", name="Send").click()
        await expect(call.get_by_role("status")).to_contain_text("403")
        await expect(call.get_by_label("Body of the answer")).to_contain_text("/problems/role-too-low")
        await expect(call).to_contain_text("You are not.")
        await page.fill("#bearer", "r00t")
        await call.get_by_role("button", name="Send").click()
        await expect(call.get_by_role("status")).to_contain_text("200")
        kept = await page.evaluate("JSON.stringify([{...localStorage}, {...sessionStorage}, document.cookie])")
        assert "r00t" not in kept
        await page.reload()
        assert await page.input_value("#bearer") == ""


async def test_a_stream_is_shown_as_it_comes_and_stopped(browser: Browser, dsn: str) -> None:
    async with page_of(browser, dsn) as (site, page):
        await page.goto("/docs#streams_all")
        call = page.locator("#streams_all")
        await call.get_by_role("button", name="Send").click()
        await expect(call.get_by_role("status")).to_contain_text("live")
        run = await site.house.start("order")
        await expect(call.get_by_label("Body of the answer")).to_contain_text(str(run))
        await call.get_by_role("button", name="Stop").click()
        await expect(call.get_by_role("status")).to_contain_text("stopped")
        await expect(call.get_by_role("button", name="Stop")).to_be_disabled()


async def test_whoever_is_not_known_is_sent_to_log_in(dsn: str) -> None:
    async with on_site(jobs(), dsn, tokens=["r00t"]) as site:
        answer = await site.client.get("/docs")
        assert (answer.status_code, answer.headers["location"]) == (303, "/login?next=%2Fdocs")
