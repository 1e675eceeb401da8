"""`hookline settings`: every setting, its value and where it came from."""

from __future__ import annotations

from dataclasses import asdict

import typer

from hookline.cli.client import JsonOption, as_json
from hookline.cli.tables import Column, print_table
from hookline.settings import listing, load

COLUMNS = (Column("setting"), Column("value", 1), Column("from", 3), Column("what it is for", 2))


def show(json: JsonOption = False) -> None:
    """List every setting with its value, secrets hidden, and where it came from."""
    rows = listing(load())
    if json:
        typer.echo(as_json({"settings": [asdict(row) for row in rows]}))
        return
    print_table(COLUMNS, [[row.name, row.value, row.origin, row.description] for row in rows])
