"""Payload: the JSON object that a delivery brings, read once, and what of it is fit for filters."""

from __future__ import annotations

import binascii
import re
from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import unquote_to_bytes

from hookline.codec import Undecodable
from hookline.errors import Unparseable
from hookline.events import Pattern
from hookline.ingress.schemes import Verified
from hookline.outline import Outline
from hookline.peek import Items, Peek, peek

KEY = re.compile(r"[!-~]{1,200}")
"""What a sender's id of a delivery may look like."""

NAME = re.compile(r"[A-Za-z0-9_.:/-]{1,100}")
"""What an event's name may look like."""

ACTION = re.compile(r"[A-Za-z0-9_-]{1,100}")
"""What an action's name may look like."""

LONGEST = 65_536
"""Characters of a field, at most: it is kept with the event besides the payload."""

MOST_FIELDS = 50
"""Fields of a form, at most."""

PART = 65_536

_BROKEN = re.compile(rb"%(?![0-9A-Fa-f]{2})")
_AS_QUOTED_PRINTABLE = bytes.maketrans(b"%+", b"= ")

Names = str | Iterable[str] | None
"""A glob, or several, of which one must match."""


def payload(delivery: Verified) -> Peek:
    """The object that the body is; raises `Unparseable`."""
    if delivery.read is None:
        delivery.read = decoded(delivery.body)
    found: Peek = delivery.read
    return found


def decoded(raw: bytes) -> Peek:
    """The object that `raw` is; raises `Unparseable`."""
    try:
        return peek(raw)
    except Undecodable as error:
        raise Unparseable(f"the payload is not a JSON object: {str(error)[:200]}") from None


def outlined(raw: bytes, outline: Outline) -> tuple[Peek, dict[str, Any]]:
    """The object that `raw` is, and what is at the paths of `outline`; raises `Unparseable`."""
    try:
        return outline.read(raw)
    except Undecodable as error:
        raise Unparseable(f"the payload is not a JSON object: {str(error)[:200]}") from None


def form(body: bytes) -> dict[str, bytes]:
    """The fields of an `application/x-www-form-urlencoded` body, each of which may come once; raises `Unparseable`."""
    found: dict[str, tuple[int, int]] = {}
    start = 0
    while start <= len(body):
        end = body.find(b"&", start)
        end = len(body) if end < 0 else end
        equals = body.find(b"=", start, end)
        name = _unquoted(body, start, equals).decode("utf-8", "replace") if 0 <= equals <= start + PART else None
        if name is None or name in found or len(found) > MOST_FIELDS:
            raise Unparseable("the body is not a form")
        found[name] = equals + 1, end
        start = end + 1
    if not body.isascii():
        raise Unparseable("the body is not a form")
    return {name: _unquoted(body, *place) for name, place in found.items()}


def _unquoted(body: bytes, start: int, end: int) -> bytes:
    """What is written from `start` to `end`, a part at a time, so that others may go on."""
    parts = []
    while start < end:
        to = min(start + PART, end)
        if to < end and (cut := body.rfind(b"%", to - 2, to)) > start:  # whose two digits are in the next part
            to = cut
        parts.append(_part_unquoted(body[start:to]))
        start = to
    return b"".join(parts)


def _part_unquoted(written: bytes) -> bytes:
    """As the library does it, which makes an object of every `%`; sound `%xx` are as quoted-printable text's `=xx`."""
    if _BROKEN.search(written):
        return unquote_to_bytes(written.replace(b"+", b" "))
    return binascii.a2b_qp(written.replace(b"=", b"%3D").translate(_AS_QUOTED_PRINTABLE))


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
            data = data.get(each) if isinstance(data, Peek | dict) else None
        else:
            data = _item(data, each) if isinstance(data, list | Items) else None
    return data


def _item(items: list[Any] | Items, index: int) -> Any:
    try:
        return items[index]
    except IndexError:
        return None


def fields(**found: object) -> dict[str, Any]:
    """What of `found` is text or a whole number of a sensible size: a strange one must not lose the delivery."""
    return {name: value for name, value in found.items() if value is not None and _is_fit(value)}


def _is_fit(value: object) -> bool:
    if isinstance(value, str):
        return 0 < len(value) <= LONGEST
    return isinstance(value, int) and abs(value) < 2**63


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
