"""Credentials: a token as it is, or those that a GitHub App makes of its key.

Source: https://docs.github.com/en/apps/creating-github-apps/authenticating-with-a-github-app
"""

from __future__ import annotations

import time
from datetime import datetime
from pathlib import Path
from typing import Protocol

import jwt
import msgspec
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from hookline.errors import ConfigurationError
from hookline.ingress.reconcilers.api import Api

SKEW, LIFETIME = 60, 540
"""Seconds that GitHub's clock may be behind ours, and that a JWT holds; together the ten minutes that it may."""

EARLY = 300.0
"""Seconds before it expires from which a token is not used any more."""

PERMISSIONS = {"repos": "repository_hooks", "orgs": "organization_hooks"}


class Credentials(Protocol):
    """What proves to a provider who asks."""

    async def token_for(self, of: str, api: Api) -> str:
        """The token with which `api` is asked for a list; raises what `Api.ask` does."""

    def forget(self, of: str) -> bool:
        """Drop the token for a list, which was refused; returns whether another is worth a try."""


class Token:
    """A token as it is."""

    def __init__(self, token: str) -> None:
        self._token = token

    async def token_for(self, of: str, api: Api) -> str:  # noqa: ARG002 - there is but one
        """The token."""
        return self._token

    def forget(self, of: str) -> bool:  # noqa: ARG002 - there is but one
        """There is no other."""
        return False


class GitHubApp:
    """What a GitHub App makes of its key: for its own webhook a JWT, for others the token of an installation.

    Args:
        id_: the App's id, or its client id.
        key: the private key.
    """

    def __init__(self, id_: str, key: RSAPrivateKey) -> None:
        self._id = id_
        self._key = key
        self._tokens: dict[str, tuple[str, float]] = {}

    async def token_for(self, of: str, api: Api) -> str:
        """A JWT, or the token of the installation that sees the hook `of`, while it holds."""
        if of == "app":
            return self.jwt()
        token, until = self._tokens.get(of, ("", 0.0))
        if time.time() < until - EARLY:
            return token
        made = await self._made(of, api)
        self._tokens[of] = made.token, made.expires_at.timestamp()
        return made.token

    def forget(self, of: str) -> bool:
        """An installation may give another."""
        return self._tokens.pop(of, None) is not None

    async def _made(self, of: str, api: Api) -> _Made:
        """A new token that may do nothing but look after webhooks."""
        kind, owner, *rest = of.split("/")
        at = f"{kind}/{owner}" if kind == "orgs" else f"{kind}/{owner}/{rest[0]}"
        found = (await api.ask("GET", f"{at}/installation", self.jwt())).read(_Installation)
        wanted: dict[str, object] = {"permissions": {PERMISSIONS[kind]: "write"}}
        if kind == "repos":
            wanted["repositories"] = [rest[0]]
        answer = await api.ask("POST", f"app/installations/{found.id}/access_tokens", self.jwt(), json=wanted)
        return answer.read(_Made)

    def jwt(self) -> str:
        """What proves for some minutes that the App itself asks."""
        now = int(time.time())
        return jwt.encode({"iat": now - SKEW, "exp": now + LIFETIME, "iss": self._id}, self._key, "RS256")


class _Installation(msgspec.Struct):
    id: int


class _Made(msgspec.Struct):
    token: str
    expires_at: datetime


def read_key(variable: str, path: Path) -> RSAPrivateKey:
    """The private key in the PEM file that `variable` names; raises `ConfigurationError`."""
    try:
        found = load_pem_private_key(path.read_bytes(), password=None)
    except OSError as error:
        raise ConfigurationError(f"{variable}: cannot read {path}: {error.strerror}") from None
    except (ValueError, TypeError) as error:
        raise ConfigurationError(f"{variable}: {path} holds no private key without a password, as PEM") from error
    if not isinstance(found, RSAPrivateKey):
        raise ConfigurationError(f"{variable}: the key in {path} is not RSA, as a GitHub App's is")
    return found
