"""Every button does what it says, without the page being loaded again, and shows what came of it."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from typing import Any

import pytest
from playwright.async_api import Browser, Page, expect
from tests.browser.showcase import Shown


@pytest.fixture
async def page(browser: Browser, shown: Shown) -> AsyncIterator[Page]:
    context = await browser.new_context(
        viewport={"width": 1360, "height": 860}, base_url=str(shown.site.client.base_url)
    )
    yield await context.new_page()
    await context.close()


async def state(page: Page, name: str) -> None:
    """Wait until the page's title says that the run is in that state."""
    await expect(page.locator(".title .state")).to_have_text(name, timeout=10_000)


async def yes(page: Page, button: str) -> None:
    """Say yes to what is asked."""
    await page.locator("#sure").get_by_role("button", name=button).click()


async def test_a_run_is_steered_from_its_page(page: Page, shown: Shown) -> None:
    await page.goto(f"/runs/{await shown.waiting()}")
    await page.get_by_role("button", name="Pause").click()
    await state(page, "paused")
    await page.get_by_role("button", name="Resume").click()
    await state(page, "waiting")

    await page.get_by_role("button", name="Signal…").click()
    await expect(page.locator("#signal [name=name]")).to_have_value("packed")
    await page.fill("#signal [name=data]", "{not json")
    await page.get_by_role("button", name="Send").click()
    await expect(page.locator("#told .bad")).to_contain_text("not JSON")
    await page.fill("#signal [name=data]", '"ada"')
    await page.get_by_role("button", name="Send").click()
    await state(page, "succeeded")
    await expect(page.get_by_label("Variable packed by")).to_have_text('"ada"')


async def test_a_cancel_is_asked_about_first(page: Page, shown: Shown) -> None:
    await page.goto(f"/runs/{shown.runs['delayed']}")
    await page.get_by_role("button", name="Cancel…").click()
    await page.locator("#sure").get_by_role("button", name="Leave it").click()
    await state(page, "queued")
    await page.get_by_role("button", name="Cancel…").click()
    await yes(page, "Cancel the run")
    await state(page, "cancelled")
    await page.get_by_role("button", name="Delete data…").click()
    await yes(page, "Delete the data")
    await expect(page.get_by_label("Facts")).to_contain_text("deletion")


async def test_an_approval_is_given(page: Page, shown: Shown) -> None:
    run = await shown.asking()
    await page.goto(f"/runs/{run}")
    await page.get_by_role("button", name="Decide…").click()
    await page.fill("dialog[open] [name='data.by']", "Ada")
    await page.get_by_role("button", name="Approve").click()
    await state(page, "succeeded")
    output = (await shown.site.house.read(run))["output"]
    assert b'"shipped":true' in output


async def test_an_approval_is_refused(page: Page, shown: Shown) -> None:
    run = await shown.asking()
    await page.goto(f"/runs/{run}")
    await page.get_by_role("button", name="Decide…").click()
    await page.fill("dialog[open] [name='data.by']", "Ada")
    await page.get_by_role("button", name="Reject").click()
    await state(page, "succeeded")
    assert (await shown.site.house.read(run))["output"] == b'{"shipped":false,"by":"Ada"}'


async def test_a_failed_run_is_retried_skipped_and_forked(page: Page, shown: Shown) -> None:
    failed = str(shown.runs["declined"])
    for button, answer in (("Retry", None), ("Skip and retry…", "Skip and go on")):
        await page.goto(f"/runs/{failed}")
        await page.get_by_role("button", name=button, exact=True).click()
        if answer:
            await yes(page, answer)
        await page.wait_for_url(re.compile(f"/runs/(?!{failed})"))
        await expect(page.locator(".lineage")).to_contain_text("forked from")

    failed = str(shown.runs["failed"])
    await page.goto(f"/runs/{failed}")
    row = page.locator("li", has_text="unit_tests").locator("details").first
    await row.locator("summary").first.click()
    await row.get_by_role("button", name="Again from here…").click()
    await expect(page.locator("#fork [name=from]")).to_have_value("unit_tests")
    await page.fill(
        "#fork [name=input]", '{"after": "1234567", "repository": {"full_name": "octo/site"}, "regions": ["eu-1"]}'
    )
    await page.locator("#fork").get_by_role("button", name="Fork").click()
    await page.wait_for_url(re.compile(f"/runs/(?!{failed})"))
    await state(page, "succeeded")
    await expect(page.locator(".gantt")).to_contain_text("taken over")


async def test_runs_are_steered_all_at_once_after_they_were_counted(page: Page, shown: Shown) -> None:
    await page.goto("/runs?job=checks")
    await page.get_by_role("button", name="Cancel…").click()
    await expect(page.locator("#sure p")).to_have_text("2 runs fit. Cancel them?")
    await yes(page, "Cancel them")
    await expect(page.locator("#told")).to_contain_text("2 of 2 done")
    await expect(page.locator("tbody")).to_contain_text("cancelled")
    await expect(page.locator("tbody .t-waiting")).to_have_count(0)


async def test_filters_are_in_the_address(page: Page, shown: Shown) -> None:
    await page.goto("/runs")
    await page.select_option("[name=state]", "paused")
    await page.wait_for_url("**/runs?state=paused")
    await expect(page.locator("tbody tr")).to_have_count(1)
    await page.fill("[name=scope]", "absent")
    await page.keyboard.press("Enter")
    await page.wait_for_url("**/runs?state=paused&scope=absent")
    await expect(page.locator(".empty")).to_contain_text("No run fits")


