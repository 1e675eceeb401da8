"""Who logs in, with a token or at a provider, sees who they are and what they may do, until they leave."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator

import pytest
from playwright.async_api import Browser, Page, expect
from tests.browser.test_pages import AXE, LOOK
from tests.conftest import fresh
from tests.identities import Identities
from tests.integration.test_oidc import with_provider
from tests.support import Site


@pytest.fixture(scope="session")
async def both(postgres: str) -> AsyncIterator[tuple[Site, Identities]]:
    with pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.startswith("HOOKLINE_")]:
            patch.delenv(name)
        async with fresh(postgres) as dsn, with_provider(dsn) as found:
            yield found


@pytest.fixture
async def page(browser: Browser, both: tuple[Site, Identities]) -> AsyncIterator[Page]:
    at = str(both[0].client.base_url).rstrip("/")
    context = await browser.new_context(viewport={"width": 1360, "height": 860}, base_url=at)
    yield await context.new_page()
    await context.close()


async def shown(page: Page, name: str) -> None:
    """Nothing of it keeps anybody out; a picture of it is kept where SCREENSHOTS says."""
    await page.evaluate(AXE)
    assert await page.evaluate(LOOK, {}) == [], name
    if where := os.environ.get("SCREENSHOTS"):
        await page.screenshot(path=f"{where}/{name}.png")


async def test_somebody_logs_in_at_the_provider_and_out(page: Page, both: tuple[Site, Identities]) -> None:
    await page.goto("/jobs?from=mail")
    await expect(page).to_have_url("/login?next=%2Fjobs%3Ffrom%3Dmail")
    await shown(page, "login")
    await page.get_by_role("link", name="Continue with 127.0.0.1").click()
    await expect(page).to_have_url("/jobs?from=mail")
    await expect(page.locator(".who")).to_contain_text("ada@example.org")
    await expect(page.locator(".who")).to_contain_text("operator")
    await expect(page.get_by_role("link", name="Audit")).to_have_count(0)
    await shown(page, "operator")
    await page.get_by_role("button", name="Log out").click()
    await expect(page).to_have_url("/login")
    await page.goto("/jobs")
    await expect(page).to_have_url("/login?next=%2Fjobs")


async def test_who_is_refused_is_told_why_and_can_try_again(page: Page, both: tuple[Site, Identities]) -> None:
    person, both[1].person = both[1].person, {"sub": "u1", "email": "eve@example.org", "email_verified": True}
    try:
        await page.goto("/login/oidc?next=/runs")
        await expect(page.locator("main")).to_contain_text(
            "you are eve@example.org, and here nobody has given you a role"
        )
        await shown(page, "refused")
    finally:
        both[1].person = person
    await page.get_by_role("link", name="Log in again").click()
    await page.get_by_role("link", name="Continue with").click()
    await expect(page).to_have_url("/runs")


async def test_an_admin_makes_a_token_sees_it_once_and_revokes_it(page: Page, both: tuple[Site, Identities]) -> None:
    await page.goto("/tokens")
    await page.fill("#token", "r00t")
    await page.get_by_role("button", name="Log in").click()
    await page.wait_for_url("/tokens")  # whose buttons are at work once it has loaded
    await page.get_by_role("button", name="Make a token…").click()
    await page.fill("dialog[open] [name=name]", "ci")
    await page.select_option("dialog[open] [name=role]", "viewer")
    await page.get_by_role("button", name="Make it").click()
    text = page.locator("#shown-text")
    await expect(text).to_contain_text("hookline_")
    made = {"Authorization": f"Bearer {await text.text_content()}"}
    assert (await both[0].client.get("/api/me", headers=made)).json() == {"name": "ci", "role": "viewer"}
    await page.get_by_role("button", name="Close").click()
    await expect(text).to_be_empty()
    await expect(page.locator("main")).to_contain_text("HOOKLINE_API_TOKENS")
    await shown(page, "tokens")
    await page.get_by_role("button", name="Revoke ci").click()
    await page.locator("#sure").get_by_role("button", name="Revoke it").click()
    await expect(page.locator("main")).to_contain_text("revoked")
    await page.get_by_role("link", name="Audit").click()
    await expect(page.locator("tbody tr").first).to_contain_text("DELETE /api/tokens/")
    await shown(page, "audit")


async def test_a_page_whose_session_has_ended_leads_to_the_log_in(page: Page, both: tuple[Site, Identities]) -> None:
    await page.goto("/login?next=/runs")
    await page.get_by_role("link", name="Continue with").click()
    await expect(page).to_have_url("/runs")
    await expect(page.locator("#live")).to_have_attribute("data-how", "stream")
    await both[0].house.watch.connection.execute("delete from hookline.sessions")
    await expect(page).to_have_url("/login?next=%2Fruns", timeout=20_000)
