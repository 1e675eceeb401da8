"""The routes: every path that the service answers, in one place."""

from __future__ import annotations

from typing import Any

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.routing import Mount, Route
from starlette.types import Receive, Scope, Send

from hookline.app import App
from hookline.ingress.intake import Intake
from hookline.ingress.register import Register
from hookline.settings import Settings
from hookline.store.database import Database
from hookline.web import problems
from hookline.web.access import Keyring
from hookline.web.api.table import table
from hookline.web.auth import Guard
from hookline.web.body import Gate, Inlet, Limits
from hookline.web.callbacks import Callbacks
from hookline.web.dashboard import pages
from hookline.web.endpoint import Unanswered
from hookline.web.exchange import PATH
from hookline.web.health import Health, Slack
from hookline.web.login import Door
from hookline.web.oidc.configured import configured
from hookline.web.oidc.entrance import Entrance
from hookline.web.openapi import Document
from hookline.web.pace import ALONE, BESIDE_RUNS, Pace
from hookline.web.peer import Proxies
from hookline.web.replies import Replies
from hookline.web.sessions import Sessions
from hookline.web.standing import Standing
from hookline.web.stream import Feed
from hookline.web.throttle import Throttle
from hookline.web.webhooks import METHODS, Webhooks


class Answering(Starlette):
    """Answers everything: what is asked of sources by `webhooks`, the rest as starlette does.

    Starlette's layers take as long as to verify a delivery, and to find what it starts.
    """

    webhooks: Webhooks

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        path: str = scope.get("path", "")
        if path.startswith(PATH) and path.count("/") == PATH.count("/") and scope["method"] in METHODS:
            await self.webhooks(scope, receive, send)
        else:
            await super().__call__(scope, receive, send)


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
    proxies = Proxies(settings.trusted_proxies)
    webhooks = Webhooks(intake, register, gate, limits, Replies(database), proxies)
    health = Health(database, schema, slack)
    inlet = Inlet(gate, limits)
    callbacks = Callbacks(database, intake, gate, limits)
    oidc = configured(settings)
    local = local and not settings.api_tokens and oidc is None
    fixed = [token.get_secret_value() for token in settings.api_tokens]
    keyring = Keyring(database, fixed, None if oidc is None else oidc.issuer)
    sessions = Sessions(database, life=settings.session_life, secure=(settings.public_url or "").startswith("https:"))
    who: dict[str, Any] = {
        "keyring": keyring,
        "sessions": sessions,
        "local": local,
        "payload_role": settings.payload_role,
    }
    throttle = Throttle()
    door = Door(keyring, sessions, inlet, proxies, throttle)
    entrance = None if oidc is None else Entrance(oidc, database, sessions, proxies, throttle)
    feed = Feed(database, settings.max_streams, Pace(ALONE if slack is None else BESIDE_RUNS))
    endpoints = table(app, settings, database, intake, register, feed, Standing(keyring))
    document = Document(endpoints)
    answered = [each.route(database, inlet, proxies) for each in endpoints]
    answering = Answering(
        routes=[
            Route(f"{PATH}{{source}}", webhooks, methods=METHODS),  # of which there are no others
            Route("/healthz", health.alive, methods=["GET"]),
            Route("/readyz", health.ready, methods=["GET"]),
            Route("/callbacks/{ticket}", callbacks.show, methods=["GET"]),
            Route("/callbacks/{ticket}", callbacks.complete, methods=["POST"]),
            Route("/callbacks/{ticket}/heartbeat", callbacks.beat, methods=["POST"]),
            Route("/openapi.json", document.show, methods=["GET"]),
            Route("/login", door.enter, methods=["POST"]),
            Route("/logout", door.leave, methods=["POST"]),
            *([] if entrance is None else entrance.routes()),
            Mount(
                "/api",
                routes=[*answered, Route("/{rest:path}", Unanswered(answered))],
                middleware=[Middleware(Guard, **who)],
            ),
            *pages.routes(
                app,
                settings,
                database,
                register,
                endpoints,
                Middleware(Guard, **who, login=True),
                provider=None if oidc is None else oidc.name,
            ),
        ],
        exception_handlers=problems.HANDLERS,
    )
    answering.webhooks = webhooks
    answering.state.needs = {each.line: each.role for each in endpoints}  # by which pages know what to show to whom
    answering.state.feed = feed  # whose streams end when the server stops
    answering.router.redirect_slashes = False  # a sender that is redirected gives up, or sends without its body
    return answering
