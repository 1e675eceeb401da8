"""The entrance: a browser goes to the provider, comes back, and has a session from then on."""

from __future__ import annotations

import base64
import hashlib
import hmac
import os
import re
from typing import NoReturn
from urllib.parse import urlsplit

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from hookline import telemetry
from hookline.codec import uuid7
from hookline.errors import Unavailable
from hookline.store import audit, keys
from hookline.store.audit import Entry
from hookline.store.database import Database
from hookline.store.sessions import NewSession
from hookline.web.access import Principal
from hookline.web.cookies import Cookie
from hookline.web.dashboard.welcome import next_of, refusal
from hookline.web.faults import Fault
from hookline.web.oidc.configured import CALLBACK, Configured
from hookline.web.oidc.person import Claims, name_of, principal
from hookline.web.oidc.provider import Provider, Visit
from hookline.web.peer import Proxies
from hookline.web.problems import Problem
from hookline.web.sessions import Sessions
from hookline.web.throttle import Throttle

COOKIE = "hookline_login"

LIFE = 600
"""Seconds that somebody has to log in at the provider."""

_SEED = 32

LONGEST_CODE = 2048


class Entrance:
    """The routes of logging in at a provider."""

    def __init__(
        self, told: Configured, database: Database, sessions: Sessions, proxies: Proxies, throttle: Throttle
    ) -> None:
        self._told = told
        self._provider = Provider(told)
        self._database = database
        self._sessions = sessions
        self._proxies = proxies
        self._throttle = throttle
        secure = urlsplit(told.callback).scheme == "https"
        self._cookie = Cookie(database, COOKIE, key=keys.LOGINS, path="/login/oidc", life=LIFE, secure=secure)

    def routes(self) -> list[Route]:
        """Where browsers go from here, and come back to."""
        return [
            Route("/login/oidc", self.begin, methods=["GET"]),
            Route(CALLBACK, self.back, methods=["GET"]),
        ]

    async def begin(self, request: Request) -> Response:
        """`GET /login/oidc?next=`: to the provider, and later on to the page that was asked for."""
        seed, next_ = os.urandom(_SEED), next_of(request.query_params.get("next"))
        try:
            response = RedirectResponse(await self._provider.address(_visit(seed)), 303, {"Cache-Control": "no-store"})
            await self._cookie.give(response, seed + next_.encode())
        except Problem as problem:
            return refusal(request, problem.status_code, str(problem.detail), next_)
        except Unavailable:
            return refusal(request, 503, "Postgres does not answer: nobody can log in right now.", next_)
        return response

    async def back(self, request: Request) -> Response:
        """`GET /login/oidc/callback`: from the provider, with a session, or with the reason why there is none."""
        address = self._proxies.origin(request) or ""
        next_ = "/"
        try:
            self._throttle.check(address)
            try:
                seed, next_ = await self._sent(request)
                claims = await self._provider.redeem(self._code(request), _visit(seed))
                who = await self._told_of(request, claims)
            except Problem as problem:
                if problem.status_code < 500:
                    self._throttle.note(address)
                raise
            response: Response = RedirectResponse(next_, 303, {"Cache-Control": "no-store"})
            await self._sessions.begin(response, NewSession(issuer=self._told.issuer, name=who.name, role=who.role))
        except Problem as problem:
            response = refusal(request, problem.status_code, str(problem.detail), next_)
        except Unavailable:
            response = refusal(request, 503, "Postgres does not answer: nobody can log in right now.", next_)
        self._cookie.take(response)
        return response

    async def _sent(self, request: Request) -> tuple[bytes, str]:
        """The seed with which this browser was sent, and where it wants to; raises `Problem` 400."""
        kept = await self._cookie.read(request)
        if kept is None:
            raise Problem(
                Fault.LOGIN_STALE, "This log-in was not begun in this browser, or has taken too long. Log in again."
            )
        seed = kept[:_SEED]
        given = request.query_params.getlist("state")
        if len(given) != 1 or not hmac.compare_digest(given[0].encode(), _visit(seed).state.encode()):
            raise Problem(
                Fault.LOGIN_STALE, "This is not the log-in that was begun last in this browser. Log in again."
            )
        return seed, next_of(kept[_SEED:].decode())

    def _code(self, request: Request) -> str:
        """The code that the provider gave; raises `Problem` if it gave none."""
        query = request.query_params
        if query.get("iss", self._told.issuer) != self._told.issuer:
            raise Problem(Fault.LOGIN_STALE, f"This answer is not from {self._told.name}. Log in again.")
        if "error" in query:
            self._declined(query["error"])
        codes = query.getlist("code")
        if len(codes) != 1 or not 0 < len(codes[0]) <= LONGEST_CODE:
            raise Problem(Fault.LOGIN_STALE, f"{self._told.name} sent no code. Log in again.")
        return codes[0]

    def _declined(self, error: str) -> NoReturn:
        """Raise `Problem` for what the provider calls `error`."""
        if error == "access_denied":
            raise Problem(Fault.LOGIN_REFUSED, f"{self._told.name} did not let you in, or you did not agree there.")
        if error in ("server_error", "temporarily_unavailable"):
            raise Problem(
                Fault.PROVIDER_AWAY, f"{self._told.name} cannot log anybody in right now. Try again in a moment."
            )
        shown = error if re.fullmatch(r"[a-z_]{1,50}", error) else "an error"
        telemetry.log.error("oidc.declined", provider=self._told.name, error=shown)
        raise Problem(Fault.PROVIDER_WRONG, f"{self._told.name} refused to log you in: {shown}.")

    async def _told_of(self, request: Request, claims: Claims) -> Principal:
        """Who that is here, once the audit knows of it; raises `Problem` 403 for whom no rule lets in."""
        who = principal(claims, self._told.rules)
        name, address = name_of(claims), self._proxies.origin(request)
        entry = Entry(uuid7(), name, "none" if who is None else who.role, address, "GET", CALLBACK)
        async with self._database.session() as connection:
            await audit.begin(connection, entry)
            await audit.end(connection, entry.id, 403 if who is None else 303)
        if who is None:
            telemetry.log.warning("oidc.refused", provider=self._told.name, who=name, address=address)
            raise Problem(
                Fault.LOGIN_REFUSED,
                f"{self._told.name} says that you are {name}, and here nobody has given you a role. "
                "Ask whoever runs this service for one.",
            )
        return who


def _visit(seed: bytes) -> Visit:
    """What proves that whoever comes back was sent with `seed`, which only their browser has."""
    state, nonce, verifier = (
        _base64(hmac.digest(seed, of, hashlib.sha256)) for of in (b"state", b"nonce", b"verifier")
    )
    return Visit(state, nonce, verifier, _base64(hashlib.sha256(verifier.encode()).digest()))


def _base64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode("ascii")
