"""OpenAPI: the API's document, made of the table that answers it."""

from __future__ import annotations

import inspect
import re
from collections.abc import Sequence
from importlib.metadata import version
from itertools import groupby
from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from hookline.web import problems
from hookline.web.api import shapes
from hookline.web.api.bulk import ACTIONS
from hookline.web.endpoint import Endpoint
from hookline.web.faults import Fault
from hookline.web.idempotency import HEADER, LONGEST

MEDIA = "application/json"

TOLD = re.compile(r"^`[^`]*`(?:, `[^`]*`)*: *")
"""What a handler's docstring begins with: its path, which the document tells elsewhere."""


_OF_NAMES: dict[str, dict[str, Any]] = {"id": {"format": "uuid"}, "action": {"enum": list(ACTIONS)}}
"""What the parts of a path are, by their names."""


class Document:
    """What the API answers, as OpenAPI 3.1."""

    def __init__(self, endpoints: Sequence[Endpoint]) -> None:
        self._content = msgspec.json.encode(document(endpoints))

    async def show(self, _: Request) -> Response:
        """`GET /openapi.json`."""
        return Response(self._content, media_type=MEDIA)


def document(endpoints: Sequence[Endpoint]) -> dict[str, Any]:
    """The document of `endpoints`."""
    types: dict[Any, None] = {shapes.Problem: None}
    for each in endpoints:
        types |= dict.fromkeys(shape for shape in (each.query, each.body, each.shape) if shape is not None)
    found, components = msgspec.json.schema_components(list(types), ref_template="#/components/schemas/{name}")
    schemas = dict(zip(types, found, strict=True))
    paths: dict[str, dict[str, Any]] = {}
    for each in endpoints:
        path = "/api" + re.sub(r"{(\w+):\w+}", r"{\1}", each.path)
        paths.setdefault(path, {})[each.method.lower()] = _operation(each, schemas, components)
    return {
        "openapi": "3.1.0",
        "info": {"title": "hookline", "version": version("hookline"), "license": {"name": "Apache-2.0"}},
        "paths": paths,
        "components": {
            "schemas": components,
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
        "security": [{"token": []}],
    }


def _operation(of: Endpoint, schemas: dict[Any, Any], components: dict[str, Any]) -> dict[str, Any]:
    told = TOLD.sub("", inspect.getdoc(of.handler) or "")
    summary, _, description = told.partition("\n\n")
    operation: dict[str, Any] = {
        "operationId": of.handler.__qualname__.replace(".", "_").lower().rstrip("_"),
        "summary": " ".join(summary.split()),
        "description": " ".join([*description.split(), f"Asks for the role `{of.role}`."]),
        "parameters": [
            *_path_parameters(of.path),
            *_query_parameters(schemas.get(of.query), components),
            *_headers(of),
        ],
        "responses": _responses(of, schemas),
    }
    if of.body is not None:
        operation["requestBody"] = {
            "content": {media: {"schema": schemas[of.body]} for media in of.takes},
            "required": of.body is str,
        }
    return operation


def _path_parameters(path: str) -> list[dict[str, Any]]:
    return [
        {
            "name": name,
            "in": "path",
            "required": True,
            "schema": {"type": "string"} | _OF_NAMES.get(name, {"minLength": 1}),
        }
        for name in re.findall(r"{(\w+)(?::\w+)?}", path)
    ]


def _query_parameters(schema: dict[str, str] | None, components: dict[str, Any]) -> list[dict[str, Any]]:
    if schema is None:
        return []
    properties = components[schema["$ref"].rpartition("/")[2]]["properties"]
    return [{"name": name, "in": "query", "schema": _plain(schema)} for name, schema in properties.items()]


def _headers(of: Endpoint) -> list[dict[str, Any]]:
    told = {}
    if of.method != "GET":
        told[HEADER] = f"The same request with the same key, of up to {LONGEST} characters, is done once."
    elif of.media == MEDIA:
        told["If-None-Match"] = "Answered 304 if the `ETag` of what would be answered is among these."
    if Fault.PRECONDITION_FAILED in of.refuses:
        told["If-Match"] = "Done only if the `ETag` of what is there is among these."
    return [
        {"name": name, "in": "header", "description": why, "schema": {"type": "string"}} for name, why in told.items()
    ]


def _plain(schema: dict[str, Any]) -> dict[str, Any]:
    """The schema of a value that is left out, and never `null`, when it is not given."""
    several = [each for each in schema.get("anyOf", ()) if each != {"type": "null"}]
    found = {name: value for name, value in schema.items() if name != "anyOf"} | (several[0] if several else {})
    if found.get("default", 0) is None:
        del found["default"]
    if "enum" in found:
        found["enum"] = [each for each in found["enum"] if each is not None]
    return found


def _responses(of: Endpoint, schemas: dict[Any, Any]) -> dict[str, Any]:
    answered = {
        str(status): {"description": _first(of.shape), "content": {of.media: {"schema": schemas[of.shape]}}}
        for status in of.statuses
    }
    if of.method == "GET" and of.media == MEDIA:
        answered["304"] = {"description": "It is as `If-None-Match` has it."}
    return answered | {
        str(status): _refused(list(faults), schemas[shapes.Problem])
        for status, faults in groupby(of.faults, lambda each: each.status)
    }


def _refused(faults: Sequence[Fault], schema: dict[str, Any]) -> dict[str, Any]:
    """An answer that is one of `faults`, each told where `type` points to."""
    told = {"type": "object", "properties": {"type": {"enum": [each.uri for each in faults]}}}
    return {
        "description": " ".join(f"[{each.title}]({each.uri}): {each.happened}" for each in faults),
        "content": {problems.MEDIA: {"schema": {"allOf": [schema, told]}}},
    }


def _first(shape: Any) -> str:
    told = (inspect.getdoc(shape) or "").partition("\n")[0] if isinstance(shape, type) else ""
    return told if told and not told.startswith("dict(") else "An object."
