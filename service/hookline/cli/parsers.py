"""`hookline parsers`: which senders are known here, and whether their parsers load."""

from __future__ import annotations

from importlib.metadata import entry_points
from typing import Any

import typer
from rich.text import Text

from hookline.cli.client import JsonOption, as_json
from hookline.cli.tables import Cell, Column, print_table
from hookline.errors import ConfigurationError
from hookline.ingress.parser import GROUP, find

commands = typer.Typer(help="See which senders are known.", no_args_is_help=True)


@commands.command("list")
def list_(json: JsonOption = False) -> None:
    """List the installed parsers, and the distributions that they are of."""
    told = [_told(name, distributions) for name, distributions in sorted(_installed().items())]
    if json:
        typer.echo(as_json({"parsers": told}))
        return
    columns = (Column("parser"), Column("takes", 2), Column("distribution", 3), Column("problem", 1))
    rows: list[list[Cell]] = [
        [each["name"], ", ".join(each["takes"]), ", ".join(each["distributions"]), Text(each["problem"] or "", "red")]
        for each in told
    ]
    print_table(columns, rows)


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


def _told(name: str, distributions: list[str]) -> dict[str, Any]:
    told: dict[str, Any] = {"name": name, "takes": [], "distributions": distributions, "problem": None}
    try:
        return told | {"takes": sorted(find(name).content_types)}
    except ConfigurationError as error:
        return told | {"problem": str(error)}


def _installed() -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for point in entry_points(group=GROUP):
        found.setdefault(point.name, []).append("?" if point.dist is None else point.dist.name)
    return found
