"""`hookline definitions`: keep jobs as data in a service."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Column, Table

from hookline.cli.client import Client, JsonOption, TokenOption, UrlOption, as_json

commands = typer.Typer(help="Keep jobs as data.", no_args_is_help=True)

NameArgument = Annotated[str, typer.Argument(help="The name of a definition.", metavar="NAME")]


@commands.command()
def apply(
    files: Annotated[list[Path], typer.Argument(help="YAML or JSON, each called after its job.", exists=True)],
    name: Annotated[str | None, typer.Option(help="The job's name, if it is not the file's.")] = None,
    url: UrlOption = None,
    token: TokenOption = None,
) -> None:
    """Make files the newest versions of definitions; what is as it was stays."""
    if name is not None and len(files) > 1:
        raise typer.BadParameter("--name is for one file")
    client = Client(url, token)
    for file in files:
        called = name or file.stem
        media = "application/json" if file.suffix == ".json" else "application/yaml"
        told = client.put(f"/api/definitions/{called}", file.read_bytes(), media)
        typer.echo(f"{called} is at version {told['version']}")


@commands.command("list")
def list_(url: UrlOption = None, token: TokenOption = None, json: JsonOption = False) -> None:
    """List definitions."""
    told = Client(url, token).get("/api/definitions")
    if json:
        typer.echo(as_json(told))
        return
    table = Table(Column("definition", no_wrap=True), "version", "since", box=None, header_style="bold", pad_edge=False)
    for each in told["definitions"]:
        table.add_row(each["name"], str(each["version"]), each["created_at"][:19].replace("T", " "))
    Console().print(table)


@commands.command()
def show(
    name: NameArgument,
    version: Annotated[int | None, typer.Option(help="A version; else the newest.")] = None,
    url: UrlOption = None,
    token: TokenOption = None,
) -> None:
    """Print the source of a definition."""
    typer.echo(Client(url, token).get(f"/api/definitions/{name}", version=version)["source"])


@commands.command()
def delete(name: NameArgument, url: UrlOption = None, token: TokenOption = None) -> None:
    """Start no more runs of a definition; those that have begun go on."""
    Client(url, token).delete(f"/api/definitions/{name}")
    typer.echo(f"{name} is deleted")
