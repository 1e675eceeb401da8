"""What the pages show to whom: to each role what it may do, by the table of the API, and nothing else."""

from __future__ import annotations

import html
import re
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
from starlette.routing import Match, Mount, Route
from tests.integration.test_access import ADMIN, ROLE, token
from tests.support import Site, on_site

from hookline import App, Context
from hookline.web.access import ROLES

ALL = {
    "run that asks": {"pause", "signals", "fork", "cancel", "callbacks/{key:path}"},
    "run that failed": {"retry", "fork", "DELETE data"},
    "run that is paused": {"resume", "signals", "fork", "cancel", "callbacks/{key:path}"},
    "runs": {"POST /runs/{action}"},
    "delivery": {"POST /deliveries/{id}/replay"},
    "job": {"POST /jobs/{name}/runs", "POST /schedules/{name}/off"},
    "schedules": {"POST /schedules/{name}/off"},
    "sources": set(),
    "tokens": {"POST /tokens", "DELETE /tokens/{id}"},
}
"""What whoever may do everything is offered on each page."""


def make_app() -> App:
    app = App()

    @app.job(schedule="@daily")
    async def asks(ctx: Context, _: Any) -> Any:
        await ctx.step(think)
        return await (await ctx.approval("ship"))

    @app.job()
    async def fails(ctx: Context, _: Any) -> None:
        raise ValueError("no")

    return app


async def think() -> None: ...


class Full:
    """A site with something on every page."""

    def __init__(self, site: Site, places: dict[str, str]) -> None:
        self.site = site
        self.places = places

    async def offered(self, path: str) -> set[str]:
        """What can be asked of the API on a page, told as in its table."""
        page = await self.site.client.get(path)
        assert page.status_code == 200, page.text
        return set(self._lines(page.text))

    def _lines(self, text: str) -> Iterator[str]:
        main = text[text.index("<main") :]
        for act in re.findall(r'data-act="([^"]*)"', main):
            if act != "POST /logout":
                yield self._line(html.unescape(act))
        for action in re.findall(r'data-action="([^"]*)"', main):
            yield self._line(f"POST /api/runs/{action}")
        dialogs = set(re.findall(r'<dialog id="([^"]*)"', text))
        assert set(re.findall(r'data-opens="([^"]*)"', text)) <= dialogs

    def _line(self, act: str) -> str:
        """The line of the table that answers it, as the application finds it."""
        method, _, path = act.partition(" ")
        scope = {"type": "http", "method": method, "path": path.removeprefix("/api"), "headers": []}
        (mount,) = (each for each in self.site.routes if isinstance(each, Mount))
        found = next(each for each in mount.routes if each.matches(scope)[0] is Match.FULL)
        assert isinstance(found, Route)
        return f"{method} {found.path}"


@pytest.fixture
async def full(dsn: str) -> AsyncIterator[Full]:
    async with on_site(make_app(), dsn, tokens=["r00t"]) as site:
        async with site.house.replica():
            runs = {name: await site.house.start(name.partition(" ")[0]) for name in ("asks", "asks too", "fails")}
            await site.house.watch.ended(runs["fails"])
            for name in ("asks", "asks too"):
                waits = "select true from hookline.runs where id = $1 and state = 'waiting'"
                await site.house.watch.value(waits, runs[name])
            await site.client.post(f"/api/runs/{runs['asks too']}/pause", headers=ADMIN)
        delivery = (await site.push("guid-1")).json()["delivery"]
        yield Full(
            site,
            {
                "run that asks": f"/runs/{runs['asks']}", "run that failed": f"/runs/{runs['fails']}",
                "run that is paused": f"/runs/{runs['asks too']}", "runs": "/runs?state=failed",
                "delivery": f"/deliveries/{delivery}", "job": "/jobs/asks", "schedules": "/schedules",
                "sources": "/sources", "tokens": "/tokens",
            },
        )  # fmt: skip


def whole(place: str) -> set[str]:
    """The lines of `ALL`."""
    short = {each if "/" in each and " " in each else _of_run(each) for each in ALL[place]}
    assert short <= set(ROLE)
    return short


def _of_run(short: str) -> str:
    method, _, rest = short.rpartition(" ")
    return f"{method or 'POST'} /runs/{{id}}/{rest}"


async def test_each_role_is_offered_what_it_may_do_and_nothing_else(full: Full) -> None:
    for role in ROLES:
        await full.site.client.post("/login", json={"token": await token(full.site, role)})
        for place, path in full.places.items():
            if place == "tokens" and role != "admin":
                continue
            may = {line for line in whole(place) if ROLES.index(ROLE[line]) <= ROLES.index(role)}
            assert await full.offered(path) == may, (role, place)


async def test_the_header_tells_who_one_is_and_leads_only_where_one_may_go(full: Full) -> None:
    for role in ROLES:
        await full.site.client.post("/login", json={"token": await token(full.site, role)})
        page = (await full.site.client.get("/runs")).text
        assert re.search(rf"<b>a {role}</b><small>{role}</small>", page)
        assert 'data-act="POST /logout"' in page
        assert ('href="/audit"' in page, 'href="/tokens"' in page) == (2 * (role == "admin",))
        for path in ("/audit", "/tokens"):
            answer = await full.site.client.get(path)
            assert answer.status_code == (200 if role == "admin" else 403)
            assert (f"asks for the role admin, and a {role} is {role}" in answer.text) == (role != "admin")
            assert (await full.site.client.get(path, headers={"X-Fragment": "main"})).status_code == answer.status_code


async def test_the_audit_is_a_page_with_everything_in_it_escaped(full: Full) -> None:
    site = full.site
    evil = "<img src=x onerror=alert(1)>"
    made = await site.client.post("/api/tokens", json={"name": evil, "role": "admin"}, headers=ADMIN)
    await site.client.post("/login", json={"token": made.json()["token"]})
    await site.client.post("/api/jobs/<b>/runs", json={}, headers={"Authorization": f"Bearer {made.json()['token']}"})
    for path in ("/audit", "/tokens"):
        page = (await site.client.get(path)).text
        assert evil not in page
        assert html.escape(evil, quote=False) in page
    page = (await site.client.get("/audit")).text
    assert "<code>POST /api/jobs/%3Cb%3E/runs</code>" in page
    assert ">404<" in page
    assert "127.0.0.1" in page
    first = (await site.client.get("/audit?limit=1")).text
    older = re.search(r'href="([^"]*cursor=[^"]*)"', first)
    assert older is not None
    assert "<code>POST /api/tokens</code>" in (await site.client.get(html.unescape(older[1]))).text
