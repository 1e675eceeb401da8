"""The provider: where people are sent to log in, and what it says of whoever comes back, verified.

By OpenID Connect Core 1.0 and Discovery 1.0, with the authorization code and PKCE (RFC 7636).
"""

from __future__ import annotations

import asyncio
import hmac
from collections.abc import Mapping
from time import monotonic
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

import httpx
import jwt
import msgspec
from msgspec import Struct

from hookline.web.faults import Fault
from hookline.web.oidc.configured import Configured, is_loopback, is_private
from hookline.web.oidc.person import Claims
from hookline.web.oidc.wire import Wire
from hookline.web.problems import Problem

KEPT = 3600.0
"""Seconds that the provider's documents are kept."""

AGAIN = 5.0
"""Seconds after a failure to read them for which nobody else tries."""

SKEW = 60
"""Seconds that its clock and ours may differ."""

ALGORITHMS = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA")
"""Those that only the provider can sign with: never `none`, and none whose key the client has, too."""


class Discovery(Struct, frozen=True):
    """The provider's description of itself, as far as it is needed."""

    issuer: str
    authorization_endpoint: str
    token_endpoint: str
    jwks_uri: str
    userinfo_endpoint: str | None = None
    token_endpoint_auth_methods_supported: tuple[str, ...] = ("client_secret_basic",)


class Visit(Struct, frozen=True):
    """What proves that whoever comes back is who was sent.

    Args:
        state: comes back in the address.
        nonce: comes back in what the provider signs.
        verifier: shows the provider that we are who sent them; it was told only a digest of it.
    """

    state: str
    nonce: str
    verifier: str
    challenge: str


