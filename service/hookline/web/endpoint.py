"""Endpoints: what the API answers, to whom, and that a change is told to the audit before it is made."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from typing import Literal
from uuid import UUID

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from hookline import telemetry
from hookline.codec import uuid7
from hookline.errors import Unavailable
from hookline.store import audit
from hookline.store.audit import Entry
from hookline.store.database import Database
from hookline.web import problems
from hookline.web.access import Principal, Role
from hookline.web.problems import Problem

Handler = Callable[[Request], Awaitable[Response]]

LONGEST_PATH = 500


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One line of the table of what the API answers.

    Args:
        role: what whoever asks must be at least.
    """

    method: Literal["GET", "POST", "PUT", "DELETE"]
    path: str
    role: Role
    handler: Handler

    def route(self, database: Database) -> Route:
        """As starlette serves it."""
        return Route(self.path, partial(self.answer, database=database), methods=[self.method])

    async def answer(self, request: Request, database: Database) -> Response:
        """Answer, if whoever asks may; raises `Problem` 403."""
        who: Principal = request.scope["principal"]
        if not who.may(self.role):
            raise Problem(403, f"this asks for the role {self.role}, and {who.name} is {who.role}")
        if self.method == "GET":
            return await self.handler(request)
        return await self._change(request, who, database)

    async def _change(self, request: Request, who: Principal, database: Database) -> Response:
        address = request.client.host if request.client else None
        path = request.scope["raw_path"].decode("latin-1")[:LONGEST_PATH]
        entry = Entry(uuid7(), who.name, who.role, address, request.method, path)
        async with database.session() as connection:
            await audit.begin(connection, entry)
        status = 500
        try:
            response = await self.handler(request)
            status = response.status_code
        except Exception as error:
            status = problems.status_of(error)
            raise
        finally:
            await _end(database, entry.id, status)
        return response


async def _end(database: Database, id_: UUID, status: int) -> None:
    """Note how it ended, if that can be; the change itself is made or not, whatever becomes of the note."""
    try:
        async with database.session() as connection:
            await audit.end(connection, id_, status)
    except Unavailable as error:
        telemetry.log.warning("audit.not_ended", entry=id_, status=status, error=str(error))
