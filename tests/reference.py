"""The API's reference, as `docs/reference.md` has it: made of the document that the service itself answers with.

`python -m tests.reference` prints it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, cast

from hookline import App
from hookline.ingress.register import Register
from hookline.settings import Settings
from hookline.web.api.table import table
from hookline.web.body import Gate, Limits
from hookline.web.openapi import document

HEAD = """# The API, call by call

Made of `GET /openapi.json`, which has the shapes of all bodies; see [the API and the command line](api.md) for how they
go together, and [security](security.md) for roles. Every call may also be answered 401, 403 or 503.
"""


def openapi() -> dict[str, Any]:
    """The document of an application without jobs."""
    nowhere = cast("Any", None)
    settings = Settings(sources=())
    register = Register(App(), nowhere, settings)
    return document(table(App(), settings, nowhere, nowhere, register, nowhere, nowhere, Gate(1, 1), Limits(1, 1)))


def markdown() -> str:
    """The reference."""
    return "\n".join([HEAD, *_calls(openapi())]) + "\n"


def _calls(told: dict[str, Any]) -> Iterator[str]:
    for path, operations in told["paths"].items():
        for method, operation in operations.items():
            yield f"## {method.upper()} {path}\n"
            yield f"{operation['summary'][0].upper()}{operation['summary'][1:]} {operation['description']}\n"
            for each in operation["parameters"]:
                if each["in"] == "query":
                    yield f"- `{each['name']}`: {_kind(each['schema'])}"
            if "requestBody" in operation:
                (content,) = operation["requestBody"]["content"].values()
                yield f"- body: `{content['schema']['$ref'].rpartition('/')[2]}`"
            answers = [status for status in operation["responses"] if status not in ("401", "403", "503")]
            yield f"- answers: {', '.join(answers)}\n"


def _kind(schema: dict[str, Any]) -> str:
    if "enum" in schema:
        return " or ".join(f"`{each}`" for each in schema["enum"])
    kind = {"date-time": "a moment", "uuid": "an id"}.get(schema.get("format", ""), schema.get("type", "anything"))
    ends = [f"{word} {schema[name]}" for name, word in (("minimum", "from"), ("maximum", "to")) if name in schema]
    default = f"; {schema['default']} unless said" if "default" in schema else ""
    return " ".join([kind, *ends]) + default


if __name__ == "__main__":
    print(markdown(), end="")