class Provider:
    """A provider of identities."""

    def __init__(self, told: Configured) -> None:
        self._told = told
        self._wire = Wire(told.name)
        self._turn = asyncio.Lock()
        self._failed: tuple[float, Problem] | None = None
        self._discovery: tuple[float, Discovery] | None = None
        self._keys: tuple[float, Mapping[str, Any]] | None = None

    async def address(self, visit: Visit) -> str:
        """Where somebody logs in; raises `Problem` 502 or 503."""
        asked = {
            "response_type": "code",
            "client_id": self._told.client,
            "redirect_uri": self._told.callback,
            "scope": self._told.scopes,
            "state": visit.state,
            "nonce": visit.nonce,
            "code_challenge": visit.challenge,
            "code_challenge_method": "S256",
        }
        at = (await self._discover()).authorization_endpoint
        return f"{at}{'&' if urlsplit(at).query else '?'}{urlencode(asked)}"

    async def redeem(self, code: str, visit: Visit) -> Claims:
        """What it says of whoever came back with `code`.

        Raises:
            Problem: 400 the code is not good any more; 502 what it says cannot be believed; 503 it does not answer.
        """
        discovery = await self._discover()
        told = await self._exchange(discovery, code, visit)
        token = told.get("id_token")
        if not isinstance(token, str):
            raise self._wire.wrong("the token endpoint gave no id_token")
        claims = await self._verified(discovery, token, visit)
        bearer = told.get("access_token")
        if discovery.userinfo_endpoint is None or not isinstance(bearer, str):
            return claims
        more = await self._wire.get(discovery.userinfo_endpoint, bearer=bearer)
        if more.get("sub") != claims["sub"]:
            raise self._wire.wrong("the userinfo endpoint told of somebody else")
        return {**more, **claims}

    async def _exchange(self, discovery: Discovery, code: str, visit: Visit) -> Mapping[str, Any]:
        """What the provider gives for `code`."""
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": self._told.callback,
            "code_verifier": visit.verifier,
        }
        auth = None
        if self._told.secret is None:
            form["client_id"] = self._told.client
        elif "client_secret_basic" in discovery.token_endpoint_auth_methods_supported:
            auth = httpx.BasicAuth(quote(self._told.client, safe=""), quote(self._told.secret, safe=""))
        else:
            form |= {"client_id": self._told.client, "client_secret": self._told.secret}
        answer = await self._wire.post(discovery.token_endpoint, form, auth)
        if answer.status == 200:
            return answer.body
        if answer.body.get("error") == "invalid_grant":
            raise Problem(Fault.LOGIN_STALE, "This log-in was used already, or has taken too long. Log in again.")
        raise self._wire.wrong(f"the token endpoint answered {answer.status}: {str(answer.body.get('error'))[:100]!r}")

    async def _verified(self, discovery: Discovery, token: str, visit: Visit) -> Claims:
        """The claims of an ID token; raises `Problem` 502."""
        try:
            header = jwt.get_unverified_header(token)
            if header.get("alg") not in ALGORITHMS:
                raise self._wire.wrong(f"the ID token is signed by {str(header.get('alg'))[:20]!r}, which is not taken")
            claims: Claims = jwt.decode(
                token,
                await self._key(discovery, header),
                algorithms=ALGORITHMS,
                audience=self._told.client,
                issuer=self._told.issuer,
                leeway=SKEW,
                options={"require": ["iss", "sub", "aud", "exp", "iat", "nonce"]},
            )
        except (jwt.PyJWTError, ValueError, TypeError) as error:
            raise self._wire.wrong(f"the ID token is not good: {error}") from None
        if not hmac.compare_digest(str(claims["nonce"]).encode(), visit.nonce.encode()):
            raise self._wire.wrong("the ID token was made for another log-in: its nonce is not ours")
        audience = claims["aud"] if isinstance(claims["aud"], list) else [claims["aud"]]
        if claims.get("azp", self._told.client if len(audience) == 1 else None) != self._told.client:
            raise self._wire.wrong("the ID token was made for another client: its azp is not ours")
        return claims

    async def _key(self, discovery: Discovery, header: Mapping[str, Any]) -> jwt.PyJWK:
        """The key that a token with this header is signed with; the keys are read again if it is none of those known.

        Raises:
            Problem: there is no such key, or the keys cannot be read.
            jwt.PyJWTError: the key does not fit.
        """
        if self._keys is None or monotonic() > self._keys[0] or not _fitting(self._keys[1], header):
            self._keys = monotonic() + KEPT, await self._wire.get(discovery.jwks_uri)
        found = _fitting(self._keys[1], header)
        if len(found) != 1:
            raise self._wire.wrong(f"{len(found)} of the provider's keys may have signed the ID token, not one")
        return jwt.PyJWK(found[0], algorithm=found[0].get("alg") or header["alg"])

    async def _discover(self) -> Discovery:
        """The provider's description of itself, asked for by one at a time; raises `Problem` 502 or 503."""
        async with self._turn:
            if self._failed is not None and monotonic() < self._failed[0]:
                raise self._failed[1]
            if self._discovery is None or monotonic() > self._discovery[0]:
                try:
                    self._discovery = monotonic() + KEPT, await self._described()
                except Problem as problem:
                    self._failed = monotonic() + AGAIN, problem
                    raise
            return self._discovery[1]

    async def _described(self) -> Discovery:
        told = await self._wire.get(f"{self._told.issuer.rstrip('/')}/.well-known/openid-configuration")
        try:
            found = msgspec.convert(told, Discovery)
        except msgspec.ValidationError as error:
            raise self._wire.wrong(f"its description of itself: {error}") from None
        if found.issuer != self._told.issuer:
            raise self._wire.wrong(f"it calls itself {found.issuer[:200]!r}: set HOOKLINE_OIDC_ISSUER to that")
        stays = is_loopback(urlsplit(self._told.issuer).hostname or "")
        for url in (found.authorization_endpoint, found.token_endpoint, found.jwks_uri, found.userinfo_endpoint):
            at = "" if url is None else url.partition("?")[0]
            if url is not None and not (is_private(at) and (stays or at.startswith("https:"))):
                raise self._wire.wrong(f"it names {url[:200]!r}, which is not https")
        return found


def _fitting(keys: Mapping[str, Any], header: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The keys that may have signed what has this header."""
    told = keys.get("keys")
    kind = {"R": "RSA", "P": "RSA", "E": "EC"}.get(header["alg"][0]) if header["alg"] != "EdDSA" else "OKP"
    return [
        key
        for key in (told if isinstance(told, list) else [])
        if isinstance(key, dict)
        and key.get("kty") == kind
        and key.get("use", "sig") == "sig"
        and key.get("alg", header["alg"]) == header["alg"]
        and ("kid" not in header or key.get("kid") == header["kid"])
    ]
