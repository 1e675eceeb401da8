"""A provider of identities, by OpenID Connect, on a real socket: as strict as one is, and as wrong as a test has it."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
import secrets
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, unquote, urlencode

import jwt
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1
from cryptography.hazmat.primitives.asymmetric.ec import generate_private_key as make_ec
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key as make_rsa
from jwt.algorithms import ECAlgorithm, RSAAlgorithm
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import Route

from hookline.web.server import Server, listen

CLIENT, SECRET = "hookline at work", "s3cret: of/this+client"

ADA: dict[str, Any] = {"sub": "00u1ada", "email": "Ada@Example.org", "email_verified": True, "groups": ["staff", "ops"]}


class Key:
    """A key that a provider signs with."""

    def __init__(self, algorithm: str = "RS256") -> None:
        self.algorithm = algorithm
        self.id = secrets.token_hex(4)
        self.private: Any = make_rsa(65537, 2048) if algorithm[0] in "RP" else make_ec(SECP256R1())
        kind = RSAAlgorithm if algorithm[0] in "RP" else ECAlgorithm
        self.public = kind.to_jwk(self.private.public_key(), as_dict=True) | {"kid": self.id, "use": "sig"}

    def sign(self, claims: dict[str, Any]) -> str:
        return jwt.encode(claims, self.private, self.algorithm, {"kid": self.id})


@dataclass
class Identities:
    """A provider, its one client and the one person who logs in there without being asked.

    Args:
        forge: what becomes of the claims that are signed.
        sign: signs them.
        before: called with each request; what it returns is answered instead.
    """

    issuer: str
    redirect: str = ""
    person: dict[str, Any] = field(default_factory=lambda: dict(ADA))
    thin: bool = False
    secret: str | None = SECRET
    auth: str = "client_secret_basic"
    declines: str | None = None
    keys: list[Key] = field(default_factory=lambda: [Key()])
    described: dict[str, Any] = field(default_factory=dict)
    forge: Callable[[dict[str, Any]], dict[str, Any]] = lambda claims: claims
    sign: Callable[[dict[str, Any]], str] | None = None
    before: Callable[[Request], Response | None] = lambda _: None
    asked: list[str] = field(default_factory=list)
    codes: dict[str, dict[str, str]] = field(default_factory=dict)
    bearers: set[str] = field(default_factory=set)

    def rotate(self, algorithm: str = "RS256") -> None:
        """Sign with a new key, and show no other."""
        self.keys = [Key(algorithm)]

    async def _answer(self, request: Request) -> Response:
        path = request.url.path
        self.asked.append(path)
        instead = self.before(request)
        if instead is not None:
            return instead
        match path:
            case "/.well-known/openid-configuration":
                return JSONResponse(self._description() | self.described)
            case "/keys":
                return JSONResponse({"keys": [each.public for each in self.keys]})
            case "/authorize":
                return self._authorize(request)
            case "/token":
                return await self._token(request)
            case _:
                return self._userinfo(request)

    def _description(self) -> dict[str, Any]:
        return {
            "issuer": self.issuer, "authorization_endpoint": f"{self.issuer}/authorize?tenant=1",
            "token_endpoint": f"{self.issuer}/token", "userinfo_endpoint": f"{self.issuer}/userinfo",
            "jwks_uri": f"{self.issuer}/keys", "response_types_supported": ["code"],
            "token_endpoint_auth_methods_supported": [self.auth], "code_challenge_methods_supported": ["S256"],
        }  # fmt: skip

    def _authorize(self, request: Request) -> Response:
        asked = request.query_params
        if (asked["client_id"], asked["redirect_uri"]) != (CLIENT, self.redirect):
            return JSONResponse({"error": "invalid_request"}, 400)  # nobody is sent anywhere
        assert asked["tenant"] == "1"
        assert asked["response_type"] == "code"
        assert "openid" in asked["scope"].split()
        assert asked["code_challenge_method"] == "S256"
        if self.declines is not None:
            return self._sent_back({"error": self.declines, "state": asked["state"]})
        code = secrets.token_urlsafe()
        self.codes[code] = dict(asked)
        return self._sent_back({"code": code, "state": asked["state"], "iss": self.issuer})

    def _sent_back(self, told: dict[str, str]) -> Response:
        return RedirectResponse(f"{self.redirect}?{urlencode(told)}", 302)

    async def _token(self, request: Request) -> Response:
        form = {name: values[0] for name, values in parse_qs((await request.body()).decode()).items()}
        if not self._is_client(request, form):
            return JSONResponse({"error": "invalid_client"}, 401)
        asked = self.codes.pop(form["code"], None)
        verifier = hashlib.sha256(form["code_verifier"].encode()).digest()
        if (
            asked is None
            or form["grant_type"] != "authorization_code"
            or form["redirect_uri"] != asked["redirect_uri"]
            or base64.urlsafe_b64encode(verifier).rstrip(b"=").decode() != asked["code_challenge"]
        ):
            return JSONResponse({"error": "invalid_grant"}, 400)
        now = int(time.time())
        claims = {"iss": self.issuer, "aud": CLIENT, "iat": now, "exp": now + 300, "nonce": asked["nonce"]}
        claims |= {"sub": self.person["sub"]} if self.thin else self.person
        bearer = secrets.token_urlsafe()
        self.bearers.add(bearer)
        signed = (self.sign or self.keys[0].sign)(self.forge(claims))
        return JSONResponse({"token_type": "Bearer", "access_token": bearer, "id_token": signed})

    def _is_client(self, request: Request, form: dict[str, str]) -> bool:
        if self.secret is None:
            return form.get("client_id") == CLIENT
        if self.auth == "client_secret_post":
            return (form.get("client_id"), form.get("client_secret")) == (CLIENT, self.secret)
        kind, _, given = request.headers.get("authorization", "").partition(" ")
        name, _, secret = base64.b64decode(given).decode().partition(":")
        return (kind, unquote(name), unquote(secret)) == ("Basic", CLIENT, self.secret)

    def _userinfo(self, request: Request) -> Response:
        if request.headers.get("authorization", "").removeprefix("Bearer ") not in self.bearers:
            return JSONResponse({"error": "invalid_token"}, 401)
        return JSONResponse(self.person)


def unsigned(claims: dict[str, Any]) -> str:
    """An ID token that nobody signed."""
    parts = ({"alg": "none", "typ": "JWT"}, claims)
    return ".".join(base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=").decode() for part in parts) + "."


@asynccontextmanager
async def identities() -> AsyncIterator[Identities]:
    """A provider, while the block lasts."""
    listening = listen("127.0.0.1", 0)
    provider = Identities(f"http://127.0.0.1:{listening.getsockname()[1]}")
    routes = [Route("/{path:path}", provider._answer, methods=["GET", "POST"])]
    server = Server(Starlette(routes=routes), listening, drain=1)
    serving = asyncio.create_task(server.run())
    try:
        yield provider
    finally:
        server.stop()
        await serving
