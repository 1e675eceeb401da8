"""The routes: every path that the service answers, in one place."""

from __future__ import annotations

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Mount, Route

from hookline.app import App
from hookline.ingress.intake import Intake
from hookline.ingress.register import Register
from hookline.settings import Settings
from hookline.store.database import Database
from hookline.timetable import Timetable
from hookline.web import answers, problems
from hookline.web.access import Keyring
from hookline.web.api.actions import Actions
from hookline.web.api.bulk import Bulk
from hookline.web.api.definitions import Definitions
from hookline.web.api.inbox import Inbox
from hookline.web.api.listings import Listings
from hookline.web.api.runs import Runs
from hookline.web.api.schedules import Schedules
from hookline.web.api.sources import Sources
from hookline.web.api.steering import Steering
from hookline.web.api.tokens import Tokens
from hookline.web.auth import Guard
from hookline.web.body import Gate, Inlet, Limits
from hookline.web.callbacks import Callbacks
from hookline.web.endpoint import Endpoint
from hookline.web.health import Health, Slack
from hookline.web.login import Door
from hookline.web.peer import Proxies
from hookline.web.replies import Replies
from hookline.web.sessions import Sessions
from hookline.web.webhooks import Webhooks


def application(
    app: App,
    settings: Settings,
    database: Database,
    intake: Intake,
    register: Register,
    *,
    schema: str,
    slack: Slack | None,
    local: bool,
) -> Starlette:
    """Everything that one process answers over HTTP.

    Args:
        schema: the revision that the database must be at.
        slack: how the worker's lease stands; `None` in a process without an engine.
        local: whether whoever sits at this machine may use the API without a token, if there is none.
    """
    gate = Gate(settings.max_in_flight, settings.max_in_flight_bytes)
    limits = Limits(settings.max_body, settings.body_timeout)
    webhooks = Webhooks(intake, register, gate, limits, Replies(database), Proxies(settings.trusted_proxies))
    health = Health(database, schema, slack)
    inlet = Inlet(gate, limits)
    runs = Runs(database, intake, inlet)
    actions = Actions(database, intake, app.latest)
    steering = Steering(database, actions, inlet)
    bulk = Bulk(database, actions, inlet)
    callbacks = Callbacks(database, intake, gate, limits)
    inbox = Inbox(database, intake, register, inlet)
    sources = Sources(database, register, inlet, settings.public_url or "")
    listings = Listings(database, app.latest)
    definitions = Definitions(database, app, gate, limits, commands=settings.definitions_commands)
    schedules = Schedules(database, inlet, Timetable(app.latest))
    access = Tokens(database, inlet)
    local = local and not settings.api_tokens
    keyring = Keyring(database, [token.get_secret_value() for token in settings.api_tokens])
    sessions = Sessions(database, secure=(settings.public_url or "").startswith("https:"))
    door = Door(keyring, sessions, inlet)
    endpoints = [
        Endpoint("GET", "/jobs", "viewer", listings.jobs),
        Endpoint("GET", "/jobs/{name}/graph", "viewer", listings.graph),
        Endpoint("POST", "/jobs/{name}/runs", "operator", runs.start),
        Endpoint("GET", "/runs", "viewer", runs.list),
        Endpoint("GET", "/runs/{id}", "viewer", runs.show),
        Endpoint("POST", "/runs/{action}", "operator", bulk.post),
        Endpoint("GET", "/runs/{id}/await", "viewer", steering.await_),
        Endpoint("GET", "/runs/{id}/debug", "viewer", steering.debug),
        Endpoint("DELETE", "/runs/{id}/data", "admin", steering.delete_data),
        Endpoint("POST", "/runs/{id}/retry", "operator", steering.retry),
        Endpoint("POST", "/runs/{id}/fork", "operator", steering.fork),
        Endpoint("POST", "/runs/{id}/signals", "operator", steering.signal),
        Endpoint("POST", "/runs/{id}/callbacks/{key:path}", "operator", steering.complete),
        Endpoint("POST", "/runs/{id}/{action}", "operator", steering.act),
        Endpoint("GET", "/definitions", "viewer", definitions.list),
        Endpoint("GET", "/definitions/{name}", "viewer", definitions.show),
        Endpoint("PUT", "/definitions/{name}", "admin", definitions.put),
        Endpoint("DELETE", "/definitions/{name}", "admin", definitions.delete),
        Endpoint("GET", "/schedules", "viewer", schedules.list),
        Endpoint("POST", "/schedules/{name}/backfill", "operator", schedules.backfill),
        Endpoint("POST", "/schedules/{name}/{how}", "operator", schedules.switch),
        Endpoint("GET", "/sources", "viewer", sources.list),
        Endpoint("POST", "/sources/reseal", "admin", sources.reseal),
        Endpoint("GET", "/sources/{name}", "viewer", sources.show),
        Endpoint("PUT", "/sources/{name}", "admin", sources.put),
        Endpoint("DELETE", "/sources/{name}", "admin", sources.delete),
        Endpoint("POST", "/sources/{name}/rotate", "admin", sources.rotate),
        Endpoint("GET", "/connectors", "viewer", listings.connectors),
        Endpoint("GET", "/workers", "viewer", listings.workers),
        Endpoint("GET", "/deliveries", "viewer", inbox.list),
        Endpoint("GET", "/deliveries/{id}", "viewer", inbox.show),
        Endpoint("POST", "/deliveries/{id}/replay", "operator", inbox.replay),
        Endpoint("GET", "/tokens", "admin", access.list),
        Endpoint("POST", "/tokens", "admin", access.make),
        Endpoint("DELETE", "/tokens/{id}", "admin", access.revoke),
        Endpoint("GET", "/audit", "admin", access.audit),
        Endpoint("GET", "/me", "viewer", access.me),
    ]
    answering = Starlette(
        routes=[
            Route("/webhooks/{source}", webhooks, methods=["POST", "OPTIONS"]),
            Route("/", _index, methods=["GET"]),
            Route("/healthz", health.alive, methods=["GET"]),
            Route("/readyz", health.ready, methods=["GET"]),
            Route("/callbacks/{ticket}", callbacks.show, methods=["GET"]),
            Route("/callbacks/{ticket}", callbacks.complete, methods=["POST"]),
            Route("/callbacks/{ticket}/heartbeat", callbacks.beat, methods=["POST"]),
            Route("/login", door.enter, methods=["POST"]),
            Route("/logout", door.leave, methods=["POST"]),
            Mount(
                "/api",
                routes=[each.route(database) for each in endpoints],
                middleware=[Middleware(Guard, keyring=keyring, sessions=sessions, local=local)],
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
