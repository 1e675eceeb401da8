"""`hookline connectors`: the foreign streams that are read, and how far."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.text import Text

from hookline.cli.client import DatabaseOption, JsonOption, TokenOption, UrlOption, as_json, asked, only
from hookline.cli.tables import Column, details, print_table

commands = typer.Typer(help="See the foreign streams that are read.", no_args_is_help=True)

COLUMNS = (Column("connector"), Column("cursor", 1), Column("problem", 2))


@commands.command("list")
def list_(
    url: UrlOption = None, token: TokenOption = None, database: DatabaseOption = False, json: JsonOption = False
) -> None:
    """List connectors, how far each has read, and what is wrong with it."""
    told = asked(url, token, database=database).get("/api/connectors")
    if json:
        typer.echo(as_json(told))
        return
    rows = [
        [each["name"], "" if each["cursor"] is None else str(each["cursor"]), Text(each["problem"] or "", "red")]
        for each in told["connectors"]
    ]
    print_table(COLUMNS, rows)


@commands.command()
def show(
    connector: Annotated[str, typer.Argument(help="The name of a connector.", metavar="CONNECTOR")],
    url: UrlOption = None,
    token: TokenOption = None,
    database: DatabaseOption = False,
    json: JsonOption = False,
) -> None:
    """Show a connector."""
    told = only(asked(url, token, database=database).get("/api/connectors")["connectors"], connector, "connector")
    if json:
        typer.echo(as_json(told))
    else:
        details(told)
