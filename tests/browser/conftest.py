"""A browser, and a service to look at with it."""

from __future__ import annotations

import os
import shutil
from collections.abc import AsyncIterator

import pytest
from playwright.async_api import Browser, async_playwright
from tests.browser.showcase import Shown, showcase
from tests.conftest import fresh

FLAGS = ("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
         "--disable-component-update", "--disable-sync")  # fmt: skip


def chromium() -> str | None:
    """Where this machine's Chromium is."""
    named = os.environ.get("CHROMIUM")
    return named or next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)


@pytest.fixture(scope="session")
def anyio_backend() -> tuple[str, dict[str, bool]]:
    """One event loop for all tests here: a browser and a full service take a while to start."""
    return "asyncio", {"use_uvloop": True}


@pytest.fixture(scope="session")
async def browser() -> AsyncIterator[Browser]:
    """This machine's Chromium, without a window."""
    path = chromium()
    if path is None:
        missing = "there is no Chromium here: install one, or say where it is in CHROMIUM"
        pytest.fail(missing) if os.environ.get("CI") else pytest.skip(missing)
    async with async_playwright() as playwright:
        started = await playwright.chromium.launch(executable_path=path, args=[*FLAGS])
        try:
            yield started
        finally:
            await started.close()


@pytest.fixture(scope="session")
async def shown(postgres: str) -> AsyncIterator[Shown]:
    """A service whose pages are full; what a test changes of it it starts itself."""
    with pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.startswith("HOOKLINE_")]:
            patch.delenv(name)
        async with fresh(postgres) as dsn, showcase(dsn, past=20) as full:
            yield full
