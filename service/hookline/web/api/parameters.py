"""Parameters: what a request asks for, checked, with the right problem for what does not fit."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from starlette.requests import Request

from hookline.web.problems import Problem

LARGEST_PAGE = 200


@dataclass(frozen=True, slots=True)
class Page:
    """Which page of a list is wanted: `limit` rows from behind the row `before`."""

    limit: int
    before: UUID | None


def page(request: Request) -> Page:
    """From `?limit=&cursor=`; raises `Problem` 422."""
    limit, cursor = request.query_params.get("limit", "50"), request.query_params.get("cursor")
    if not limit.isdecimal() or not 1 <= int(limit) <= LARGEST_PAGE:
        raise Problem(422, f"limit is from 1 to {LARGEST_PAGE}, not {limit[:20]!r}")
    try:
        return Page(int(limit), None if cursor is None else UUID(cursor))
    except ValueError:
        raise Problem(422, "cursor is the `next` of the page before") from None


def known(request: Request, allowed: Collection[str]) -> None:
    """Return if the query has only parameters that are `allowed`, or a page's; raises `Problem` 422."""
    for name in request.query_params:
        if name not in allowed and name not in ("limit", "cursor"):
            raise Problem(422, f"there is no parameter {name[:50]!r}; there are {', '.join(sorted(allowed))}")


def one_of(request: Request, name: str, allowed: Collection[str]) -> str | None:
    """The parameter `name`, if it is given; raises `Problem` 422 if it is not one of `allowed`."""
    given = request.query_params.get(name)
    if given is not None and given not in allowed:
        raise Problem(422, f"{name} is one of {', '.join(allowed)}, not {given[:50]!r}")
    return given


def text(request: Request, name: str) -> str | None:
    """The parameter `name`, if it is given; raises `Problem` 422 for what Postgres cannot look for."""
    given = request.query_params.get(name)
    if given is not None and "\0" in given:
        raise Problem(422, f"{name} holds a NUL character")
    return given


def id_(request: Request, noun: str) -> UUID:
    """The id in the path; raises `Problem` 404."""
    try:
        return UUID(request.path_params["id"])
    except ValueError:
        raise Problem(404, f"there is no {noun} {request.path_params['id'][:50]!r}") from None


def storable(*texts: str | None) -> None:
    """Return if Postgres can hold `texts`; raises `Problem` 422."""
    if any(text is not None and "\0" in text for text in texts):
        raise Problem(422, "a name holds a NUL character")


def seconds(request: Request, name: str, default: float, most: float) -> float:
    """The parameter `name` as a number of seconds; raises `Problem` 422."""
    given = request.query_params.get(name)
    try:
        found = default if given is None else float(given)
    except ValueError:
        found = -1.0
    if not 0 <= found <= most:
        raise Problem(422, f"{name} is from 0 to {most:g} seconds, not {str(given)[:20]!r}")
    return found


def moment(request: Request, name: str) -> datetime | None:
    """The moment `name`, if it is given; raises `Problem` 422 if it is none, or has no time zone."""
    given = request.query_params.get(name)
    if given is None:
        return None
    try:
        found = datetime.fromisoformat(given)
    except ValueError:
        found = None
    if found is None or found.tzinfo is None or not 1970 <= found.year < 9999:
        raise Problem(422, f"{name} is a moment with its time zone, as in 2026-11-21T12:00Z, not {given[:50]!r}")
    return found
