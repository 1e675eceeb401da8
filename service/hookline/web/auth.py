"""Authentication: finds out who a request is from, by its token, its session, or where it comes from."""

from __future__ import annotations

import ipaddress
from urllib.parse import urlencode, urlsplit

from starlette.requests import Request
from starlette.responses import RedirectResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from hookline.errors import Unavailable
from hookline.web import problems
from hookline.web.access import SEES, Credential, Keyring, Principal, Role
from hookline.web.faults import Fault
from hookline.web.problems import Problem
from hookline.web.sessions import COOKIE, Sessions

MARK = "x-hookline"
"""A header that pages of ours send, and which a page of another site can send only if it is let."""

_NAMES = frozenset({"localhost", "127.0.0.1", "::1"})
_FORWARDED = ("forwarded", "x-forwarded-for", "x-real-ip", "via")
"""Headers that say that the request came to this machine through another."""

_SAFE = frozenset({"GET", "HEAD", "OPTIONS"})


class Guard:
    """Lets a request through to `app` once it is known who it is from, under `principal` in its scope.

    Under `credential` is what showed it, `None` for whoever needed none.

    Args:
        local: whether whoever sits at this machine needs no token. The request's host, and its origin if it has one,
            must then be this machine's own names, which keeps out pages that are open in a browser here, and names
            of others that resolve to here.
        payload_role: the least role that may see payloads that rest encrypted.
        login: whether whoever is not known is sent to where one logs in.
    """

    def __init__(
        self,
        app: ASGIApp,
        keyring: Keyring,
        sessions: Sessions,
        *,
        local: bool,
        payload_role: Role,
        login: bool = False,
    ) -> None:
        self._app = app
        self._keyring = keyring
        self._sessions = sessions
        self._local = local
        self._payload_role = payload_role
        self._login = login

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            try:
                principal, scope["credential"] = await self.who(Request(scope))
                scope["principal"], scope[SEES] = principal, principal.may(self._payload_role)
            except Problem as problem:
                if problem.status_code == 401 and self._login:
                    return await _to_login(scope)(scope, receive, send)
                refusal = problems.response(problem.fault, problem.detail, problem.headers)
                return await refusal(scope, receive, send)
            except Unavailable:
                refusal = problems.response(
                    Fault.UNAVAILABLE, "nobody can be looked up right now: try again", {"Retry-After": "5"}
                )
                return await refusal(scope, receive, send)
        return await self._app(scope, receive, send)

    async def who(self, request: Request) -> tuple[Principal, Credential | None]:
        """Who `request` is from, and what shows it; raises `Problem` 401 or 403."""
        given = request.headers.getlist("authorization")
        credential: Credential | None = None
        principal = None
        if given:
            kind, _, token = given[0].partition(" ")
            if len(given) == 1 and kind.lower() == "bearer":
                credential, principal = await self._keyring.bearer(token.strip())
        elif COOKIE in request.cookies and (credential := await self._sessions.of(request)) is not None:
            principal = await self._keyring.holder(credential)
            if principal is not None and request.method not in _SAFE and not _is_ours(request):
                raise Problem(Fault.NOT_FROM_HERE, f"a page of this service sends {MARK}, and its own origin")
        if principal is not None:
            return principal, credential
        if not self._local:
            raise Problem(
                Fault.TOKEN_NEEDED,
                "send `Authorization: Bearer` with an API token",
                headers={"WWW-Authenticate": "Bearer"},
            )
        if not _is_local(request):
            raise Problem(
                Fault.NOT_THIS_MACHINE, "without HOOKLINE_API_TOKENS the API answers only at this machine: set a token"
            )
        return Principal("this machine", "admin"), None


def _to_login(scope: Scope) -> RedirectResponse:
    """To where somebody logs in, who then gets to what was asked for."""
    path, query = scope["raw_path"].decode("latin-1"), scope["query_string"].decode("latin-1")
    return RedirectResponse(f"/login?{urlencode({'next': f'{path}?{query}' if query else path})}", 303)


def _is_ours(request: Request) -> bool:
    """Whether a page of this service sent the request, and not one of another site that the browser has open."""
    host, origin = request.headers.get("host", ""), request.headers.get("origin", "")
    return MARK in request.headers and bool(host) and _netloc(origin) == host


def _netloc(url: str) -> str | None:
    try:
        return urlsplit(url).netloc
    except ValueError:
        return None


def _is_local(request: Request) -> bool:
    client = request.client
    if client is None or not _is_loopback(client.host) or any(name in request.headers for name in _FORWARDED):
        return False
    origin = request.headers.get("origin")
    hosts = [_host(f"//{request.headers.get('host', '')}"), *([_host(origin)] if origin is not None else [])]
    return all(host in _NAMES for host in hosts)


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _host(url: str) -> str | None:
    try:
        return urlsplit(url).hostname
    except ValueError:
        return None
