"""Peeking: JSON text of any size, decoded only where somebody looks, so that a large one costs no more than that."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any

import msgspec

from hookline import codec
from hookline.codec import Undecodable
from hookline.cutting import parts_of

LARGE = 262_144
"""Bytes; of a longer text no table of its names is made, which could be larger than the text itself."""

INTRICATE = {b"[": 1_000_000, b"{": 1_000_000, b",": 2_500_000, b"\\": 4_000_000}
"""How often each of these may stand in a large text.

They, and hardly its bytes, make the time that one look takes, in which no other thread goes on: 20 MB of a push are
looked through in 15 ms, 20 MB of `[[[[` in 150. What senders send has one bracket in a hundred bytes.
"""

BREATH = 0.002
"""Seconds that others have after each look at a large text, so that nobody has to wait for two of them."""

FIRST_ITEMS = 8
"""Of a large list so many are found without a table of them all."""

FEW_OBJECTS = 100_000
"""Of a large list with more of them no table is made at once."""

_OBJECT, _LIST, _SPACE = b"{[ "
_FIRST = re.compile(rb"[^ \t\r\n]")
_EMPTY = re.compile(rb"\s*(?:\{\s*\}|\[\s*\]|\"\")")
_PLAIN = re.compile(r"[^\x00-\x1f\"\\]*")

_tables = msgspec.json.Decoder(dict[str, msgspec.Raw])
_anything = msgspec.json.Decoder(msgspec.Raw)
_NOTHING = msgspec.Raw()
_lists = msgspec.json.Decoder(list[msgspec.Raw])
_objects = msgspec.json.Decoder(list[msgspec.defstruct("Object", [], gc=False)])  # type: ignore[misc]


class Unread:
    """JSON text that has not been decoded: an object, a list or a large text."""

    __slots__ = ("raw",)

    def __init__(self, raw: bytes | msgspec.Raw) -> None:
        self.raw = raw

    def __bool__(self) -> bool:
        return not _EMPTY.match(memoryview(self.raw))

    def __repr__(self) -> str:
        return f"{type(self).__name__}({len(memoryview(self.raw))} bytes)"


@Mapping.register
class Peek(Unread):
    """A JSON object: its values are builtins, but that an object in it is a `Peek`, and what is large is `Unread`.

    Args:
        raw: its text; what is wrong with it is told by `Undecodable` when somebody looks there.

    Example:
        >>> Peek(b'{"after": "9fceb02", "commits": [{"id": "9fceb02"}]}')["commits"][0]["id"]
        '9fceb02'
    """

    __slots__ = ("_found", "_seen", "_table")

    def __init__(self, raw: bytes | msgspec.Raw) -> None:
        self.raw = raw
        self._table: dict[str, msgspec.Raw] | None = None
        self._found: dict[str, msgspec.Raw] = {}
        self._seen: dict[str, Any] = {}

    def __getitem__(self, name: str) -> Any:
        found = self.get(name, _NOTHING)
        if found is _NOTHING:
            raise KeyError(name)
        return found

    def get(self, name: str, default: Any = None) -> Any:
        """What is at `name`, else `default`."""
        if name in self._seen:
            return self._seen[name]
        raw = self._find(name) if self._table is None else self._table.get(name)
        if raw is None:
            return default
        found = self._seen[name] = glance(raw)
        return found

    def items(self) -> Iterator[tuple[str, Any]]:
        """All names and what is there."""
        return ((name, self[name]) for name in self)

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and self.get(name, _NOTHING) is not _NOTHING

    def __iter__(self) -> Iterator[str]:
        return iter(self._all())

    def _find(self, name: str) -> msgspec.Raw | None:
        if (found := self._found.get(name)) is None:
            only = _only(name)
            found = self._all().get(name, _NOTHING) if only is None else found_by(only, self.raw).value
            self._found[name] = found
        return found or None

    def _all(self) -> dict[str, msgspec.Raw]:
        if self._table is None:
            self._table = found_by(_tables, self.raw)
        return self._table


class Items(Unread):
    """A large JSON list; its items are as the values of a `Peek`."""

    __slots__ = ("_list",)

    def __init__(self, raw: bytes | msgspec.Raw) -> None:
        super().__init__(raw)
        self._list: list[msgspec.Raw] | None = None

    def __getitem__(self, index: int) -> Any:
        if 0 <= index < FIRST_ITEMS and self._list is None:
            first = found_by(_first(index + 1), self.raw)
            if not (found := getattr(first, f"at{index}")):
                raise IndexError(index)
            return glance(found)
        return glance(self._all()[index])

    def __iter__(self) -> Iterator[Any]:
        for part in parts_of(self.raw):
            yield from map(glance, found_by(_lists, part))

    def __len__(self) -> int:
        return len(self._all())

    def objects(self) -> int:
        """How many items there are, if all are objects, else none."""
        try:
            return len(found_by(_objects, self.raw))
        except Undecodable:
            return 0

    def at(self, name: str) -> list[Any] | None:
        """What is at `name` in those of its items that have it; `None` if some are objects, and not all."""
        if not _PLAIN.fullmatch(name):
            return None
        objects = _count(self.raw, b"{")
        if not objects:
            return []
        finds = _only_each(name)
        try:
            parts = parts_of(self.raw) if objects > FEW_OBJECTS else (self.raw,)
            return [glance(each.value) for part in parts for each in found_by(finds, part) if each.value]
        except Undecodable:
            return None

    def _all(self) -> list[msgspec.Raw]:
        if self._list is None:
            self._list = found_by(_lists, self.raw)
        return self._list


def peek(raw: bytes) -> Peek:
    """The object that `raw` is, all of which is sound.

    Raises:
        Undecodable: it is no JSON object, or what `check` raises.
    """
    found = Peek(raw)
    if len(raw) <= LARGE:
        check_text(raw)
        found._all()  # noqa: SLF001 - of this module; to make the table is to check the rest
    elif isinstance(glance(raw), Peek):
        check(raw)
    else:
        raise Undecodable("not JSON: no object")
    return found


def check(raw: bytes) -> None:
    """Return if all of `raw` is sound JSON, which can be decoded wherever somebody looks.

    Raises:
        Undecodable: it is not, is nested too deeply, or so intricate that each look would hold up everybody else.
    """
    for what, most in INTRICATE.items() if len(raw) > LARGE else ():
        if _count(raw, what) > most:
            raise Undecodable(f"not to be read: {len(raw)} bytes with more than {most} {what.decode()}")
    check_text(raw)
    found_by(_anything, raw)


def whole(found: Any) -> Any:
    """What is `Unread`, as builtins; everything else as it is."""
    return codec.decode(found.raw) if isinstance(found, Unread) else found


def glance(raw: bytes | msgspec.Raw) -> Any:
    """What `raw` is: a `Peek` of an object, `Unread` if it is large, else a builtin; raises `Undecodable`."""
    view = memoryview(raw)
    first = view[0] if view else _SPACE
    if first <= _SPACE and (behind := _FIRST.search(view)):
        first = ord(behind[0])
    if first == _OBJECT:
        return Peek(raw)
    if len(view) > LARGE:
        return Items(raw) if first == _LIST else Unread(raw)
    return codec.decode(raw)


def _count(raw: bytes | msgspec.Raw, what: bytes) -> int:
    """How often `what` stands in `raw`, counted part by part, between which others may go on."""
    view = memoryview(raw)
    return sum(bytes(view[start : start + codec.PART]).count(what) for start in range(0, len(view), codec.PART))


def check_text(raw: bytes) -> None:
    """Return if it is UTF-8, else raise `Undecodable`: msgspec does not look into the text that it passes over."""
    if raw.isascii():
        return
    try:
        for _ in codec.texts(raw):
            pass
    except UnicodeDecodeError as error:
        raise Undecodable(f"not JSON: {error}") from None


@lru_cache(maxsize=256)
def _only(name: str) -> msgspec.json.Decoder[Any] | None:
    """What finds the value at `name` in an object, and passes over everything else; `None` for a strange name."""
    return msgspec.json.Decoder(_shape(name)) if _PLAIN.fullmatch(name) else None


@lru_cache(maxsize=256)
def _only_each(name: str) -> msgspec.json.Decoder[Any]:
    """The same for each object in a list."""
    return msgspec.json.Decoder(list[_shape(name)])  # type: ignore[misc]


@lru_cache(maxsize=FIRST_ITEMS)
def _first(count: int) -> msgspec.json.Decoder[Any]:
    """What finds the first items of a list, and passes over the rest."""
    names = [(f"at{index}", msgspec.Raw, _NOTHING) for index in range(count)]
    return msgspec.json.Decoder(msgspec.defstruct("First", names, array_like=True))


def _shape(name: str) -> Any:
    return msgspec.defstruct("Only", [("value", msgspec.Raw, _NOTHING)], rename={"value": name}, gc=False)


def found_by(decoder: msgspec.json.Decoder[Any], raw: bytes | msgspec.Raw) -> Any:
    """What `decoder` finds in `raw`; others have a moment after it, if that is large. Raises `Undecodable`."""
    try:
        return decoder.decode(raw)
    except (msgspec.MsgspecError, UnicodeError, RecursionError) as error:
        raise Undecodable(f"not JSON of the shape that was asked for: {error}") from None
    finally:
        if len(memoryview(raw)) > LARGE:
            time.sleep(BREATH)
