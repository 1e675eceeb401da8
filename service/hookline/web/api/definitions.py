"""`/api/definitions`: jobs as data, checked before they are kept."""

from __future__ import annotations

from functools import partial
from typing import Annotated

from msgspec import Meta, Struct
from starlette.requests import Request
from starlette.responses import Response

from hookline.app import App
from hookline.learning import learn
from hookline.store import definitions
from hookline.store.database import Database
from hookline.web import answers
from hookline.web.faults import Fault
from hookline.web.negotiation import check_unchanged
from hookline.web.problems import Problem

TYPES = ("application/yaml", "application/x-yaml", "text/yaml", "text/x-yaml", "application/json")


class DefinitionQuery(Struct, forbid_unknown_fields=True):
    """Which version of a definition; the newest unless it is said."""

    version: Annotated[int, Meta(ge=0, lt=2**31)] | None = None


class Definitions:
    """The routes of definitions.

    Args:
        commands: whether they may run programs.
    """

    def __init__(self, database: Database, app: App, *, commands: bool) -> None:
        self._database = database
        self._app = app
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
            raise Problem(Fault.UNKNOWN_DEFINITION, f"there is no such definition {name[:50]!r}")
        return answers.json(dict(row), headers={"ETag": _tag(row["version"])})

    async def put(self, request: Request, body: str) -> Response:
        """`PUT /api/definitions/{name}`: 201 with the new version, 200 if it is as it was; 422 with the line."""
        name = request.path_params["name"]
        self._app.check_definition(name, body, commands=self._commands)
        async with self._database.session() as connection:
            version, new = await definitions.save(connection, name, body, partial(_check_unchanged, request))
        await self._database.afterwards(self._learn)
        return answers.json({"name": name, "version": version}, 201 if new else 200, {"ETag": _tag(version)})

    async def delete(self, request: Request) -> Response:
        """`DELETE /api/definitions/{name}`: no more runs start; those that have begun go on."""
        name = request.path_params["name"]
        async with self._database.session() as connection:
            try:
                await definitions.save(connection, name, None, partial(_check_unchanged, request))
            except LookupError:
                raise Problem(Fault.UNKNOWN_DEFINITION, f"there is no such definition {name[:50]!r}") from None
        await self._database.afterwards(self._learn)
        return answers.json({"name": name, "deleted": True})

    async def _learn(self) -> None:
        async with self._database.session() as connection:
            await learn(connection, self._app, commands=self._commands)


def _tag(version: int) -> str:
    return f'"{version}"'


def _check_unchanged(request: Request, version: int | None) -> None:
    check_unchanged(request, None if version is None else _tag(version))
