"""Redaction: which fields of payloads nobody is shown, whoever asks; code still has them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Any, Final
from urllib.parse import parse_qsl, urlencode

from hookline import codec

REDACTED: Final = "[redacted]"
HIDDEN: Final = b'"[redacted]"'

MOST = 262_144
"""Bytes of a value that is looked through; a larger one is hidden as a whole, lest everybody wait for it."""

MOST_PATTERNS, LONGEST_PATTERN = 50, 200
MOST_STEPS = 1000
MOST_WORK = 150_000
"""Members that are held against globs, about, before a value is hidden as a whole: some tenths of a second."""

MOST_FIELDS, DEEPEST_FIELD = 1000, 20
"""Of a form that is looked through, and names in the name of one of its fields."""

ROOMS = frozenset({"data", "fields", "input", "output"})
ENVELOPES = 2
"""What an envelope, which may be one of a list, holds payload under: the patterns begin there as well."""

_CONTAINERS = (dict, list)
_SEGMENT = re.compile(r"\*\*|[^.\s]+")
_FORM = re.compile(rb"[!-~]*=[!-~]*")
_BRACKETS = re.compile(r"\[([^\[\]]*)\]")

_Place = tuple[int, int]
"""Of a pattern, by its number, the segment that is next."""

_Places = frozenset[_Place]


def check(pattern: str) -> str:
    """`pattern`, if it is one: names with dots between them, `*` for any characters of one, `**` for any names.

    Raises:
        ValueError: it is not.
    """
    parts = pattern.split(".")
    if len(pattern) > LONGEST_PATTERN or not all(_SEGMENT.fullmatch(part) for part in parts) or parts[-1] == "**":
        raise ValueError(f"is a path such as user.email, *.password or **.token, not {pattern[:80]!r}")
    if any("**" in part and part != "**" for part in parts):
        raise ValueError(f"has ** for whole names, as in **.token, not {pattern[:80]!r}")
    return pattern


class _Step:
    """What may come next, seen from some places in some patterns.

    Args:
        literal: where a pattern is behind a name.
        globs: those that fit more than one name, and where their patterns are behind it.
        stays: where they are behind any other name.
        lists_alike: whether all elements of a list are alike to them.
    """

    __slots__ = ("globs", "lists_alike", "literal", "stays")

    def __init__(self) -> None:
        self.literal: dict[str, set[_Place]] = {}
        self.globs: list[tuple[str, _Place]] = []
        self.stays: _Places = frozenset()
        self.lists_alike = True


class Redactor:
    """Hides the fields that fit one of `patterns`; names are compared without regard to case.

    Example:
        >>> Redactor(["**.token"]).json(b'{"a": [{"token": 1}]}')
        b'{"a":[{"token":"[redacted]"}]}'
    """

    def __init__(self, patterns: Sequence[str]) -> None:
        self._patterns = [check(each).lower().split(".") for each in patterns]
        self._begin = self._closed((number, 0) for number in range(len(self._patterns)))
        self._steps: dict[_Places, _Step] = {}

    def __bool__(self) -> bool:
        """Whether there is a pattern."""
        return bool(self._patterns)

    def json(self, data: bytes) -> bytes:
        """JSON `data` without what fits: written anew, so that nothing is left of it that was not looked at.

        What is too large, too deep or no JSON is hidden as a whole.
        """
        if len(data) > MOST:
            return HIDDEN
        try:
            return codec.encode(self.value(codec.decode(data)))
        except codec.Undecodable:
            return HIDDEN

    def body(self, data: bytes) -> bytes:
        """A delivery's body without what fits, if it is JSON or a form; another text has no fields."""
        if data.lstrip(b"\xef\xbb\xbf \t\r\n")[:1] in (b"{", b"["):
            return self.json(data)
        if _FORM.fullmatch(data):
            return HIDDEN if len(data) > MOST else self._form(data)
        return data

    def value(self, value: Any) -> Any:
        """`value`, as JSON was decoded, changed in place; what takes too long to look through is hidden as a whole."""
        work = 0
        stack: list[tuple[Any, _Places, int]] = [(value, self._begin, 0)] if type(value) in _CONTAINERS else []
        while stack:
            at, places, depth = stack.pop()
            is_outer = depth < ENVELOPES
            step = self._steps.get(places) or self._step(places)
            work += 1 + len(at) * (1 + len(step.globs))
            if work > MOST_WORK:
                return REDACTED
            if isinstance(at, dict):
                members: Iterable[tuple[Any, str]] = [(name, name) for name in at]
            elif is_outer and depth and len(at) == 2 and isinstance(at[0], str):
                members, places = [(1, at[0])], self._begin
            elif step.lists_alike:
                behind = self._behind(places, "0")
                if behind is None:
                    at[:] = [REDACTED] * len(at)
                elif behind or is_outer:
                    stack += [(each, behind, depth + 1) for each in at if each and type(each) in _CONTAINERS]
                continue
            else:
                members = [(number, str(number)) for number in range(len(at))]
            for member, name in members:
                behind = self._behind(places, name)
                if behind is None:
                    at[member] = REDACTED
                elif type(each := at[member]) in _CONTAINERS:
                    if is_outer and name in ROOMS:
                        behind |= self._begin
                    if behind or is_outer:
                        stack.append((each, behind, depth + 1))
        return value

    def _form(self, data: bytes) -> bytes:
        """A form without what fits; `a[b]` is `b` of `a`, and a field may hold JSON, as with GitHub and Slack."""
        told = []
        try:
            fields = parse_qsl(data.decode(), keep_blank_values=True, max_num_fields=MOST_FIELDS)
        except ValueError:
            return HIDDEN
        for name, text in fields:
            places: _Places | None = self._begin if name.count("[") <= DEEPEST_FIELD else None
            for part in () if places is None else (_BRACKETS.sub("", name), *_BRACKETS.findall(name)):
                places = None if places is None else self._behind(places, part)
            if places is None:
                told.append((name, REDACTED))
            elif text.lstrip()[:1] in ("{", "["):
                told.append((name, self.json(text.encode("utf-8", "replace")).decode()))
            else:
                told.append((name, text))
        return urlencode(told, safe="[]").encode()

    def _behind(self, places: _Places, name: str) -> _Places | None:
        """Where the patterns may be behind `name`; `None` if one has ended there."""
        step = self._steps.get(places) or self._step(places)
        name = name.lower()
        found = step.literal.get(name, ())
        if step.globs:
            found = {*found, *(place for glob, place in step.globs if _fits(glob, name))}
        if not found:
            return step.stays
        if any(place == len(self._patterns[number]) for number, place in found):
            return None
        return step.stays | self._closed(found)

    def _step(self, places: _Places) -> _Step:
        step = _Step()
        stays = []
        for number, place in places:
            segment = self._patterns[number][place]
            if segment == "**":
                stays.append((number, place))
            elif "*" in segment:
                step.globs.append((segment, (number, place + 1)))
            else:
                step.literal.setdefault(segment, set()).add((number, place + 1))
        step.stays = self._closed(stays)
        step.lists_alike = all(glob == "*" for glob, _ in step.globs) and not any(map(str.isdecimal, step.literal))
        if len(self._steps) < MOST_STEPS:
            self._steps[places] = step
        return step

    def _closed(self, places: Iterable[_Place]) -> _Places:
        """With what comes behind each `**`, which may stand for no name at all."""
        found: set[_Place] = set()
        for number, start in places:
            place = start
            found.add((number, place))
            while self._patterns[number][place] == "**":
                place += 1
                found.add((number, place))
        return frozenset(found)


def _fits(segment: str, name: str) -> bool:
    """Whether `name` fits `segment`, in which `*` is any characters; in a time that grows with both alone."""
    if "*" not in segment:
        return segment == name
    first, *middle, last = segment.split("*")
    if not (len(name) >= len(first) + len(last) and name.startswith(first) and name.endswith(last)):
        return False
    at, end = len(first), len(name) - len(last)
    for part in middle:
        found = name.find(part, at, end)
        if found < 0:
            return False
        at = found + len(part)
    return True
