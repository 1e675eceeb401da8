"""Logging in: a browser shows a token once, and has a session from then on."""

from __future__ import annotations

from collections import deque
from time import monotonic

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from hookline import telemetry
from hookline.web import answers
from hookline.web.access import Keyring, digest_of
from hookline.web.body import Inlet
from hookline.web.faults import Fault
from hookline.web.peer import Proxies
from hookline.web.problems import Problem
from hookline.web.sessions import Sessions

FAILURES, SPAN = 10, 60.0
"""Failed attempts from one address in so many seconds, after which it has to wait."""

ADDRESSES = 10_000


class LogIn(msgspec.Struct, forbid_unknown_fields=True):
    """The body of `POST /login`."""

    token: str


class Door:
    """The routes of logging in and out."""

    def __init__(self, keyring: Keyring, sessions: Sessions, inlet: Inlet, proxies: Proxies) -> None:
        self._proxies = proxies
        self._keyring = keyring
        self._sessions = sessions
        self._inlet = inlet
        self._failed: dict[str, deque[float]] = {}

    async def enter(self, request: Request) -> Response:
        """`POST /login`: 200 with a session cookie; 401 for a token that is not good, 429 after many of these."""
        address = self._proxies.origin(request) or ""
        if wait := self._wait(address):
            raise Problem(Fault.TOO_OFTEN, "too many tokens were wrong: wait", headers={"Retry-After": str(wait)})
        async with self._inlet.json(request, LogIn) as (_, given):
            digest = digest_of(given.token.strip())
        principal = await self._keyring.holder(digest)
        if principal is None:
            self._note(address)
            telemetry.log.warning("login.refused", address=address)
            raise Problem(Fault.TOKEN_REFUSED, "this token is not good: it is wrong, revoked or has expired")
        response = answers.json(principal)
        await self._sessions.begin(response, digest)
        return response

    async def leave(self, _: Request) -> Response:
        """`POST /logout`: 200, and the browser forgets its session."""
        response = answers.json({"session": None})
        self._sessions.end(response)
        return response

    def _wait(self, address: str) -> int:
        """Seconds until somebody at `address` may try again."""
        failed = self._failed.get(address, deque())
        while failed and failed[0] < monotonic() - SPAN:
            failed.popleft()
        return int(failed[0] + SPAN - monotonic()) + 1 if len(failed) >= FAILURES else 0

    def _note(self, address: str) -> None:
        if len(self._failed) >= ADDRESSES:
            self._failed.pop(next(iter(self._failed)))
        self._failed.setdefault(address, deque(maxlen=FAILURES)).append(monotonic())
