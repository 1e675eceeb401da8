"""Endpoints: what the API answers, to whom, and what it takes; a change is told to the audit before it is made."""

from __future__ import annotations

import inspect
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any, get_type_hints

from msgspec import Struct
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
from hookline.web.api import parameters
from hookline.web.body import Inlet
from hookline.web.peer import Proxies
from hookline.web.problems import Problem

Handler = Callable[..., Awaitable[Response]]
"""Called with the request, and with what it takes as `query` and `body`, read as the types that it declares."""

LONGEST_PATH = 500


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One line of the table of what the API answers.

    Args:
        line: the method and the path, as in `GET /runs/{id}`.
        role: what whoever asks must be at least.
        shape: of the body of an answer.
        statuses: of answers that are no problems.
        refuses: the statuses of problems of its own.
        media: the type of the body of an answer.
    """

    line: str
    role: Role
    handler: Handler
    shape: Any = dict[str, Any]
    statuses: tuple[int, ...] = (200,)
    refuses: tuple[int, ...] = ()
    media: str = "application/json"

    @property
    def method(self) -> str:
        """How it is asked."""
        return self.line.partition(" ")[0]

    @property
    def path(self) -> str:
        """Where, behind `/api`."""
        return self.line.partition(" ")[2]

    @property
    def query(self) -> type[Struct] | None:
        """What is read of the query."""
        return self._declared("query")

    @property
    def body(self) -> type[Struct] | None:
        """What is read of the body, as JSON."""
        return self._declared("body")

    def _declared(self, name: str) -> type[Struct] | None:
        if name not in inspect.signature(self.handler).parameters:
            return None
        declared: type[Struct] = get_type_hints(self.handler)[name]
        return declared

    def route(self, database: Database, inlet: Inlet, proxies: Proxies) -> Route:
        """As starlette serves it."""
        answer = partial(
            self._answer, database=database, inlet=inlet, proxies=proxies, query=self.query, body=self.body
        )
        return Route(self.path, answer, methods=[self.method])

    async def _answer(
        self,
        request: Request,
        *,
        database: Database,
        inlet: Inlet,
        proxies: Proxies,
        query: type[Struct] | None,
        body: type[Struct] | None,
    ) -> Response:
        who: Principal = request.scope["principal"]
        if not who.may(self.role):
            raise Problem(403, f"this asks for the role {self.role}, and {who.name} is {who.role}")
        given: dict[str, Any] = {} if query is None else {"query": parameters.query(request, query)}
        if self.method == "GET":
            return await self.handler(request, **given)
        async with _told(request, who, proxies.origin(request), database) as tell:
            if body is None:
                response = await self.handler(request, **given)
            else:
                async with inlet.json(request, body) as read:
                    response = await self.handler(request, **given, body=read)
            tell(response.status_code)
        return response


@asynccontextmanager
async def _told(
    request: Request, who: Principal, address: str | None, database: Database
) -> AsyncIterator[Callable[[int], None]]:
    """Tell the audit of a change before it is made, and then how it was answered; raises `Unavailable` before it."""
    path = request.scope["raw_path"].decode("latin-1")[:LONGEST_PATH]
    entry = Entry(uuid7(), who.name, who.role, address, request.method, path)
    async with database.session() as connection:
        await audit.begin(connection, entry)
    status = 500

    def tell(answered: int) -> None:
        nonlocal status
        status = answered

    try:
        yield tell
    except Exception as error:
        status = problems.status_of(error)
        raise
    finally:
        try:
            async with database.session() as connection:
                await audit.end(connection, entry.id, status)
        except Unavailable as error:  # the change is made or not, whatever becomes of the note
            telemetry.log.warning("audit.not_ended", entry=entry.id, status=status, error=str(error))
