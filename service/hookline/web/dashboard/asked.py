"""Asked: what the address of a page asks for, checked, with a problem for what does not fit."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from typing import TypeVar

from starlette.requests import Request

from hookline.web.api import parameters
from hookline.web.api.parameters import Page
from hookline.web.faults import Fault
from hookline.web.problems import Problem

T = TypeVar("T", bound=str)


def page(request: Request) -> Page:
    """From `?limit=&cursor=`; raises `Problem` 422."""
    return parameters.read({k: v for k, v in request.query_params.items() if k in ("limit", "cursor")}, Page)


def one_of(request: Request, name: str, allowed: Collection[T]) -> T | None:
    """The parameter `name`, if it is given; raises `Problem` 422 if it is not one of `allowed`."""
    given = request.query_params.get(name)
    found = next((each for each in allowed if each == given), None)
    if given is not None and found is None:
        raise Problem(Fault.INVALID_PARAMETER, f"{name} is one of {', '.join(allowed)}, not {given[:50]!r}")
    return found


def text(request: Request, name: str) -> str | None:
    """The parameter `name`, if it is given; raises `Problem` 422 for what Postgres cannot look for."""
    given = request.query_params.get(name)
    if given is not None and "\0" in given:
        raise Problem(Fault.INVALID_PARAMETER, f"{name} holds a NUL character")
    return given


def moment(request: Request, name: str) -> datetime | None:
    """The moment `name`, if it is given; raises `Problem` 422 if it is none, or has no time zone."""
    given = request.query_params.get(name)
    return None if given is None else parameters.moment(name, given)
