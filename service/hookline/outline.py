"""Outlines: what is at certain paths of JSON text, all found in one pass, in which the whole of it is checked."""

from __future__ import annotations

from operator import attrgetter
from typing import Any

import msgspec

from hookline.codec import Undecodable
from hookline.peek import LARGE, Peek, check_text, found_by, glance, peek

_NOTHING = msgspec.Raw()


class Outline:
    """The paths at which a parser looks in every payload.

    Args:
        paths: dotted names, such as `repository.full_name`, of letters, digits and underscores; at least two, of which
            none leads through another.

    Example:
        >>> Outline("ref", "sender.login").read(b'{"ref": "refs/heads/main", "sender": {"login": "mona"}}')[1]
        {'ref': 'refs/heads/main', 'sender.login': 'mona'}
    """

    def __init__(self, *paths: str) -> None:
        self._paths = paths
        self._decoder = msgspec.json.Decoder(_shape([path.split(".") for path in paths]))
        self._found = attrgetter(*(".".join(map(_attribute, path.split("."))) for path in paths))

    def read(self, raw: bytes) -> tuple[Peek, dict[str, Any]]:
        """The object that `raw` is, all of which is sound, and by its paths what is there, as the values of a `Peek`.

        Raises:
            Undecodable: it is no JSON object, or what `check` raises.
        """
        if len(raw) > LARGE:
            body = peek(raw)
        else:
            check_text(raw)
            body = Peek(raw)
        try:
            found = self._found(found_by(self._decoder, raw))
        except (Undecodable, AttributeError):  # no object where one was expected, or nothing sound at all
            body = peek(raw)
            return body, {path: value for path in self._paths if (value := _at(body, path)) is not None}
        return body, {path: glance(value) for path, value in zip(self._paths, found, strict=True) if value}


def _at(value: Any, path: str) -> Any:
    for name in path.split("."):
        value = value.get(name) if isinstance(value, Peek) else None
    return value


def _shape(paths: list[list[str]]) -> Any:
    """The type of an object that has nothing but what leads to `paths`."""
    fields: list[tuple[str, Any, Any]] = []
    for name in dict.fromkeys(first for first, *_ in paths):
        below = [rest for first, *rest in paths if first == name and rest]
        kind = _shape(below) if below else msgspec.Raw
        fields.append((_attribute(name), kind, msgspec.field(default_factory=kind) if below else _NOTHING))
    names = {_attribute(first): first for first, *_ in paths}
    return msgspec.defstruct("Outlined", fields, rename=names, gc=False)


def _attribute(name: str) -> str:
    return f"at_{name}"
