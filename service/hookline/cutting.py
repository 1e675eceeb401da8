"""Cutting: a large JSON list as shorter ones, found at its commas, so that nobody waits for all of it."""

from __future__ import annotations

import re
from collections.abc import Iterator

import msgspec

from hookline import codec
from hookline.codec import Undecodable

# Part of a text: nobody else goes on while a pattern is looked for.
_TEXT = rb"[^\"\\]{0,65536}+(?:\\.[^\"\\]{0,1024}+){0,64}+"
_MARK = re.compile(rb"[\[\]{},\"](?:(?<=\")%b\")?" % _TEXT, re.DOTALL)
_MORE = re.compile(_TEXT, re.DOTALL)


def parts_of(raw: bytes | msgspec.Raw) -> Iterator[bytes]:
    """The list that `raw` is, as shorter lists of its items; raises `Undecodable`."""
    view, depth, begin = memoryview(raw), 0, 0
    for at in _marks(view):
        mark = view[at]
        if mark in b"[{":
            begin = begin if depth else at + 1
            depth += 1
        elif mark in b"]}":
            depth -= 1
            if not depth:
                yield b"[" + view[begin:at] + b"]"
                return
        elif mark in b"," and depth == 1 and at - begin >= codec.PART:
            yield b"[" + view[begin:at] + b"]"
            begin = at + 1
    raise Undecodable("not JSON: a list without an end")


def _marks(view: memoryview) -> Iterator[int]:
    """Where brackets, braces and commas stand that are in no text, and where texts begin."""
    at = 0
    while at < len(view):
        for found in _MARK.finditer(view, at, at + codec.PART):
            if found[0] == b'"':  # of a text that ends elsewhere
                at = found.end()
                while (more := _MORE.match(view, at)) and at < more.end():
                    at = more.end()
                at += 1
                break
            yield found.start()
        else:
            at += codec.PART
