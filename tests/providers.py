"""Stand-ins for the providers' APIs, on real sockets: what they list, send again, hand over, and how they refuse."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlencode

import jwt
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from hookline.web.server import Server, listen

HOOK = "repos/octo/site/hooks/123"
TOKEN = "ghp_s3cretOfThisTest"
KEY = "rk_test_s3cretOfThisTest"
APP = "Iv23liExample"

Send = Callable[[str, str, bytes], Awaitable[object]]
"""Sends a webhook to the service: its guid, event and body."""


def ago(**span: float) -> datetime:
    return datetime.now(UTC) - timedelta(**span)


@dataclass
class Attempt:
    """What GitHub keeps of one try to deliver a webhook."""

    id: int
    guid: str
    at: datetime
    event: str
    body: bytes
    redelivery: bool = False
    ok: bool = False

    def told(self) -> dict[str, Any]:
        at = self.at.isoformat(timespec="milliseconds").replace("+00:00", "Z")
        return {
            "id": self.id, "guid": self.guid, "delivered_at": at,
            "redelivery": self.redelivery, "duration": 0.27, "status": "OK" if self.ok else "failed to connect to host",
            "status_code": 202 if self.ok else 502, "event": self.event, "action": None, "installation_id": None,
            "repository_id": 17, "throttled_at": None,
        }  # fmt: skip


@dataclass
class Installation:
    """Where an App is installed, and what it may do there."""

    id: int
    permissions: dict[str, str]


class GitHub:
    """A stand-in for GitHub's API about webhooks.

    Attributes:
        attempts: by hook, every try to deliver something, the oldest first.
        answers: what the next requests are answered instead.
        asked: the guids that somebody asked for, in that order.
        seen: method, path and token of each request.
        tokens: what each token may do, `read` or `write`, and until when.
        remaining: requests that are left until `reset`; `violations` counts those that came all the same.
    """

    def __init__(self) -> None:
        self.url = ""
        self.send: Send | None = None
        self.attempts: dict[str, list[Attempt]] = {HOOK: []}
        self.answers: list[Response] = []
        self.asked: list[str] = []
        self.seen: list[tuple[str, str, str]] = []
        self.tokens: dict[str, tuple[str, float]] = {TOKEN: ("write", time.time() + 3600)}
        self.key: RSAPrivateKey = generate_private_key(65537, 2048)
        self.installations: dict[str, Installation] = {}
        self.remaining, self.reset, self.violations = 5000, 0, 0
        self._ids = 41_000_000_000
        self._sending: set[asyncio.Task[object]] = set()

    @property
    def pem(self) -> bytes:
        return self.key.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption())

    def happened(
        self, guid: str, body: bytes, at: datetime, *, hook: str = HOOK, event: str = "push", redelivery: bool = False
    ) -> Attempt:
        """A webhook that GitHub tried to deliver."""
        self._ids += 1
        made = Attempt(self._ids, guid, at, event, body, redelivery)
        self.attempts[hook].append(made)
        self.attempts[hook].sort(key=lambda each: each.at)
        return made

    def age(self, span: timedelta) -> None:
        """Let what GitHub has done be so much longer ago."""
        for attempt in self.attempts[HOOK]:
            attempt.at -= span

    def routes(self) -> list[Route]:
        told: list[tuple[str, str, Any]] = [
            ("GET", "/repos/{owner}/{name}/installation", self.installation),
            ("GET", "/orgs/{owner}/installation", self.installation),
            ("POST", "/app/installations/{id:int}/access_tokens", self.access_token),
        ]
        for hook in ("repos/{owner}/{name}/hooks/{hook:int}", "orgs/{owner}/hooks/{hook:int}", "app/hook"):
            told.append(("GET", f"/{hook}/deliveries", self.list))
            told.append(("POST", f"/{hook}/deliveries/{{delivery:int}}/attempts", self.redeliver))
        return [Route(path, self._guarded(answer), methods=[method]) for method, path, answer in told]

    def _guarded(self, answer: Callable[[Request], Awaitable[Response]]) -> Callable[[Request], Awaitable[Response]]:
        async def guarded(request: Request) -> Response:
            token = request.headers.get("authorization", "").removeprefix("Bearer ")
            self.seen.append((request.method, request.url.path, token))
            assert request.headers["x-github-api-version"] == "2022-11-28"
            if self.answers:
                return self.answers.pop(0)
            if self.remaining == 0 and time.time() >= self.reset:
                self.remaining = 5000
            self.violations += self.remaining == 0
            told = problem(403, "API rate limit exceeded") if self.remaining == 0 else await answer(request)
            self.remaining = max(self.remaining - 1, 0)
            if self.remaining == 0 and time.time() >= self.reset:
                self.reset = int(time.time()) + 2
            told.headers["x-ratelimit-limit"] = "5000"
            told.headers["x-ratelimit-remaining"] = str(self.remaining)
            told.headers["x-ratelimit-reset"] = str(self.reset)
            return told

        return guarded

    def _refused(self, request: Request, hook: str, need: str) -> Response | None:
        token = request.headers["authorization"].removeprefix("Bearer ")
        if hook == "app":
            return None if self._is_app(token) else problem(401, "A JSON web token could not be decoded")
        may, until = self.tokens.get(token, ("", 0.0))
        if time.time() >= until:
            return problem(401, "Bad credentials")
        if hook not in self.attempts:
            return problem(404, "Not Found")
        if need == "write" and may == "read":
            return problem(403, "Resource not accessible by personal access token")
        return None

    def _is_app(self, token: str) -> bool:
        try:
            claims = jwt.decode(
                token, self.key.public_key(), algorithms=["RS256"], issuer=APP,
                options={"require": ["iat", "exp", "iss"]},
            )  # fmt: skip
        except jwt.PyJWTError:
            return False
        return bool(claims["exp"] <= time.time() + 600 and claims["iat"] <= time.time() - 30)

    async def list(self, request: Request) -> Response:
        hook = hook_of(request)
        if refused := self._refused(request, hook, "read"):
            return refused
        size = min(int(request.query_params.get("per_page", "30")), 100)
        cursor = request.query_params.get("cursor")
        newest = self.attempts[hook][::-1]
        first = 0 if cursor is None else next(n for n, each in enumerate(newest) if f"v1_{each.id}" == cursor)
        page = newest[first : first + size]
        answer = JSONResponse([each.told() for each in page])
        if first + size < len(newest):
            query = urlencode({"per_page": size, "cursor": f"v1_{newest[first + size].id}"})
            answer.headers["link"] = f'<{self.url}{request.url.path}?{query}>; rel="next"'
        return answer

    async def redeliver(self, request: Request) -> Response:
        hook = hook_of(request)
        if refused := self._refused(request, hook, "write"):
            return refused
        found = [each for each in self.attempts[hook] if each.id == request.path_params["delivery"]]
        if not found or found[0].at < ago(days=3):
            return problem(422, "Delivery is too old") if found else problem(404, "Not Found")
        self.asked.append(found[0].guid)
        again = self.happened(found[0].guid, found[0].body, ago(), hook=hook, event=found[0].event, redelivery=True)
        task = asyncio.create_task(self._sent(again))
        self._sending.add(task)
        task.add_done_callback(self._sending.discard)
        return JSONResponse({}, 202)

    async def _sent(self, attempt: Attempt) -> None:
        if self.send is not None:
            await self.send(attempt.guid, attempt.event, attempt.body)
            attempt.ok = True

    async def installation(self, request: Request) -> Response:
        if not self._is_app(request.headers["authorization"].removeprefix("Bearer ")):
            return problem(401, "A JSON web token could not be decoded")
        found = self.installations.get(request.path_params["owner"])
        return JSONResponse({"id": found.id}) if found else problem(404, "Not Found")

    async def access_token(self, request: Request) -> Response:
        if not self._is_app(request.headers["authorization"].removeprefix("Bearer ")):
            return problem(401, "A JSON web token could not be decoded")
        (found,) = (each for each in self.installations.values() if each.id == request.path_params["id"])
        wanted = await request.json()
        if any(found.permissions.get(name) != may for name, may in wanted["permissions"].items()):
            return problem(422, "The permissions requested are not granted to this installation.")
        token, until = f"ghs_s3cret{len(self.tokens)}", time.time() + 3600
        self.tokens[token] = ("write", until)
        told = {"token": token, "expires_at": datetime.fromtimestamp(until, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")}
        return JSONResponse(told | {"permissions": wanted["permissions"]}, 201)


def hook_of(request: Request) -> str:
    return "app" if request.url.path.startswith("/app/hook") else request.url.path[1:].partition("/deliveries")[0]


def problem(status: int, message: str, **headers: str) -> Response:
    told = {"message": message, "documentation_url": "https://docs.github.com/rest", "status": str(status)}
    return JSONResponse(told, status, {name.replace("_", "-"): value for name, value in headers.items()})


@dataclass
class Stripe:
    """A stand-in for Stripe's API about events.

    Attributes:
        events: every one, the oldest first, as its API tells it.
        endpoint: the webhook endpoint.
        seen: path and query of each request.
        answers: what the next requests are answered instead.
        showing: called before an event is handed over.
    """

    url: str = ""
    showing: Callable[[], Awaitable[None]] | None = None
    events: list[dict[str, Any]] = field(default_factory=list)
    seen: list[tuple[str, dict[str, list[str]]]] = field(default_factory=list)
    answers: list[Response] = field(default_factory=list)
    endpoint: dict[str, Any] = field(
        default_factory=lambda: {
            "id": "we_1", "object": "webhook_endpoint", "api_version": None, "created": int(ago(days=30).timestamp()),
            "enabled_events": ["invoice.paid", "customer.created"], "livemode": False, "status": "enabled",
        }
    )  # fmt: skip

    def happened(self, id_: str, type_: str, at: datetime, **told: Any) -> dict[str, Any]:
        made = {
            "id": id_, "object": "event", "api_version": "2025-01-27", "created": int(at.timestamp()),
            "livemode": False, "pending_webhooks": 1, "type": type_,
            "data": {"object": {"id": f"in_{id_}", "object": "invoice"} | told},
        }  # fmt: skip
        self.events.append(made)
        self.events.sort(key=lambda each: each["created"])
        return made

    def webhook(self, event: dict[str, Any]) -> bytes:
        """The body that Stripe sends: the same event, and other bytes."""
        return json.dumps(event | {"pending_webhooks": 2}, indent=2).encode()

    def routes(self) -> list[Route]:
        return [
            Route("/v1/webhook_endpoints/{id}", self.show_endpoint),
            Route("/v1/events", self.list),
            Route("/v1/events/{id}", self.show),
        ]

    def _refused(self, request: Request) -> Response | None:
        query = {name: request.query_params.getlist(name) for name in request.query_params}
        self.seen.append((request.url.path, query))
        if self.answers:
            return self.answers.pop(0)
        if request.headers.get("authorization") != f"Bearer {KEY}":
            return wrong(401, f"Invalid API Key provided: {request.headers.get('authorization')}")
        return None

    async def show_endpoint(self, request: Request) -> Response:
        if refused := self._refused(request):
            return refused
        found = request.path_params["id"] == self.endpoint["id"]
        return JSONResponse(self.endpoint) if found else wrong(404, "No such webhook endpoint")

    async def show(self, request: Request) -> Response:
        if refused := self._refused(request):
            return refused
        if self.showing is not None:
            await self.showing()
        found = [each for each in self.events if each["id"] == request.path_params["id"]]
        return JSONResponse(found[0]) if found else wrong(404, f"No such event: '{request.path_params['id']}'")

    async def list(self, request: Request) -> Response:
        if refused := self._refused(request):
            return refused
        query = request.query_params
        fitting = [each for each in self.events[::-1] if each["created"] >= int(query.get("created[gte]", "0"))]
        if types := query.getlist("types[]"):
            assert len(types) <= 20
            fitting = [each for each in fitting if each["type"] in types]
        after = query.get("starting_after")
        first = 0 if after is None else 1 + next(n for n, each in enumerate(fitting) if each["id"] == after)
        page = fitting[first : first + int(query.get("limit", "10"))]
        more = first + len(page) < len(fitting)
        return JSONResponse({"object": "list", "url": "/v1/events", "data": page, "has_more": more})


def wrong(status: int, message: str) -> Response:
    return JSONResponse({"error": {"message": message, "type": "invalid_request_error"}}, status)


@asynccontextmanager
async def served(*stand_ins: GitHub | Stripe) -> AsyncIterator[None]:
    """Within the block each answers at its `url`."""
    servers = []
    for each in stand_ins:
        listening = listen("127.0.0.1", 0)
        each.url = f"http://127.0.0.1:{listening.getsockname()[1]}"
        server = Server(Starlette(routes=each.routes()), listening, drain=0)
        servers.append((server, asyncio.create_task(server.run())))
    try:
        yield
    finally:
        for server, _ in servers:
            server.stop()
        await asyncio.gather(*(serving for _, serving in servers))
