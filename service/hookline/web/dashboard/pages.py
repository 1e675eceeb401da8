"""The pages: every path of the dashboard, and the scripts and styles that they use."""

from __future__ import annotations

from collections.abc import Sequence

from starlette.middleware import Middleware
from starlette.routing import Route

from hookline.app import App
from hookline.ingress.register import Register
from hookline.settings import Settings
from hookline.store.database import Database
from hookline.web.dashboard import assets
from hookline.web.dashboard.access import AccessPages
from hookline.web.dashboard.deliveries import DeliveryPages
from hookline.web.dashboard.jobs import JobPages
from hookline.web.dashboard.listings import ListingPages
from hookline.web.dashboard.overview import Overview
from hookline.web.dashboard.reference import ApiPage, ProblemPages
from hookline.web.dashboard.runs import RunPages
from hookline.web.dashboard.welcome import Welcome
from hookline.web.endpoint import Endpoint


def routes(
    app: App,
    settings: Settings,
    database: Database,
    register: Register,
    endpoints: Sequence[Endpoint],
    guard: Middleware,
    *,
    provider: str | None,
) -> list[Route]:
    """The routes of the dashboard: pages for those whom `guard` lets in, and what all look like for anybody.

    Args:
        provider: the name of the one at which people can log in.
    """
    url = settings.home
    overview = Overview(database, register)
    runs = RunPages(app, database, register)
    deliveries = DeliveryPages(database, register, url)
    jobs = JobPages(app, database)
    listings = ListingPages(app, database, register, url)
    access = AccessPages(database)
    problems = ProblemPages()
    shown = {
        "/": overview.show,
        "/find": runs.find,
        "/runs": runs.list,
        "/runs/{id}": runs.show,
        "/deliveries": deliveries.list,
        "/deliveries/compare": deliveries.compare,
        "/deliveries/{id}": deliveries.show,
        "/jobs": jobs.list,
        "/jobs/{name}": jobs.show,
        "/schedules": listings.schedules,
        "/definitions": listings.definitions,
        "/definitions/{name}": listings.definition,
        "/sources": listings.sources,
        "/workers": listings.workers,
        "/tokens": access.tokens,
        "/audit": access.audit,
        "/docs": ApiPage(endpoints).show,
    }
    return [
        Route("/login", Welcome(provider).show, methods=["GET"]),
        Route("/problems", problems.list, methods=["GET"]),
        Route("/problems/{name}", problems.show, methods=["GET"]),
        Route("/static/{digest}/{name}", assets.serve, methods=["GET"]),
        *(Route(path, page, methods=["GET"], middleware=[guard]) for path, page in shown.items()),
    ]
