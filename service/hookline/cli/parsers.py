"""`hookline parsers`: which senders are known here, and whether their parsers load."""

from __future__ import annotations

from importlib.metadata import entry_points

import typer
from rich.console import Console
from rich.table import Column, Table
from rich.text import Text

from hookline.errors import ConfigurationError
from hookline.ingress.parser import GROUP, find

commands = typer.Typer(help="See which senders are known.", no_args_is_help=True)


@commands.command("list")
def list_() -> None:
    """List the installed parsers, and the distributions that they are of."""
    table = Table(
        Column("parser", no_wrap=True),
        "takes",
        "distribution",
        "problem",
        box=None,
        header_style="bold",
        pad_edge=False,
    )
    for name, distributions in sorted(_installed().items()):
        try:
            takes, problem = ", ".join(sorted(find(name).content_types)), ""
        except ConfigurationError as error:
            takes, problem = "", str(error)
        table.add_row(name, Text(takes), Text(", ".join(distributions)), Text(problem, "red"))
    Console().print(table)


@commands.command()
def check() -> None:
    """Load every installed parser; exits 1 if one does not, and says why."""
    problems = []
    for name in sorted(_installed()):
        try:
            find(name)
        except ConfigurationError as error:
            problems.append(str(error))
    for problem in problems:
        typer.echo(problem, err=True)
    if problems:
        raise typer.Exit(1)
    typer.echo(f"{len(_installed())} parsers load")


def _installed() -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for point in entry_points(group=GROUP):
        found.setdefault(point.name, []).append("?" if point.dist is None else point.dist.name)
    return found
