"""Access: who may use the API, which is whoever has a token, and in `dev` whoever sits at this machine."""

from __future__ import annotations

import hmac
import ipaddress
from collections.abc import Sequence
from urllib.parse import urlsplit

from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send

from hookline.web import problems

_NAMES = frozenset({"localhost", "127.0.0.1", "::1"})
_FORWARDED = ("forwarded", "x-forwarded-for", "x-real-ip", "via")
"""Headers that say that the request came to this machine through another."""


class Guard:
    """Lets a request through to `app` if it bears one of `tokens`.

    Without any tokens it lets through what comes from this machine and was not made up by a web page: the
    request's host, and its origin if it has one, must be this machine's own names, which keeps out pages that
    are open in a browser here, and names of others that resolve to here.
    """

    def __init__(self, app: ASGIApp, tokens: Sequence[bytes]) -> None:
        self._app = app
        self._tokens = tokens

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            request = Request(scope)
            if self._tokens and not self._has_token(request):
                refusal = problems.response(
                    401, "send `Authorization: Bearer` with an API token", {"WWW-Authenticate": "Bearer"}
                )
                return await refusal(scope, receive, send)
            if not self._tokens and not _is_local(request):
                refusal = problems.response(
                    403, "without HOOKLINE_API_TOKENS the API answers only at this machine: set a token"
                )
                return await refusal(scope, receive, send)
        return await self._app(scope, receive, send)

    def _has_token(self, request: Request) -> bool:
        given = request.headers.getlist("authorization")
        kind, _, token = given[0].partition(" ") if len(given) == 1 else ("", "", "")
        presented = token.strip().encode("latin-1", "replace")
        matches = [hmac.compare_digest(presented, each) for each in self._tokens]
        return kind.lower() == "bearer" and any(matches)


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
