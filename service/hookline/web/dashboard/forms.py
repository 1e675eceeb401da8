"""Forms: a JSON Schema as the fields by which a person fills in what it describes."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, Literal

from msgspec import Struct

MOST = 40
"""Fields of one form; of a larger input the whole is written as JSON."""

Kind = Literal["text", "number", "integer", "boolean", "choice", "json"]

_KINDS: dict[str, Kind] = {"string": "text", "number": "number", "integer": "integer", "boolean": "boolean"}


class Field(Struct, frozen=True):
    """One field.

    Args:
        default: what it begins with; JSON, of a field of that kind.
        choices: of which one is picked.
    """

    name: str
    kind: Kind
    is_required: bool
    default: str = ""
    about: str = ""
    choices: Sequence[str] = ()


def fields(schema: Mapping[str, Any]) -> list[Field] | None:
    """The fields of an object that `schema` describes; `None` if it describes none, or one too large."""
    root = _resolved(schema, schema)
    properties = root.get("properties")
    if not isinstance(properties, Mapping) or not 0 < len(properties) <= MOST:
        return None
    required = root.get("required") or ()
    return [_field(str(name), each, name in required, schema) for name, each in properties.items()]


def _field(name: str, given: Any, is_required: bool, root: Mapping[str, Any]) -> Field:
    about = _resolved(given, root)
    options = [_resolved(each, root) for each in about.get("anyOf") or ()]
    options = [each for each in options if each.get("type") != "null"]
    only = options[0] if len(options) == 1 else about
    kind: Kind = _KINDS.get(str(only.get("type")), "json")
    choices = [str(each) for each in only.get("enum") or ()] if kind == "text" else []
    default = about.get("default")
    return Field(
        name=name,
        kind="choice" if choices else kind,
        is_required=is_required,
        default=_written(default, kind),
        about=str(about.get("description") or only.get("description") or only.get("format") or ""),
        choices=choices,
    )


def _written(value: Any, kind: Kind) -> str:
    if value is None:
        return ""
    return value if kind == "text" and isinstance(value, str) else json.dumps(value)


def _resolved(given: Any, root: Mapping[str, Any]) -> Mapping[str, Any]:
    """`given`, or what it refers to within `root`; empty if that is nothing that a form can show."""
    for _ in range(8):
        if not isinstance(given, Mapping):
            return {}
        to = given.get("$ref")
        if to is None:
            return given
        found: Any = root
        for part in str(to).removeprefix("#/").split("/"):
            found = found.get(part) if isinstance(found, Mapping) else None
        given = found
    return {}
