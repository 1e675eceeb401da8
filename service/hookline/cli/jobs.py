"""`hookline jobs`: list jobs, draw them, start runs of them."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.console import Console
from rich.table import Column, Table
from rich.text import Text

from hookline.cli.client import Client, JsonOption, TokenOption, UrlOption, as_json, given_json

commands = typer.Typer(help="See jobs and start them.", no_args_is_help=True)

JobArgument = Annotated[str, typer.Argument(help="The name of a job.", metavar="JOB")]


@commands.command("list")
def list_(url: UrlOption = None, token: TokenOption = None, json: JsonOption = False) -> None:
    """List jobs, with what starts them and how many of their runs are unfinished."""
    told = Client(url, token).get("/api/jobs")
    if json:
        typer.echo(as_json(told))
        return
    table = Table(
        Column("job", no_wrap=True), "version", "on", "unfinished", "what it does",
        box=None, header_style="bold", pad_edge=False,
    )  # fmt: skip
    for job in told["jobs"]:
        table.add_row(
            job["name"],
            str(job["version"] or "nobody offers it"),
            Text(", ".join(job["on"])),
            ", ".join(f"{count} {state}" for state, count in job["unfinished"].items()),
            Text(job["description"].partition("\n")[0], overflow="ellipsis", no_wrap=True),
        )
    Console().print(table)


@commands.command()
def graph(job: JobArgument, url: UrlOption = None, token: TokenOption = None, json: JsonOption = False) -> None:
    """Draw a job as Mermaid; of a coroutine, what its newest runs have done."""
    told = Client(url, token).get(f"/api/jobs/{job}/graph")
    typer.echo(as_json(told) if json else told["mermaid"])


@commands.command()
def run(
    job: JobArgument,
    input_: Annotated[str | None, typer.Option("--input", help="JSON, or a text.")] = None,
    scope: Annotated[str | None, typer.Option(help="The key that serialises runs.")] = None,
    key: Annotated[str | None, typer.Option("--idempotency-key", help="Start one run for it, however often.")] = None,
    tag: Annotated[list[str] | None, typer.Option(help="What people find it by; may be given several times.")] = None,
    url: UrlOption = None,
    token: TokenOption = None,
) -> None:
    """Start a run of a job; prints its id."""
    body = {"input": given_json(input_), "scope": scope, "idempotency_key": key, "tags": tag or []}
    typer.echo(Client(url, token).post(f"/api/jobs/{job}/runs", body)["id"])
