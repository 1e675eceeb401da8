"""`/tokens` and `/audit`: who may use the API, and who changed what with it."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from hookline.store import audit, overview, tokens
from hookline.store.database import Database
from hookline.store.search import Found
from hookline.web.access import ROLES
from hookline.web.dashboard import asked
from hookline.web.dashboard.render import as_page, demand, page

LIVES = {"a day": 86_400, "a week": 7 * 86_400, "30 days": 30 * 86_400, "90 days": 90 * 86_400, "a year": 365 * 86_400}
"""How long a new token may last, in seconds."""


class AccessPages:
    """The pages for whoever decides who may do what."""

    def __init__(self, database: Database) -> None:
        self._database = database

    @as_page
    async def tokens(self, request: Request) -> Response:
        """`GET /tokens`."""
        demand(request, "GET /tokens")
        async with self._database.reading() as connection:
            now = await overview.now(connection)
            rows = await tokens.listed(connection)
        return page(request, "tokens.html", now=now, rows=rows[::-1], roles=ROLES, lives=LIVES)

    @as_page
    async def audit(self, request: Request) -> Response:
        """`GET /audit`."""
        demand(request, "GET /audit")
        paging = asked.page(request)
        async with self._database.reading() as connection:
            rows = await audit.listed(connection, before=paging.cursor, limit=paging.limit)
        found = Found(rows, rows[-1]["id"] if len(rows) == paging.limit else None)
        return page(request, "audit.html", found=found)
