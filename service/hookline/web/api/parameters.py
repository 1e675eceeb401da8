"""Parameters: what a request asks for, checked, with the right problem for what does not fit."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, TypeVar, get_args
from uuid import UUID

import msgspec
from starlette.requests import Request

from hookline.web.faults import Fault
from hookline.web.problems import Problem

T = TypeVar("T", bound=str)

LARGEST_PAGE = 200


Text = Annotated[str, msgspec.Meta(pattern=r"^[^\x00]*$")]
"""A text that Postgres can look for."""

Moment = Annotated[datetime, msgspec.Meta(tz=True)]
"""A moment with its time zone, as in `2026-11-21T12:00:00Z`."""

Shape = TypeVar("Shape", bound=msgspec.Struct)


class Page(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """Which page of a list is wanted.

    Args:
        limit: how many rows, at most.
        cursor: the `next` of the page before.
    """

    limit: Annotated[int, msgspec.Meta(ge=1, le=LARGEST_PAGE)] = 50
    cursor: UUID | None = None


def query(request: Request, shape: type[Shape]) -> Shape:
    """The parameters of the query as `shape`; raises `Problem` 422."""
    return read(request.query_params, shape)


def read(told: Mapping[str, str], shape: type[Shape]) -> Shape:
    """What is `told` as `shape`; raises `Problem` 422."""
    given: dict[str, object] = {}
    known = {each.encode_name: each.type for each in msgspec.structs.fields(shape)}
    for name, value in told.items():
        if name not in known:
            raise Problem(
                Fault.INVALID_PARAMETER, f"there is no parameter {name[:50]!r}; there are {', '.join(sorted(known))}"
            )
        if "\0" in value:
            raise Problem(Fault.INVALID_PARAMETER, f"{name} holds a NUL character")
        given[name] = moment(name, value) if Moment in get_args(known[name]) else value
    try:
        return msgspec.convert(given, shape, strict=False)
    except msgspec.ValidationError as error:
        why, _, name = str(error).rstrip("`").rpartition(" - at `$.")
        words = [each for part in get_args(known[name]) for each in get_args(part) if isinstance(each, str)]
        raise Problem(
            Fault.INVALID_PARAMETER, f"{name}: {why[:200]}" + (f"; it is {' or '.join(words)}" if words else "")
        ) from None


def moment(name: str, given: str) -> datetime:
    """A moment as people write it, who leave out what is zero; raises `Problem` 422."""
    try:
        found = datetime.fromisoformat(given)
    except ValueError:
        found = None
    if found is None or found.tzinfo is None or not 1970 <= found.year < 9999:
        raise Problem(
            Fault.INVALID_PARAMETER,
            f"{name} is a moment with its time zone, as in 2026-11-21T12:00Z, not {given[:50]!r}",
        )
    return found


_UNKNOWN = {"run": Fault.UNKNOWN_RUN, "delivery": Fault.UNKNOWN_DELIVERY, "token": Fault.UNKNOWN_TOKEN}


def id_(request: Request, noun: str) -> UUID:
    """The id in the path of what is called `noun`; raises `Problem` 404."""
    try:
        return UUID(request.path_params["id"])
    except ValueError:
        raise Problem(_UNKNOWN[noun], f"there is no {noun} {request.path_params['id'][:50]!r}") from None


def storable(*texts: str | None) -> None:
    """Return if Postgres can hold `texts`; raises `Problem` 422."""
    if any(text is not None and "\0" in text for text in texts):
        raise Problem(Fault.INVALID_BODY, "a name holds a NUL character")
