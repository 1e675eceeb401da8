"""The routes: every path that the service answers, in one place."""

from __future__ import annotations

from collections.abc import Mapping

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Mount, Route

from hookline.app import App
from hookline.ingress.intake import Intake
from hookline.ingress.sources import Source
from hookline.settings import Settings
from hookline.store.database import Database
from hookline.timetable import Timetable
from hookline.web import answers, problems
from hookline.web.api.actions import Actions
from hookline.web.api.bulk import Bulk
from hookline.web.api.definitions import Definitions
from hookline.web.api.inbox import Inbox
from hookline.web.api.listings import Listings
from hookline.web.api.runs import Runs
from hookline.web.api.schedules import Schedules
from hookline.web.api.steering import Steering
from hookline.web.auth import Guard
from hookline.web.body import Gate, Inlet, Limits
from hookline.web.callbacks import Callbacks
from hookline.web.health import Health, Slack
from hookline.web.replies import Replies
from hookline.web.webhooks import Webhooks


def application(
    app: App,
    settings: Settings,
    database: Database,
    intake: Intake,
    sources: Mapping[str, Source],
    *,
    schema: str,
    slack: Slack | None,
) -> Starlette:
    """Everything that one process answers over HTTP.

    Args:
        schema: the revision that the database must be at.
        slack: how the worker's lease stands; `None` in a process without an engine.
    """
    gate = Gate(settings.max_in_flight, settings.max_in_flight_bytes)
    limits = Limits(settings.max_body, settings.body_timeout)
    webhooks = Webhooks(intake, sources, gate, limits, Replies(database))
    health = Health(database, schema, slack)
    inlet = Inlet(gate, limits)
    runs = Runs(database, intake, inlet)
    actions = Actions(database, intake, app.latest)
    steering = Steering(database, actions, inlet)
    bulk = Bulk(database, actions, inlet)
    callbacks = Callbacks(database, intake, gate, limits)
    inbox = Inbox(database, intake, sources, inlet)
    listings = Listings(database, app.latest)
    definitions = Definitions(database, app, gate, limits, commands=settings.definitions_commands)
    schedules = Schedules(database, inlet, Timetable(app.latest))
    tokens = [token.get_secret_value().encode() for token in settings.api_tokens]
    answering = Starlette(
        routes=[
            Route("/webhooks/{source}", webhooks, methods=["POST", "OPTIONS"]),
            Route("/", _index, methods=["GET"]),
            Route("/healthz", health.alive, methods=["GET"]),
            Route("/readyz", health.ready, methods=["GET"]),
            Route("/callbacks/{ticket}", callbacks.show, methods=["GET"]),
            Route("/callbacks/{ticket}", callbacks.complete, methods=["POST"]),
            Route("/callbacks/{ticket}/heartbeat", callbacks.beat, methods=["POST"]),
            Mount(
                "/api",
                routes=[
                    Route("/jobs", listings.jobs, methods=["GET"]),
                    Route("/jobs/{name}/graph", listings.graph, methods=["GET"]),
                    Route("/jobs/{name}/runs", runs.start, methods=["POST"]),
                    Route("/runs", runs.list, methods=["GET"]),
                    Route("/runs/{id}", runs.show, methods=["GET"]),
                    Route("/runs/{action}", bulk.post, methods=["POST"]),
                    Route("/runs/{id}/await", steering.await_, methods=["GET"]),
                    Route("/runs/{id}/debug", steering.debug, methods=["GET"]),
                    Route("/runs/{id}/data", steering.delete_data, methods=["DELETE"]),
                    Route("/runs/{id}/retry", steering.retry, methods=["POST"]),
                    Route("/runs/{id}/fork", steering.fork, methods=["POST"]),
                    Route("/runs/{id}/signals", steering.signal, methods=["POST"]),
                    Route("/runs/{id}/callbacks/{key:path}", steering.complete, methods=["POST"]),
                    Route("/runs/{id}/{action}", steering.act, methods=["POST"]),
                    Route("/definitions", definitions.list, methods=["GET"]),
                    Route("/definitions/{name}", definitions.show, methods=["GET"]),
                    Route("/definitions/{name}", definitions.put, methods=["PUT"]),
                    Route("/definitions/{name}", definitions.delete, methods=["DELETE"]),
                    Route("/schedules", schedules.list, methods=["GET"]),
                    Route("/schedules/{name}/backfill", schedules.backfill, methods=["POST"]),
                    Route("/schedules/{name}/{how}", schedules.switch, methods=["POST"]),
                    Route("/connectors", listings.connectors, methods=["GET"]),
                    Route("/workers", listings.workers, methods=["GET"]),
                    Route("/deliveries", inbox.list, methods=["GET"]),
                    Route("/deliveries/{id}", inbox.show, methods=["GET"]),
                    Route("/deliveries/{id}/replay", inbox.replay, methods=["POST"]),
                ],
                middleware=[Middleware(Guard, tokens=tokens)],
            ),
        ],
        exception_handlers=problems.HANDLERS,
    )
    answering.router.redirect_slashes = False  # a sender that is redirected gives up, or sends without its body
    return answering


async def _index(_: Request) -> Response:
    return answers.json(
        {"service": "hookline", "health": "/readyz", "webhooks": "/webhooks/{source}", "api": "/api/runs"}
    )
