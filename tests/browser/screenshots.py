"""Screenshots of the pages, for the documents: `python -m tests.browser.screenshots docs/screenshots`."""

from __future__ import annotations

import asyncio
import sys
import tempfile
from pathlib import Path

import asyncpg
from playwright.async_api import async_playwright
from tests.browser.conftest import FLAGS, chromium
from tests.browser.places import places
from tests.browser.showcase import showcase
from tests.conftest import of_database
from tests.support import FEED

from hookline import embedded
from hookline.store import migrate

SIZES = {"light": (1060, 620), "dark": (1060, 620), "phone": (360, 640)}

FORGET = """root => {
    for (const each of document.querySelectorAll("pre.trace"))
        each.textContent = each.textContent.replaceAll(root + "/", "")
}"""
"""Where this checkout lies is nobody's business."""


async def shoot(postgres: str, to: Path) -> None:
    """Make all of them; what is in `to` is replaced."""
    admin = await asyncpg.connect(postgres)
    await admin.execute("create database shown")
    await admin.close()
    dsn = of_database(postgres, "shown")
    await migrate.migrate(dsn)
    connection = await asyncpg.connect(dsn)
    await connection.execute(FEED)
    await connection.close()
    async with showcase(dsn, past=1500) as shown, async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=chromium(), args=[*FLAGS])
        at = str(shown.site.client.base_url)
        for look, (width, height) in SIZES.items():
            context = await browser.new_context(
                viewport={"width": width, "height": height}, color_scheme="dark" if look == "dark" else "light"
            )
            page = await context.new_page()
            for name, path in places(shown).items():
                await page.goto(at + path)
                await page.evaluate(FORGET, str(Path(__file__).parents[2]))
                await page.screenshot(path=to / f"{name}-{look}.png", full_page=name == "overview" and look != "phone")
        await browser.close()


def main() -> None:
    """Make them."""
    to = Path(sys.argv[1])
    to.mkdir(parents=True, exist_ok=True)
    with (
        tempfile.TemporaryDirectory(prefix="hookline-screenshots-", ignore_cleanup_errors=True) as directory,
        embedded.running(Path(directory) / "postgres", durable=False) as dsn,
    ):
        asyncio.run(shoot(dsn, to))
    print(f"{sum(each.stat().st_size for each in to.glob('*.png')) // 1024} KB in {to}")


if __name__ == "__main__":
    main()
