"""`/api/tokens`, `/api/audit` and `/api/me`: who may use the API, and who changed what."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from hookline.codec import uuid7
from hookline.store import audit, tokens
from hookline.store.database import Connection, Database
from hookline.store.tokens import NewToken
from hookline.web import answers
from hookline.web.access import Principal, Role
from hookline.web.api import parameters
from hookline.web.api.parameters import Page
from hookline.web.faults import Fault
from hookline.web.problems import Problem
from hookline.web.token import digest_of, issue


class MakeToken(msgspec.Struct, forbid_unknown_fields=True):
    """The body of `POST /api/tokens`.

    Args:
        expires_in: seconds; `None` for a token that is good until it is revoked.
    """

    name: Annotated[str, msgspec.Meta(min_length=1, max_length=100)]
    role: Role
    expires_in: Annotated[float, msgspec.Meta(gt=0, le=10 * 366 * 86_400)] | None = None
    id: UUID | None = None


class Tokens:
    """The routes of access."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def list(self, _: Request) -> Response:
        """`GET /api/tokens`: all that were made, none of them itself."""
        async with self._database.reading() as connection:
            rows = await tokens.listed(connection)
        return answers.json({"tokens": [dict(row) for row in rows]})

    async def make(self, request: Request, body: MakeToken) -> Response:
        """`POST /api/tokens`: 201 with a new token, which is shown this once."""
        who: Principal = request.scope["principal"]
        if not body.name.isprintable():
            raise Problem(Fault.INVALID_BODY, "a token's name is printable")
        async with self._database.session() as connection:
            token, row = await make(connection, body, by=who.name)
        if row is None:
            raise Problem(
                Fault.TOKEN_EXISTS, f"there is a token {body.id} already, and it cannot be shown again: revoke it"
            )
        return answers.json(row | {"token": token}, 201)

    async def revoke(self, request: Request) -> Response:
        """`DELETE /api/tokens/{id}`: end a token, at every replica within two seconds."""
        token = parameters.id_(request, "token")
        async with self._database.session() as connection:
            found = await tokens.revoke(connection, token)
        if not found:
            raise Problem(Fault.UNKNOWN_TOKEN, f"there is no token {token}")
        return answers.json({"id": token, "revoked": True})

    async def audit(self, _: Request, query: Page) -> Response:
        """`GET /api/audit`: the newest changes first; one without a status was cut off in the middle."""
        async with self._database.reading() as connection:
            rows = await audit.listed(connection, before=query.cursor, limit=query.limit)
        return answers.json(answers.page("audit", [dict(row) for row in rows], query.limit))

    async def me(self, request: Request) -> Response:
        """`GET /api/me`: who asks, and in which role."""
        return answers.json(request.scope["principal"])


async def make(connection: Connection, wanted: MakeToken, *, by: str) -> tuple[str, dict[str, object] | None]:
    """Make a token; returns it, and what is kept of it, `None` if its id is taken."""
    token = issue()
    new = NewToken(wanted.id or uuid7(), wanted.name, wanted.role, digest_of(token), by, wanted.expires_in)
    row = await tokens.make(connection, new)
    return token, None if row is None else dict(row)
