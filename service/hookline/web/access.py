"""Access: who a request is from, and what somebody in that role may do."""

from __future__ import annotations

import hashlib
import hmac
from collections import OrderedDict
from collections.abc import Sequence
from time import monotonic
from typing import Literal, get_args

from msgspec import Struct
from starlette.requests import Request

from hookline.store import tokens
from hookline.store.database import Database

Role = Literal["viewer", "operator", "admin"]
"""Looks; looks and steers runs, deliveries and schedules; does everything, tokens and definitions included."""

ROLES: tuple[Role, ...] = get_args(Role)

REMEMBERED = 2.0
"""Seconds that a replica goes on believing what it has read of a token: as long as a revoked one may still be good."""

MOST_REMEMBERED = 10_000


class Principal(Struct, frozen=True):
    """Who a request is from.

    Args:
        name: the token's, or who logged in.
    """

    name: str
    role: Role

    def may(self, role: Role) -> bool:
        """Whether it may do what asks for `role`."""
        return ROLES.index(self.role) >= ROLES.index(role)


SEES = "hookline.sees_payloads"
"""Where a request's scope says, once it is known who it is from, whether that may see what rests encrypted."""


def sees(request: Request) -> bool:
    """Whether `request` may be shown payloads that rest encrypted: only if its `Guard` has said so."""
    return request.scope.get(SEES) is True


def digest_of(token: str) -> bytes:
    """What is kept of a token."""
    return hashlib.sha256(token.encode("utf-8", "surrogateescape")).digest()


class Keyring:
    """Knows whose a token is: those of the settings, which may do everything, and those that were made.

    Args:
        fixed: the tokens of the settings.
    """

    def __init__(self, database: Database, fixed: Sequence[str]) -> None:
        self._database = database
        self._fixed = [digest_of(token) for token in fixed]
        self._seen: OrderedDict[bytes, tuple[float, Principal | None]] = OrderedDict()

    async def holder(self, digest: bytes) -> Principal | None:
        """Whose the token with that digest is; raises `Unavailable` if that cannot be looked up."""
        if any([hmac.compare_digest(digest, each) for each in self._fixed]):  # noqa: C419 - in constant time
            return Principal("HOOKLINE_API_TOKENS", "admin")
        until, principal = self._seen.get(digest, (0.0, None))
        if monotonic() < until:
            return principal
        async with self._database.session() as connection:
            row = await tokens.active(connection, digest)
        principal = None if row is None else Principal(row["name"], row["role"])
        lasts = min(REMEMBERED, row["left"]) if row is not None and row["left"] is not None else REMEMBERED
        self._seen[digest] = (monotonic() + lasts, principal)
        if len(self._seen) > MOST_REMEMBERED:
            self._seen.popitem(last=False)
        return principal
