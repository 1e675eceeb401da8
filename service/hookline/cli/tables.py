"""Tables: rows that fit the terminal, in which no id is cut and no line is broken."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from msgspec import Struct
from rich.cells import cell_len
from rich.console import Console
from rich.table import Table
from rich.text import Text

from hookline.cli.client import as_line, harmless

GAP = 2
LEAST = 8
"""Characters that are left of a column that is cropped."""

STATES = {
    "succeeded": "green", "failed": "red", "cancelled": "yellow", "paused": "magenta", "running": "cyan",
    "started": "cyan", "intent": "cyan", "retrying": "yellow", "waiting": "blue", "abandoned": "dim", "skipped": "dim",
}  # fmt: skip

Cell = str | Text


class Column(Struct, frozen=True):
    """One column.

    Args:
        title: what stands above it.
        rank: 0 is always there; of the others the highest is cropped first, and then left out.
        right: whether it is a number.
        whole: whether it is of no use in part, as a time.
    """

    title: str
    rank: int = 0
    right: bool = False
    whole: bool = False


def console() -> Console:
    """Standard output: as wide as its terminal, or as COLUMNS says; a pipe or a file has all the room that it takes."""
    made = Console(highlight=False)
    if not made.is_terminal and not os.environ.get("COLUMNS", "").isdecimal():
        made.width = 100_000
    return made


def print_table(columns: Sequence[Column], rows: Iterable[Sequence[Cell]]) -> None:
    """Print rows under the titles of their columns."""
    out = console()
    out.print(drawn(columns, list(rows), out.width))


def drawn(columns: Sequence[Column], rows: Sequence[Sequence[Cell]], room: int) -> Table:
    """The table, at most `room` characters wide as long as what must not be cropped lets it."""
    texts = [[Text(harmless(each)) if isinstance(each, str) else each for each in row] for row in rows]
    natural = [
        max([cell_len(column.title), *(cell_len(row[number].plain) for row in texts)])
        for number, column in enumerate(columns)
    ]
    if _over(natural, room) > 0:  # then there is none for what says nothing
        natural = [width * any(row[number].plain for row in texts) for number, width in enumerate(natural)]
    widths = fitted(columns, natural, room)
    table = Table(box=None, header_style="bold", pad_edge=False, padding=(0, GAP, 0, 0), collapse_padding=True)
    shown = [number for number, width in enumerate(widths) if width]
    for number in shown:
        table.add_column(
            columns[number].title, width=widths[number], no_wrap=True, overflow="ellipsis",
            justify="right" if columns[number].right else "left",
        )  # fmt: skip
    for row in texts:
        table.add_row(*(row[number] for number in shown))
    return table


def fitted(columns: Sequence[Column], natural: Sequence[int], room: int) -> list[int]:
    """How wide each column becomes: from the least important on each is cropped, and left out if that is not enough."""
    widths = list(natural)
    for number in sorted(range(len(columns)), key=lambda number: -columns[number].rank):
        over = _over(widths, room)
        if columns[number].rank and widths[number] and over > 0:
            cropped = widths[number] - over
            widths[number] = 0 if columns[number].whole or cropped < LEAST else cropped
    return widths


def _over(widths: Sequence[int], room: int) -> int:
    shown = [width for width in widths if width]
    return sum(shown) + GAP * (len(shown) - 1) - room


def state(word: str) -> Text:
    """A state, in its colour."""
    return Text(word, STATES.get(word, ""))


def when(moment: str | None) -> str:
    """A moment of the API's, in local time."""
    return "" if moment is None else datetime.fromisoformat(moment).astimezone().strftime("%m-%d %H:%M:%S")


def details(told: dict[str, Any]) -> None:
    """Print a thing as its names and values, those that there are."""
    rows = [(name, value) for name, value in told.items() if value not in (None, "", [], {})]
    wide = max((len(name) for name, _ in rows), default=0)
    out = console()
    for name, value in rows:
        text = ", ".join(map(str, value)) if isinstance(value, list) else str(value)
        text = as_line(value) if isinstance(value, dict) else text
        out.print(Text.assemble((f"{name:{wide}}  ", "dim"), harmless(text)), soft_wrap=True)
