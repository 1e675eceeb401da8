"""Logging in: a browser shows a token once, and has a session from then on."""

from __future__ import annotations

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from hookline import telemetry
from hookline.store.sessions import NewSession
from hookline.web import answers
from hookline.web.access import Keyring
from hookline.web.body import Inlet
from hookline.web.faults import Fault
from hookline.web.peer import Proxies
from hookline.web.problems import Problem
from hookline.web.sessions import Sessions
from hookline.web.throttle import Throttle
from hookline.web.token import digest_of


class LogIn(msgspec.Struct, forbid_unknown_fields=True):
    """The body of `POST /login`."""

    token: str


class Door:
    """The routes of logging in with a token, and of logging out."""

    def __init__(
        self, keyring: Keyring, sessions: Sessions, inlet: Inlet, proxies: Proxies, throttle: Throttle
    ) -> None:
        self._proxies = proxies
        self._keyring = keyring
        self._sessions = sessions
        self._inlet = inlet
        self._throttle = throttle

    async def enter(self, request: Request) -> Response:
        """`POST /login`: 200 with a session cookie; 401 for a token that is not good, 429 after many of these."""
        address = self._proxies.origin(request) or ""
        self._throttle.check(address)
        async with self._inlet.json(request, LogIn) as (_, given):
            token = given.token.strip()
        _, principal = await self._keyring.bearer(token)
        if principal is None:
            self._throttle.note(address)
            telemetry.log.warning("login.refused", address=address)
            raise Problem(Fault.TOKEN_REFUSED, "this token is not good: it is wrong, revoked or has expired")
        response = answers.json(principal)
        await self._sessions.begin(response, NewSession(digest=digest_of(token)))
        return response

    async def leave(self, request: Request) -> Response:
        """`POST /logout`: 200, and the session has ended."""
        response = answers.json({"session": None})
        await self._sessions.end(request, response)
        return response
