"""Calls: the API's document as a page tells it, call by call, with a body to begin with."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from typing import Any

import msgspec
from msgspec import Struct

from hookline.web.endpoint import Endpoint
from hookline.web.faults import Fault

NOUNS = {"me": "who asks", "stream": "the stream"}

_VALUES = {
    "uuid": "00000000-0000-0000-0000-000000000000",
    "date-time": "2026-01-01T00:00:00Z",
}
_KINDS = {"date-time": "a moment", "uuid": "an id", "integer": "a whole number"}


class Parameter(Struct, frozen=True):
    """What a call takes besides its body.

    Args:
        where: `path`, `query` or `header`.
        kind: what it is, for people.
        choices: of which one is picked.
    """

    name: str
    where: str
    kind: str
    is_required: bool
    about: str = ""
    choices: Sequence[str] = ()


class Call(Struct, frozen=True):
    """One line of the API.

    Args:
        line: as it stands in the table.
        example: a body to begin with; `None` if it takes none.
        shape: the schema of its body, with all that it refers to, JSON.
        answers: statuses that are no problems, with what they answer.
    """

    id: str
    line: str
    noun: str
    method: str
    path: str
    role: str
    summary: str
    description: str
    parameters: Sequence[Parameter]
    takes: Sequence[str]
    example: str | None
    shape: str | None
    answers: Sequence[tuple[str, str]]
    faults: Sequence[Fault]
    is_stream: bool

    @property
    def words(self) -> str:
        """What it is found by."""
        return f"{self.method} {self.path} {self.summary} {self.description} {self.role}".lower()


def calls(endpoints: Sequence[Endpoint], told: Mapping[str, Any]) -> list[Call]:
    """Each of `endpoints`, as the document `told` has it."""
    return [_call(each, told) for each in endpoints]


def by_noun(found: Sequence[Call]) -> dict[str, list[Call]]:
    """Those of one noun together, in the order in which nouns come."""
    order = {noun: at for at, noun in reversed(list(enumerate(each.noun for each in found)))}
    ordered = sorted(found, key=lambda each: order[each.noun])
    return {noun: list(group) for noun, group in groupby(ordered, key=lambda each: each.noun)}


def _call(of: Endpoint, told: Mapping[str, Any]) -> Call:
    path = "/api" + re.sub(r"{(\w+):\w+}", r"{\1}", of.path)
    operation = told["paths"][path][of.method.lower()]
    schemas = told["components"]["schemas"]
    noun = of.path.split("/")[1]
    content = operation.get("requestBody", {}).get("content", {})
    schema = next((each["schema"] for each in content.values()), None)
    return Call(
        id=operation["operationId"],
        line=of.line,
        noun=NOUNS.get(noun, noun),
        method=of.method,
        path=path,
        role=of.role,
        summary=operation["summary"],
        description=operation["description"],
        parameters=[_parameter(each) for each in operation["parameters"]],
        takes=list(content),
        example=None if schema is None else _example(of, schema, schemas),
        shape=None if schema is None or of.body is str else _written(_inlined(schema, schemas, ())),
        answers=list(_answers(operation)),
        faults=of.faults,
        is_stream=of.media == "text/event-stream",
    )


def _parameter(given: Mapping[str, Any]) -> Parameter:
    schema = given["schema"]
    kind = schema.get("format") or schema.get("type", "anything")
    ends = [f"{word} {schema[name]}" for name, word in (("minimum", "from"), ("maximum", "to")) if name in schema]
    default = [f"{schema['default']} unless said"] if "default" in schema else []
    return Parameter(
        name=given["name"],
        where=given["in"],
        kind=", ".join(
            [" ".join([_KINDS.get(kind, "yes or no" if kind == "boolean" else f"a {kind}"), *ends]), *default]
        ),
        is_required=given.get("required", False),
        about=given.get("description", ""),
        choices=["true", "false"] if kind == "boolean" else [str(each) for each in schema.get("enum", ())],
    )


def _answers(operation: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for status, answer in operation["responses"].items():
        if status < "4":
            yield status, answer["description"]


def _example(of: Endpoint, schema: Mapping[str, Any], schemas: Mapping[str, Any]) -> str:
    return "" if of.body is str else _written(example(schema, schemas))


def example(schema: Mapping[str, Any], schemas: Mapping[str, Any]) -> Any:
    """A value that fits `schema`, with what must be said, and what is more than nothing unless it is said."""
    schema = _resolved(schema, schemas)
    if "enum" in schema:
        return schema["enum"][0]
    match schema.get("type"):
        case "object":
            required, properties = schema.get("required", ()), schema.get("properties", {})
            return {
                name: _default(each, schemas)
                for name, each in properties.items()
                if name in required or each.get("default") is not None or not ({"type", "anyOf", "$ref"} & each.keys())
            }
        case "array":
            return [example(schema["items"], schemas)] if schema.get("minItems") else []
        case "string":
            return _VALUES.get(schema.get("format", ""), "x")
        case "integer" | "number":
            return schema.get("minimum", schema.get("exclusiveMinimum", 0) + 1)
        case "boolean":
            return False
    return {}


def _default(schema: Mapping[str, Any], schemas: Mapping[str, Any]) -> Any:
    return schema["default"] if schema.get("default") is not None else example(schema, schemas)


def _resolved(schema: Mapping[str, Any], schemas: Mapping[str, Any]) -> Mapping[str, Any]:
    """`schema`, or what it refers to, or what it is when it is not `null`."""
    while "$ref" in schema or "anyOf" in schema:
        if "$ref" in schema:
            schema = schemas[schema["$ref"].rpartition("/")[2]]
        else:
            schema = next(each for each in schema["anyOf"] if each.get("type") != "null")
    return schema


def _inlined(schema: Any, schemas: Mapping[str, Any], within: tuple[str, ...]) -> Any:
    """`schema` with what it refers to in its place, once on each way down."""
    if isinstance(schema, list):
        return [_inlined(each, schemas, within) for each in schema]
    if not isinstance(schema, Mapping):
        return schema
    if "$ref" in schema and (name := schema["$ref"].rpartition("/")[2]) not in within:
        return _inlined(schemas[name], schemas, (*within, name))
    return {name: _inlined(each, schemas, within) for name, each in schema.items()}


def _written(value: Any) -> str:
    return msgspec.json.format(msgspec.json.encode(value), indent=2).decode()
