"""The API's reference, as `docs/reference.md` has it: made of the document that the service itself answers with.

`python -m tests.reference` prints it; `python -m tests.reference problems` prints `docs/problems.md`.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import Any, cast

from hookline import App
from hookline.ingress.register import Register
from hookline.settings import Settings
from hookline.web.api.table import table
from hookline.web.endpoint import Endpoint
from hookline.web.faults import BY_SLUG, WHERE, Fault
from hookline.web.openapi import document
from hookline.web.problems import MEDIA

HEAD = """# The API, call by call

Made of `GET /openapi.json`, which has the shapes of all bodies; see [the API and the command line](api.md) for how they
go together, and [security](security.md) for roles. Every call may also be answered by the [problems](problems.md)
`token-needed`, `not-this-machine`, `role-too-low`, `no-such-path`, `not-acceptable`, `failed` and `unavailable`, and
one that changes something by `not-from-here`, `idempotency-key-unreadable`, `idempotency-key-reused` and
`request-in-progress`.
"""

COMMON = {
    Fault.TOKEN_NEEDED, Fault.NOT_THIS_MACHINE, Fault.ROLE_TOO_LOW, Fault.NO_SUCH_PATH, Fault.FAILED,
    Fault.UNAVAILABLE, Fault.NOT_FROM_HERE, Fault.NOT_ACCEPTABLE, Fault.IDEMPOTENCY_KEY_UNREADABLE,
    Fault.IDEMPOTENCY_KEY_REUSED, Fault.REQUEST_IN_PROGRESS,
}  # fmt: skip

PROBLEMS = """# Problems

Whatever is not answered as it was asked for is answered by `application/problem+json` ([RFC
9457](https://www.rfc-editor.org/rfc/rfc9457)): `{type, title, status, detail}`. The `type` is one of those below, and
is stable: tell problems apart by it. The `title` is always the same for a type; the `detail` is for the person who must
act, and may change. `instance`, where it is there, names this one problem, as the service's log does.

The service itself tells of each type where its URI leads, as in `GET /problems/run-ended`; `GET /openapi.json` says
which call answers which.
"""


def endpoints() -> Sequence[Endpoint]:
    """The table, of an application without jobs."""
    nowhere = cast("Any", None)
    settings = Settings(sources=())
    register = Register(App(), nowhere, settings)
    return table(App(), settings, nowhere, nowhere, register, nowhere, nowhere)


def openapi() -> dict[str, Any]:
    """The document of it."""
    return document(endpoints())


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
                content = operation["requestBody"]["content"]
                shape = next(iter(content.values()))["schema"].get("$ref", "")
                yield f"- body: `{shape.rpartition('/')[2]}`" if shape else f"- body: a text, {' or '.join(content)}"
            yield f"- answers: {', '.join(status for status in operation['responses'] if status < '4')}"
            names = [f"`{each.slug}`" for each in _problems(operation) if each not in COMMON]
            yield f"- problems: {', '.join(names) or 'none of its own'}\n"


def _problems(operation: dict[str, Any]) -> Iterator[Fault]:
    for answer in operation["responses"].values():
        if (content := answer.get("content", {}).get(MEDIA)) is not None:
            for uri in content["schema"]["allOf"][1]["properties"]["type"]["enum"]:
                yield BY_SLUG[uri.removeprefix(WHERE)]


def _kind(schema: dict[str, Any]) -> str:
    if "enum" in schema:
        return " or ".join(f"`{each}`" for each in schema["enum"])
    kind = {"date-time": "a moment", "uuid": "an id"}.get(schema.get("format", ""), schema.get("type", "anything"))
    ends = [f"{word} {schema[name]}" for name, word in (("minimum", "from"), ("maximum", "to")) if name in schema]
    default = f"; {schema['default']} unless said" if "default" in schema else ""
    return " ".join([kind, *ends]) + default


def problems() -> str:
    """All types of problem."""
    return "\n".join([PROBLEMS, *_faults()]) + "\n"


def _faults() -> Iterator[str]:
    for status, faults in groupby(sorted(Fault, key=lambda each: each.status), lambda each: each.status):
        yield f"## {status}\n"
        for each in faults:
            yield f"### `{each.uri}`\n"
            yield f"{each.title}. {each.happened}\n"
            yield f"**What to do:** {each.advice}\n"


if __name__ == "__main__":
    print(problems() if sys.argv[1:] == ["problems"] else markdown(), end="")
