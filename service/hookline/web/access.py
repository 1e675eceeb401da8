"""Access: who a request is from, and what somebody in that role may do."""

from __future__ import annotations

import asyncio
import hmac
from collections import OrderedDict
from collections.abc import Collection, Sequence
from time import monotonic
from typing import Literal, get_args
from uuid import UUID

import asyncpg
from msgspec import Struct
from starlette.requests import Request

from hookline.store import sessions, tokens
from hookline.store.database import Database
from hookline.web.token import digest_of, is_one

Role = Literal["viewer", "operator", "admin"]
"""Looks; looks and steers runs, deliveries and schedules; does everything, tokens and definitions included."""

ROLES: tuple[Role, ...] = get_args(Role)

Credential = bytes | UUID
"""What shows who a request is from: a token, by its digest, or a session, by its id."""

REMEMBERED = 2.0
"""Seconds that a replica goes on believing what it has read of a credential: a revoked one may be good for as long."""

MOST_REMEMBERED = 10_000

PAUSE = 0.05
"""Seconds between a look that found a credential that is not good and the next: whoever makes some up, however many
of them and however fast, has Postgres asked no more than so often.
"""


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


FIXED = Principal("HOOKLINE_API_TOKENS", "admin")
"""Whoever has one of the tokens of the settings."""

SEES = "hookline.sees_payloads"
"""Where a request's scope says, once it is known who it is from, whether that may see what rests encrypted."""


def sees(request: Request) -> bool:
    """Whether `request` may be shown payloads that rest encrypted: only if its `Guard` has said so."""
    return request.scope.get(SEES) is True


class Keyring:
    """Knows whose a credential is; all that are asked for at once are looked up at once.

    Args:
        fixed: the tokens of the settings, which may be any text.
        issuer: the provider whose word on people is taken; sessions that stand on another's are not good.
    """

    def __init__(self, database: Database, fixed: Sequence[str], issuer: str | None = None) -> None:
        self._database = database
        self._fixed = [digest_of(token) for token in fixed]
        self._issuer = issuer
        self._seen: OrderedDict[Credential, tuple[float, Principal | None]] = OrderedDict()
        self._asked: dict[Credential, asyncio.Future[Principal | None]] = {}
        self._looking: asyncio.Task[None] | None = None

    async def bearer(self, token: str) -> tuple[Credential, Principal | None]:
        """The credential that `token` is, and whose; raises `Unavailable` if that cannot be looked up."""
        digest = digest_of(token)
        return digest, await self.holder(digest) if self._is_fixed(digest) or is_one(token) else None

    async def holder(self, credential: Credential) -> Principal | None:
        """Whose `credential` is; raises `Unavailable` if that cannot be looked up."""
        if self._is_fixed(credential):
            return FIXED
        until, principal = self._seen.get(credential, (0.0, None))
        if monotonic() < until:
            return principal
        if (asked := self._asked.get(credential)) is None:
            asked = self._asked[credential] = asyncio.get_running_loop().create_future()
        if self._looking is None or self._looking.done():
            self._looking = asyncio.create_task(self._look(), name="keyring")
        return await asyncio.shield(asked)

    async def good(self, credentials: Collection[Credential]) -> set[Credential]:
        """Those of them that are good at this moment; raises `Unavailable`."""
        fixed = {each for each in credentials if self._is_fixed(each)}
        return fixed | (await self._read(set(credentials) - fixed)).keys()

    def _is_fixed(self, credential: Credential | None) -> bool:
        if not isinstance(credential, bytes):
            return False
        return any([hmac.compare_digest(credential, each) for each in self._fixed])  # noqa: C419 - in constant time

    async def _look(self) -> None:
        """Look up what is asked for, and what is asked for meanwhile, until nothing is."""
        while self._asked:
            asked, self._asked = self._asked, {}
            try:
                found = await self._read(asked)
            except Exception as error:  # noqa: BLE001 - it is raised to whoever asked
                for each in asked.values():
                    each.set_exception(error)
                    each.exception()  # nobody need be left to hear it
                continue
            for credential, each in asked.items():
                principal, lasts = found.get(credential, (None, REMEMBERED))
                self._remember(credential, principal, lasts)
                each.set_result(principal)
            if len(found) < len(asked):
                await asyncio.sleep(PAUSE)
        self._looking = None

    async def _read(self, credentials: Collection[Credential]) -> dict[Credential, tuple[Principal, float]]:
        """Whose those are that are good, and for how many seconds that may be believed."""
        digests = [each for each in credentials if isinstance(each, bytes)]
        ids = [each for each in credentials if isinstance(each, UUID)]
        rows: list[asyncpg.Record] = []
        if digests or ids:
            async with self._database.session() as connection:
                rows += await tokens.active(connection, digests) if digests else []
                rows += await sessions.active(connection, ids) if ids else []
        read = {}
        for row in rows:
            if (principal := self._principal(row)) is not None:
                read[row["credential"]] = principal, REMEMBERED if row["left"] is None else min(REMEMBERED, row["left"])
        return read

    def _principal(self, row: asyncpg.Record) -> Principal | None:
        if row.get("issuer") not in (None, self._issuer):
            return None
        if row["name"] is None:  # a session whose token is not kept in Postgres
            return FIXED if self._is_fixed(row["digest"]) else None
        return Principal(row["name"], row["role"])

    def _remember(self, credential: Credential, principal: Principal | None, lasts: float) -> None:
        self._seen[credential] = (monotonic() + lasts, principal)
        self._seen.move_to_end(credential)
        if len(self._seen) > MOST_REMEMBERED:
            self._seen.popitem(last=False)
