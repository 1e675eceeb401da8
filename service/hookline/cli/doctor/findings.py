"""Findings: what was looked at, how it is, and what to do about it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

from msgspec import Struct

State = Literal["ok", "warning", "problem"]

Found = Iterator[tuple[State, str, str]]
"""What a check finds: how it is, what was found, and what to do next, which is nothing if it is ok."""


class Finding(Struct, frozen=True):
    """One thing that was looked at.

    Args:
        area: what it is about, a word.
    """

    area: str
    state: State
    found: str
    todo: str = ""


def span(seconds: float) -> str:
    """A span of time, for people."""
    for unit, length in (("d", 86_400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * length:
            return f"{seconds / length:.0f} {unit}"
    return f"{seconds:.0f} s" if seconds >= 1 else f"{seconds * 1000:.0f} ms"


def size(count: float) -> str:
    """So many bytes, for people."""
    for unit in ("bytes", "kB", "MB"):
        if count < 1024:
            return f"{count:.0f} {unit}"
        count /= 1024
    return f"{count:.1f} GB"


def many(number: int, noun: str) -> str:
    """So many of them."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