async def test_a_delivery_is_rehearsed_and_replayed(page: Page, shown: Shown) -> None:
    await page.goto(f"/deliveries/{shown.deliveries['accepted']}")
    await page.get_by_role("button", name="Rehearse").click()
    await expect(page.locator("#shown pre")).to_contain_text('"verdict": "matched"')
    await page.locator("#shown").get_by_role("button", name="Close").click()
    await page.get_by_role("button", name="Replay…").click()
    await yes(page, "Replay")
    await page.wait_for_url(re.compile(f"/deliveries/(?!{shown.deliveries['accepted']})"))
    await expect(page.get_by_label("Facts")).to_contain_text("Replay of")


async def test_a_job_is_run_from_the_form_that_its_schema_makes(page: Page, shown: Shown) -> None:
    for fill, amount in (
        ({"input.number": "12", "input.customer": "ada", "input.amount": "7.25", "input.items": '["a"]'}, 7.25),
        ({"input": '{"number": 13, "customer": "eve", "amount": 1}'}, 1),
    ):
        await page.goto("/jobs/sell")
        await page.get_by_role("button", name="Run now…").click()
        if "input" in fill:
            await page.get_by_role("button", name="Switch between").click()
        for name, value in fill.items():
            await page.fill(f"#start [name='{name}']", value)
        await page.locator("#start").get_by_role("button", name="Run", exact=True).click()
        await page.wait_for_url("**/runs/*")
        await state(page, "succeeded")
        await expect(page.locator("#input")).to_contain_text(f'"amount": {amount}')


async def test_a_schedule_is_switched_off_and_on(page: Page, shown: Shown) -> None:
    await page.goto("/schedules")
    await page.get_by_role("button", name="Switch nightly off").click()
    await page.get_by_role("button", name="Switch nightly on").click()
    await expect(page.get_by_role("button", name="Switch nightly off")).to_be_visible()


async def test_what_changes_shows_without_a_reload_and_leaves_what_is_open(page: Page, shown: Shown) -> None:
    run = await shown.waiting()
    await page.goto(f"/runs/{run}")
    await page.evaluate("window.same = true")
    first = page.locator(".gantt details").first
    await first.locator("summary").first.click()
    await shown.site.client.post(f"/api/runs/{run}/pause")
    await state(page, "paused")
    assert await page.evaluate("window.same")
    assert await first.evaluate("each => each.open")
    assert await page.evaluate("document.activeElement.tagName") == "SUMMARY"
    await shown.site.client.post(f"/api/runs/{run}/resume")


async def test_the_keyboard_reaches_everything(page: Page, shown: Shown) -> None:
    await page.goto("/")
    await page.keyboard.press("?")
    await expect(page.locator("#keys")).to_be_visible()
    await page.keyboard.press("Escape")
    await page.keyboard.press("g")
    await page.keyboard.press("r")
    await page.wait_for_url("**/runs")
    await page.keyboard.press("/")
    assert await page.evaluate("document.activeElement.name") == "scope"
    await page.keyboard.press("Escape")
    await page.keyboard.press("j")
    await page.keyboard.press("j")
    await page.keyboard.press("k")
    await page.keyboard.press("Enter")
    await page.wait_for_url("**/runs/*")


async def test_the_theme_that_is_chosen_stays(page: Page, shown: Shown) -> None:
    await page.goto("/")
    before = await page.evaluate("getComputedStyle(document.body).backgroundColor")
    await page.get_by_role("button", name="Light or dark").click()
    chosen = await page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert chosen != before
    await page.goto("/runs")
    assert await page.evaluate("getComputedStyle(document.body).backgroundColor") == chosen


async def test_a_refusal_is_told_in_its_own_words(page: Page, shown: Shown) -> None:
    await page.goto(f"/runs/{shown.runs['waiting']}")
    await page.locator("#live").wait_for()
    await page.route("**/pause", lambda route: _refused(route))
    await page.get_by_role("button", name="Pause").click()
    await expect(page.locator("#told .bad")).to_have_text("it cannot be paused")


async def _refused(route: Any) -> None:
    await route.fulfill(status=409, json={"detail": "it cannot be paused"})


STREAM = """window.EventSource = class extends EventTarget {
    constructor(url) { super(); window.stream = this; this.url = url; setTimeout(() => this.onopen()) }
}"""


async def test_an_event_of_the_stream_shows_what_has_changed(page: Page, shown: Shown) -> None:
    run = await shown.waiting()
    await page.add_init_script(STREAM)
    async with page.expect_response(lambda answer: "x-fragment" in answer.request.headers):
        await page.goto(f"/runs/{run}")
    assert await page.evaluate("stream.url") == "/api/stream"
    await expect(page.locator("#live")).to_have_text("Live")
    await shown.site.client.post(f"/api/runs/{run}/cancel")
    async with page.expect_response(lambda answer: "x-fragment" in answer.request.headers, timeout=4000):
        await page.evaluate("stream.dispatchEvent(new MessageEvent('run', {data: '{}'}))")
    await state(page, "cancelled")
    await page.evaluate("stream.onerror()")
    await expect(page.locator("#live")).to_have_text("Every 5 s")
