"""Endpoints: what the API answers, to whom, and what it takes; a change is told to the audit before it is made."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any, get_type_hints

from msgspec import Struct
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Match, Route
from starlette.types import Receive, Scope, Send

from hookline import telemetry
from hookline.codec import uuid7
from hookline.errors import Unavailable
from hookline.store import audit
from hookline.store.audit import Entry
from hookline.store.database import Database
from hookline.web import problems
from hookline.web.access import Principal, Role
from hookline.web.api import parameters
from hookline.web.body import JSON, Inlet
from hookline.web.faults import Fault
from hookline.web.idempotency import Once
from hookline.web.negotiation import check_accepted, fresh
from hookline.web.peer import Proxies
from hookline.web.problems import Problem

Handler = Callable[..., Awaitable[Response]]
"""Called with the request, and with what it takes as `query` and `body`, read as the types that it declares."""

LONGEST_PATH = 500

_ALWAYS = (
    Fault.TOKEN_NEEDED,
    Fault.NOT_THIS_MACHINE,
    Fault.ROLE_TOO_LOW,
    Fault.NOT_ACCEPTABLE,
    Fault.FAILED,
    Fault.KEY_MISSING,
    Fault.UNAVAILABLE,
)
_OF_WRITES = (
    Fault.NOT_FROM_HERE, Fault.IDEMPOTENCY_KEY_UNREADABLE, Fault.REQUEST_IN_PROGRESS, Fault.IDEMPOTENCY_KEY_REUSED,
)  # fmt: skip
_OF_BODIES = (
    Fault.BODY_CUT_OFF, Fault.BODY_NOT_JSON, Fault.BODY_TOO_SLOW, Fault.BODY_TOO_LARGE, Fault.MEDIA_TYPE,
    Fault.INVALID_BODY,
)  # fmt: skip
_OF_PATHS = {
    "runs": Fault.UNKNOWN_RUN, "jobs": Fault.UNKNOWN_JOB, "deliveries": Fault.UNKNOWN_DELIVERY,
    "definitions": Fault.UNKNOWN_DEFINITION, "schedules": Fault.UNKNOWN_SCHEDULE, "sources": Fault.UNKNOWN_SOURCE,
    "tokens": Fault.UNKNOWN_TOKEN,
}  # fmt: skip
"""What is wrong with a path that names something that is not there."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One line of the table of what the API answers.

    Args:
        line: the method and the path, as in `GET /runs/{id}`.
        role: what whoever asks must be at least.
        shape: of the body of an answer.
        statuses: of answers that are no problems.
        refuses: the problems of its own, beside those that come of how it is asked.
        media: the type of the body of an answer.
        takes: the types that a body may have which is taken as a text.
    """

    line: str
    role: Role
    handler: Handler
    shape: Any = dict[str, Any]
    statuses: tuple[int, ...] = (200,)
    refuses: tuple[Fault, ...] = ()
    media: str = "application/json"
    takes: tuple[str, ...] = JSON

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
        declared: type[Struct] | None = self._declared("query")
        return declared

    @property
    def body(self) -> type[Struct] | type[str] | None:
        """What is read of the body, which is JSON, or else a text."""
        declared: type[Struct] | type[str] | None = self._declared("body")
        return declared

    @property
    def faults(self) -> list[Fault]:
        """All problems that it may answer with, by their statuses."""
        found = {*_ALWAYS, *self.refuses}
        if "{" in self.path:
            found |= {_OF_PATHS[self.path.split("/")[1]], Fault.NO_SUCH_PATH}
        if self.method != "GET":
            found.update(_OF_WRITES)
        if self.query is not None:
            found.add(Fault.INVALID_PARAMETER)
        if self.body is not None:
            found.update(_OF_BODIES)
        return sorted(found, key=lambda each: (each.status, each.name))

    def _declared(self, name: str) -> Any:
        return get_type_hints(self.handler).get(name)

    def route(self, database: Database, inlet: Inlet, proxies: Proxies) -> Route:
        """As starlette serves it."""
        answer = partial(
            self._answer, database=database, inlet=inlet, proxies=proxies, query=self.query, body=self.body,
            is_in_parts=self._declared("once") is not None,
        )  # fmt: skip
        return Route(self.path, answer, methods=[self.method])

    async def _answer(
        self,
        request: Request,
        *,
        database: Database,
        inlet: Inlet,
        proxies: Proxies,
        query: type[Struct] | None,
        body: type[Struct] | type[str] | None,
        is_in_parts: bool,
    ) -> Response:
        who: Principal = request.scope["principal"]
        if not who.may(self.role):
            raise Problem(Fault.ROLE_TOO_LOW, f"this asks for the role {self.role}, and {who.name} is {who.role}")
        check_accepted(request, self.media)
        given: dict[str, Any] = {} if query is None else {"query": parameters.query(request, query)}
        if self.method == "GET":
            return fresh(request, await self.handler(request, **given))
        async with _told(request, who, proxies.origin(request), database) as tell:
            async with self._body(request, inlet, body) as (raw, read):
                once = Once(database, who, request, raw)
                if is_in_parts:
                    response = await self.handler(request, **given, **read, once=once)
                else:
                    response = await once.answer(partial(self.handler, request, **given, **read))
            tell(response.status_code)
        response.headers["Cache-Control"] = "no-store"
        return response

    @asynccontextmanager
    async def _body(
        self, request: Request, inlet: Inlet, shape: type[Struct] | type[str] | None
    ) -> AsyncIterator[tuple[bytes, dict[str, Any]]]:
        """The body, and what the handler is given of it."""
        if shape is None:
            yield b"", {}
        else:
            async with inlet.text(request, self.takes) if shape is str else inlet.json(request, shape) as (raw, read):
                yield raw, {"body": read}


class Unanswered:
    """Answers what none of `routes` does: how a path may be asked, or that there is none."""

    def __init__(self, routes: Sequence[Route]) -> None:
        self._routes = routes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """As an ASGI application; raises `HTTPException` 404 or 405."""
        matches = ((route, route.matches(scope)[0]) for route in self._routes)
        methods = {method for route, match in matches if match is not Match.NONE for method in route.methods or ()}
        if not methods:
            raise HTTPException(404)
        headers = {"Allow": ", ".join(sorted({*methods, "OPTIONS"}))}
        if scope["method"] != "OPTIONS":
            raise HTTPException(405, headers=headers)
        await Response(status_code=204, headers=headers)(scope, receive, send)


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
        status = problems.fault_of(error).status
        raise
    finally:
        try:
            async with database.session() as connection:
                await audit.end(connection, entry.id, status)
        except Unavailable as error:  # the change is made or not, whatever becomes of the note
            telemetry.log.warning("audit.not_ended", entry=entry.id, status=status, error=str(error))
