"""`/schedules`, `/definitions`, `/sources` and `/workers`: what else there is to look at."""

from __future__ import annotations

from datetime import timedelta

from starlette.requests import Request
from starlette.responses import Response

from hookline.app import App
from hookline.ingress.register import Register
from hookline.ingress.schemes import Unsigned
from hookline.store import connectors, definitions, overview, schedules, workers
from hookline.store.database import Database
from hookline.timetable import Timetable
from hookline.web.dashboard import asked, pretty
from hookline.web.dashboard.jobs import parameters_name, upcoming
from hookline.web.dashboard.render import as_page, page
from hookline.web.faults import Fault
from hookline.web.problems import Problem


class ListingPages:
    """The pages of what there is only a list of.

    Args:
        url: where senders reach the service.
    """

    def __init__(self, app: App, database: Database, register: Register, url: str) -> None:
        self._app = app
        self._database = database
        self._register = register
        self._url = url

    @as_page
    async def schedules(self, request: Request) -> Response:
        """`GET /schedules`."""
        async with self._database.reading() as connection:
            now = await overview.now(connection)
            rows = await schedules.listed(connection)
        return page(request, "schedules.html", now=now, schedules=upcoming(Timetable(self._app.latest), rows))

    @as_page
    async def definitions(self, request: Request) -> Response:
        """`GET /definitions`."""
        async with self._database.reading() as connection:
            rows = await definitions.listed(connection)
        return page(request, "definitions.html", rows=rows)

    @as_page
    async def definition(self, request: Request) -> Response:
        """`GET /definitions/{name}?version=`."""
        name, version = parameters_name(request), asked.text(request, "version")
        if version is not None and not (version.isdecimal() and len(version) < 10):
            raise Problem(Fault.INVALID_PARAMETER, "a version is a number")
        async with self._database.reading() as connection:
            row = await definitions.find(connection, name, None if version is None else int(version))
        if row is None or row["source"] is None:
            raise Problem(Fault.UNKNOWN_DEFINITION, f"there is no definition {name[:50]!r} of that version")
        source = pretty.shown(row["source"], most=1_048_576)
        return page(request, "definition.html", row=row, source=source)

    @as_page
    async def sources(self, request: Request) -> Response:
        """`GET /sources`."""
        known = await self._register.known()
        async with self._database.reading() as connection:
            now = await overview.now(connection)
            rows = await overview.sources(connection, sorted(known), now - timedelta(days=1))
            streams = await connectors.listed(connection)
        return page(
            request,
            "sources.html",
            now=now,
            rows=rows,
            few=overview.FEW,
            sources=known,
            unsigned={name for name, each in known.items() if isinstance(each.scheme, Unsigned)},
            streams=[(each, pretty.shown(each["cursor"], most=2000)) for each in streams],
            url=self._url,
        )

    @as_page
    async def workers(self, request: Request) -> Response:
        """`GET /workers`."""
        async with self._database.reading() as connection:
            now = await overview.now(connection)
            rows = await workers.listed(connection)
        return page(request, "workers.html", now=now, workers=rows)
