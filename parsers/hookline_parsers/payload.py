"""Payload: the JSON object that a delivery brings, read once, and what of it is fit for filters."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from hookline.errors import Unparseable
from hookline.events import Pattern
from hookline.ingress.schemes import Verified

KEY = re.compile(r"[!-~]{1,200}")
"""What a sender's id of a delivery may look like."""

NAME = re.compile(r"[A-Za-z0-9_.:/-]{1,100}")
"""What an event's name may look like."""

ACTION = re.compile(r"[A-Za-z0-9_-]{1,100}")
"""What an action's name may look like."""

Names = str | Iterable[str] | None
"""A glob, or several, of which one must match."""


def payload(delivery: Verified) -> dict[str, Any]:
    """The object that the body is; raises `Unparseable`."""
    if delivery.read is None:
        delivery.read = decoded(delivery.body)
    found: dict[str, Any] = delivery.read
    return found


def decoded(raw: bytes) -> dict[str, Any]:
    """The object that `raw` is; raises `Unparseable`."""
    try:
        return msgspec.json.decode(raw, type=dict[str, Any])
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise Unparseable(f"the payload is not a JSON object: {str(error)[:200]}") from None


def key_of(given: object) -> str:
    """A sender's id of a delivery; raises `Unparseable` unless it is one."""
    if not isinstance(given, str) or not KEY.fullmatch(given):
        raise Unparseable("there is no usable id of the delivery")
    return given


def name_of(given: object) -> str:
    """An event's name; raises `Unparseable` unless it is one."""
    if not isinstance(given, str) or not NAME.fullmatch(given):
        raise Unparseable("there is no usable name of the event")
    return given


def with_action(type_: str, action: object) -> str:
    """The type of what was done, if it is told in a word."""
    return f"{type_}.{action}" if isinstance(action, str) and ACTION.fullmatch(action) else type_


def at(data: Any, *path: str | int) -> Any:
    """What is at `path` of `data`; `None` if nothing is."""
    for each in path:
        if isinstance(each, str):
            data = data.get(each) if isinstance(data, Mapping) else None
        else:
            data = data[each] if isinstance(data, list) and len(data) > each else None
    return data


def fields(**found: object) -> dict[str, Any]:
    """What of `found` is text or a whole number: a strange one must not lose the delivery."""
    return {name: value for name, value in found.items() if isinstance(value, str | int) and value != ""}


def words(text: str) -> str:
    """`text` as the words of an event's type are written: `Merge Request` is `merge_request`."""
    return re.sub(r"[^a-z0-9]+", "_", text.lower()).strip("_")


def picked(prefix: str, name: Names, filters: Mapping[str, Names]) -> Pattern:
    """The events of a sender, by their names, and by globs that their fields must match."""
    types = [f"{prefix}.{each}" for each in names(name)] or [prefix]
    return Pattern(types, {field: names(globs) for field, globs in filters.items() if globs is not None})


def names(given: Names) -> tuple[str, ...]:
    """The globs, as a tuple."""
    if given is None:
        return ()
    return (given,) if isinstance(given, str) else tuple(given)
