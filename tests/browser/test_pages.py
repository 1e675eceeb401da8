"""Every page can be used by everybody: axe finds nothing on it, in light and dark, and it fits every screen."""

from __future__ import annotations

import re
from pathlib import Path

from axe_playwright_python.base import AXE_FILE_PATH
from playwright.async_api import Browser
from tests.browser.places import places
from tests.browser.screenshots import SIZES
from tests.browser.showcase import Shown

DOCS = Path(__file__).parents[2] / "docs"

AXE = AXE_FILE_PATH.read_text()
LOOK = """async only => (await axe.run(document, {...only, resultTypes: ["violations"]})).violations.map(
    each => `${each.id}: ${each.nodes.map(node => node.html.slice(0, 120) + " " + node.failureSummary).join("; ")}`)"""
CHANGES = ("color-contrast", "scrollable-region-focusable", "target-size", "button-name", "link-name", "label")
"""What may be otherwise in the dark, or on a phone."""

SCREENS = ((320, 640), (834, 1112), (1360, 860))


async def test_every_page_keeps_nobody_out_and_fits_every_screen(browser: Browser, shown: Shown) -> None:
    at = str(shown.site.client.base_url)
    context = await browser.new_context()
    page, wrong, found = await context.new_page(), [], []
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.on("console", lambda said: wrong.append(said.text) if "Content Security" in said.text else None)
    for name, path in places(shown).items():
        await page.emulate_media(color_scheme="light")
        await page.goto(at + path)
        for width, height in SCREENS:
            await page.set_viewport_size({"width": width, "height": height})
            wide = await page.evaluate("document.documentElement.scrollWidth")
            assert wide <= width, (name, width, wide)
        await page.evaluate("document.querySelectorAll('details').forEach(each => each.open = true)")
        assert not wrong, (name, wrong)
        await page.evaluate(AXE)
        found += [f"{name} {each}" for each in await page.evaluate(LOOK, {})]
        await page.set_viewport_size({"width": 390, "height": 844})
        await page.emulate_media(color_scheme="dark")
        only = {"runOnly": {"type": "rule", "values": [*CHANGES]}}
        found += [f"{name} in the dark {each}" for each in await page.evaluate(LOOK, only)]
    await context.close()
    assert not found, "\n".join(found)


async def test_the_guide_shows_every_page_in_every_look(shown: Shown) -> None:
    images = re.findall(r'<img src="screenshots/(.+?)"', (DOCS / "dashboard.md").read_text())
    assert images == [f"{name}-{look}.png" for name in places(shown) for look in SIZES]
    assert set(images) == {path.name for path in (DOCS / "screenshots").glob("*.png")}
