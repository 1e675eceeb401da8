"""Pretty: what machines sent, laid out for people: JSON in its parts, a delivery as curl, two of them compared."""

from __future__ import annotations

import difflib
import re
import shlex
from collections.abc import Iterable, Sequence
from typing import Literal

import msgspec
from msgspec import Struct

COLOURED = 32_768
"""Characters; a longer text is shown in one colour."""

LINES = 3_000
"""Lines of each text that are compared."""

_TOKEN = re.compile(
    r'(?P<key>"(?:[^"\\]|\\.)*")(?=\s*:)|(?P<text>"(?:[^"\\]|\\.)*")|(?P<number>-?\d[\d.eE+-]*)|(?P<word>true|false|null)'
)

Part = tuple[Literal["key", "text", "number", "word", ""], str]


class Shown(Struct, frozen=True):
    """A text as a page shows it.

    Args:
        parts: its pieces, each with what it is.
        cut: whether there is more of it than is shown.
    """

    parts: Sequence[Part]
    cut: bool = False

    @property
    def text(self) -> str:
        """All of the pieces."""
        return "".join(text for _, text in self.parts)


def shown(given: str | bytes | None, *, most: int) -> Shown | None:
    """`given` laid out if it is JSON, else as it is; not more than `most` characters of it."""
    if given is None:
        return None
    text = given if isinstance(given, str) else given.decode("utf-8", "replace")
    if len(text) >= most:
        return Shown([("", _printable(text[:most]))], cut=True)
    try:
        text = msgspec.json.format(text.encode(), indent=2).decode()
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        return Shown([("", _printable(text))])
    return Shown(list(coloured(text)) if len(text) <= COLOURED else [("", text)])


def coloured(text: str) -> Iterable[Part]:
    """The pieces of a JSON text: keys, texts, numbers, words, and what is between them.

    Example:
        >>> list(coloured('{"a": 1}'))
        [('', '{'), ('key', '"a"'), ('', ': '), ('number', '1'), ('', '}')]
    """
    at = 0
    for found in _TOKEN.finditer(text):
        if found.start() > at:
            yield "", text[at : found.start()]
        yield found.lastgroup, found[0]  # type: ignore[misc]
        at = found.end()
    if at < len(text):
        yield "", text[at:]


def _printable(text: str) -> str:
    """`text` without what a browser would not show, or would show as something else."""
    return "".join(c if c.isprintable() or c in "\n\t" else "\N{REPLACEMENT CHARACTER}" for c in text)


HOP_BY_HOP = frozenset({"host", "content-length", "connection", "accept-encoding", "transfer-encoding"})


def curl(url: str, headers: Iterable[tuple[str, str]], body: bytes) -> str:
    """The command that posts `body` to `url` again, for a shell."""
    lines = [f"curl -sS {shlex.quote(url)}"]
    lines += [f"-H {shlex.quote(f'{name}: {value}')}" for name, value in headers if name.lower() not in HOP_BY_HOP]
    lines.append(f"--data-binary {shlex.quote(body.decode('utf-8', 'replace'))}")
    return " \\\n  ".join(lines)


class Line(Struct, frozen=True):
    """A line of two texts that are compared: `same`, only in the first, `gone`, or in the second, `new`; or a `gap`."""

    what: Literal["same", "gone", "new", "gap"]
    text: str


def compared(first: str, second: str, context: int = 3) -> list[Line]:
    """What differs between two texts, with a few lines around it; nothing if nothing does."""
    one, other = first.splitlines()[:LINES], second.splitlines()[:LINES]
    lines: list[Line] = []
    for group in difflib.SequenceMatcher(None, one, other, autojunk=len(one) + len(other) > 2000).get_grouped_opcodes(
        context
    ):
        if lines:
            lines.append(Line("gap", ""))
        for tag, a, b, c, d in group:
            if tag == "equal":
                lines += [Line("same", each) for each in one[a:b]]
            else:
                lines += [Line("gone", each) for each in one[a:b]] + [Line("new", each) for each in other[c:d]]
    return lines
