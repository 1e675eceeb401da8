"""Negotiation: what a client takes, what it has already, and which version it means to change."""

from __future__ import annotations

import hashlib
import re

from starlette.requests import Request
from starlette.responses import Response

from hookline.web.faults import Fault
from hookline.web.problems import Problem

_TAG = re.compile(r'(?:W/)?("[\x21\x23-\x7e\x80-\xff]*")')


def tag(content: bytes) -> str:
    """The entity tag of what is answered as `content`."""
    return f'"{hashlib.blake2b(content, digest_size=16).hexdigest()}"'


def check_accepted(request: Request, media: str) -> None:
    """Return if the client takes `media`; raises `Problem` 406."""
    given = ",".join(request.headers.getlist("accept"))
    ranges = [_range(each) for each in given.split(",") if each.strip()]
    kind = media.partition("/")[0]
    for wanted in (media, f"{kind}/*", "*/*"):  # what names it most closely counts
        if (takes := next((takes for name, takes in ranges if name == wanted), None)) is not None:
            if takes:
                return
            break
    if ranges:
        raise Problem(Fault.NOT_ACCEPTABLE, f"this is answered as {media}")


def _range(text: str) -> tuple[str, bool]:
    """A media range, and whether it is wanted at all."""
    name, *parameters = (each.strip().lower() for each in text.split(";"))
    weights = (each.partition("=")[2].strip() for each in parameters if each.startswith("q="))
    return name, not re.fullmatch(r"0(\.0*)?", next(weights, "1"))


def fresh(request: Request, response: Response) -> Response:
    """`response` to who looks, with its tag; without its body if the client has that already.

    Only who asked may keep it, and has to ask whether it is still so.
    """
    response.headers.setdefault("Cache-Control", "private, no-cache")
    response.headers.setdefault("Vary", "Authorization, Cookie")
    if response.status_code != 200 or not hasattr(response, "body"):
        return response
    found = response.headers.setdefault("ETag", tag(bytes(response.body)))
    if not _names(request.headers.getlist("if-none-match"), found):
        return response
    kept = {name: response.headers[name] for name in ("ETag", "Cache-Control", "Vary")}
    return Response(status_code=304, headers=kept)


def check_unchanged(request: Request, found: str | None) -> None:
    """Return if `If-Match` is not given, or names the tag `found` of what is there; raises `Problem` 412."""
    given = request.headers.getlist("if-match")
    if given and (found is None or not _names(given, found)):
        told = "there is none" if found is None else f"it is {found} now"
        raise Problem(Fault.PRECONDITION_FAILED, f"If-Match does not name what is there: {told}")


def _names(given: list[str], found: str) -> bool:
    """Whether a list of tags has `found`; a proxy that has compressed an answer makes its tag a weak one."""
    told = ",".join(given)
    return told.strip() == "*" or found in _TAG.findall(told)
