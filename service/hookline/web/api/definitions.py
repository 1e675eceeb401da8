"""`/api/definitions`: jobs as data, checked before they are kept."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, Struct
from starlette.requests import Request
from starlette.responses import Response

from hookline.app import App
from hookline.learning import learn
from hookline.store import definitions
from hookline.store.database import Database
from hookline.web import answers
from hookline.web.body import Gate, Limits, media_type, read
from hookline.web.problems import Problem

TYPES = ("application/yaml", "application/x-yaml", "text/yaml", "text/x-yaml", "application/json")
LARGEST = 1_048_576


class DefinitionQuery(Struct, forbid_unknown_fields=True):
    """Which version of a definition; the newest unless it is said."""

    version: Annotated[int, Meta(ge=0, lt=2**31)] | None = None


class Definitions:
    """The routes of definitions.

    Args:
        commands: whether they may run programs.
    """

    def __init__(self, database: Database, app: App, gate: Gate, limits: Limits, *, commands: bool) -> None:
        self._database = database
        self._app = app
        self._gate = gate
        self._limits = Limits(LARGEST, limits.time)
        self._commands = commands

    async def list(self, _: Request) -> Response:
        """`GET /api/definitions`: the newest version of each."""
        async with self._database.reading() as connection:
            rows = await definitions.listed(connection)
        return answers.json({"definitions": [dict(row) for row in rows]})

    async def show(self, request: Request, query: DefinitionQuery) -> Response:
        """`GET /api/definitions/{name}`: its source, as it was given."""
        name = request.path_params["name"]
        async with self._database.reading() as connection:
            row = await definitions.find(connection, name, query.version)
        if row is None:
            raise Problem(404, f"there is no such definition {name[:50]!r}")
        return answers.json(dict(row))

    async def put(self, request: Request) -> Response:
        """`PUT /api/definitions/{name}`: 201 with the new version, 200 if it is as it was; 422 with the line."""
        name = request.path_params["name"]
        if media_type(request) not in TYPES:
            raise Problem(415, f"send {TYPES[0]} or {TYPES[-1]}", close=True)
        with self._gate.passing() as share:
            body = await read(request, share, self._limits)
            try:
                source = body.decode()
            except UnicodeDecodeError:
                raise Problem(400, "the body is not UTF-8") from None
        if "\0" in source:
            raise Problem(422, "a definition holds no NUL character")
        self._app.check_definition(name, source, commands=self._commands)
        async with self._database.session() as connection:
            version, new = await definitions.save(connection, name, source)
            await learn(connection, self._app, commands=self._commands)
        return answers.json({"name": name, "version": version}, 201 if new else 200)

    async def delete(self, request: Request) -> Response:
        """`DELETE /api/definitions/{name}`: no more runs start; those that have begun go on."""
        name = request.path_params["name"]
        async with self._database.session() as connection:
            try:
                await definitions.save(connection, name, None)
            except LookupError:
                raise Problem(404, f"there is no such definition {name[:50]!r}") from None
            await learn(connection, self._app, commands=self._commands)
        return answers.json({"name": name, "deleted": True})
