"""Assets: the scripts and styles of the pages, served under a name that changes with them."""

from __future__ import annotations

import hashlib
from importlib.resources import files
from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from hookline.web.faults import Fault
from hookline.web.problems import Problem

_TYPES = {".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml"}

_FILES: Final = {
    each.name: each.read_bytes()
    for each in sorted(files("hookline.web.dashboard").joinpath("static").iterdir(), key=lambda each: each.name)
    if each.name.endswith(tuple(_TYPES))
}

DIGEST: Final = hashlib.blake2b(
    b"\0".join(part for name, content in _FILES.items() for part in (name.encode(), content)), digest_size=6
).hexdigest()
"""Of all of them, so that those that name each other fit together."""


def address(name: str) -> str:
    """Where the asset `name` is; raises `KeyError` if there is none."""
    if name not in _FILES:
        raise KeyError(name)
    return f"/static/{DIGEST}/{name}"


async def serve(request: Request) -> Response:
    """`GET /static/{digest}/{name}`: for ever, as long as it is what the pages name."""
    name, digest = request.path_params["name"], request.path_params["digest"]
    content = _FILES.get(name)
    if content is None:
        raise Problem(Fault.NO_SUCH_PATH, "there is no such file")
    kept = "public, max-age=31536000, immutable" if digest == DIGEST else "no-cache"
    headers = {"Cache-Control": kept, "X-Content-Type-Options": "nosniff"}
    return Response(content, 200, headers, f"{_TYPES[name[name.rindex('.') :]]}; charset=utf-8")
