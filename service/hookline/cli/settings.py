"""`hookline settings`: every setting, its value and where it came from."""

from __future__ import annotations

from rich.console import Console
from rich.table import Table

from hookline.settings import listing, load


def show() -> None:
    """List every setting with its value, secrets hidden, and where it came from."""
    table = Table("setting", "value", "from", "what it is for", box=None, header_style="bold", pad_edge=False)
    for row in listing(load()):
        table.add_row(row.name, row.value, row.origin, row.description)
    Console().print(table)
