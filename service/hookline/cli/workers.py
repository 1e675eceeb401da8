"""`hookline workers`: who is alive."""

from __future__ import annotations

from typing import Annotated, Any

import typer
from rich.text import Text

from hookline.cli.client import DatabaseOption, JsonOption, TokenOption, UrlOption, as_json, asked, only
from hookline.cli.complete import workers as known
from hookline.cli.tables import Cell, Column, details, print_table

commands = typer.Typer(invoke_without_command=True)

COLUMNS = (
    Column("worker"), Column("lease"), Column("runs", 1, right=True, whole=True), Column("name", 2),
    Column("offers", 3),
)  # fmt: skip


@commands.callback()
def workers(context: typer.Context) -> None:
    """See who is alive; by itself, list the workers."""
    if context.invoked_subcommand is None:
        list_()


@commands.command("list")
def list_(
    url: UrlOption = None, token: TokenOption = None, database: DatabaseOption = False, json: JsonOption = False
) -> None:
    """List the workers with their leases and loads."""
    told = asked(url, token, database=database).get("/api/workers")
    if json:
        typer.echo(as_json(told))
        return
    print_table(COLUMNS, [_row(each) for each in told["workers"]])


@commands.command()
def show(
    worker: Annotated[str, typer.Argument(help="The id of a worker, or its name.", metavar="WORKER",
                                          autocompletion=known)],
    url: UrlOption = None,
    token: TokenOption = None,
    database: DatabaseOption = False,
    json: JsonOption = False,
) -> None:  # fmt: skip
    """Show a worker: its lease, its load, and what it can run."""
    told = only(asked(url, token, database=database).get("/api/workers")["workers"], worker, "worker")
    if json:
        typer.echo(as_json(told))
    else:
        details(told)


def _row(told: dict[str, Any]) -> list[Cell]:
    lease = told["lease_seconds"]
    return [
        told["id"], f"{lease:.0f} s" if lease > 0 else Text("expired", "red"), f"{told['running']} of {told['slots']}",
        told["name"], ", ".join(told["offers"]),
    ]  # fmt: skip
