"""`hookline definitions`: keep jobs as data in a service."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from hookline.cli import complete
from hookline.cli.client import (
    Client,
    DatabaseOption,
    JsonOption,
    TokenOption,
    UrlOption,
    as_json,
    as_line,
    asked,
    tell,
)
from hookline.cli.tables import Column, print_table, when

commands = typer.Typer(help="Keep jobs as data.", no_args_is_help=True)

NameArgument = Annotated[
    str, typer.Argument(help="The name of a definition.", metavar="NAME", autocompletion=complete.definitions)
]


@commands.command()
def apply(
    files: Annotated[list[Path], typer.Argument(help="YAML or JSON, each called after its job.", exists=True)],
    name: Annotated[str | None, typer.Option(help="The job's name, if it is not the file's.")] = None,
    url: UrlOption = None,
    token: TokenOption = None,
    json: JsonOption = False,
) -> None:
    """Make files the newest versions of definitions; what is as it was stays."""
    if name is not None and len(files) > 1:
        raise typer.BadParameter("--name is for one file")
    client = Client(url, token)
    for file in files:
        called = name or file.stem
        media = "application/json" if file.suffix == ".json" else "application/yaml"
        told = client.put(f"/api/definitions/{called}", file.read_bytes(), media)
        typer.echo(as_line(told) if json else f"{called} is at version {told['version']}")


@commands.command("list")
def list_(
    url: UrlOption = None, token: TokenOption = None, database: DatabaseOption = False, json: JsonOption = False
) -> None:
    """List definitions."""
    told = asked(url, token, database=database).get("/api/definitions")
    if json:
        typer.echo(as_json(told))
        return
    columns = (Column("definition"), Column("version", 2, right=True, whole=True), Column("since", 1, whole=True))
    rows = [[each["name"], str(each["version"]), when(each["created_at"])] for each in told["definitions"]]
    print_table(columns, rows)


@commands.command()
def show(
    name: NameArgument,
    version: Annotated[int | None, typer.Option(help="A version; else the newest.")] = None,
    url: UrlOption = None,
    token: TokenOption = None,
    database: DatabaseOption = False,
    json: JsonOption = False,
) -> None:
    """Print the source of a definition."""
    told = asked(url, token, database=database).get(f"/api/definitions/{name}", version=version)
    typer.echo(as_json(told) if json else told["source"])


@commands.command()
def delete(name: NameArgument, url: UrlOption = None, token: TokenOption = None, json: JsonOption = False) -> None:
    """Start no more runs of a definition; those that have begun go on."""
    tell(Client(url, token).delete(f"/api/definitions/{name}"), f"{name} is deleted", json=json)
