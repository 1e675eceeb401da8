"""`hookline jobs`: list jobs, draw them, start runs of them."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from hookline.cli import complete
from hookline.cli.client import (
    Client,
    DatabaseOption,
    JsonOption,
    TokenOption,
    UrlOption,
    as_json,
    asked,
    given_json,
    only,
)  # fmt: skip
from hookline.cli.tables import Column, details, print_table

commands = typer.Typer(help="See jobs and start them.", no_args_is_help=True)

JobArgument = Annotated[str, typer.Argument(help="The name of a job.", metavar="JOB", autocompletion=complete.jobs)]

COLUMNS = (
    Column("job"), Column("version", 1, whole=True), Column("unfinished", 2), Column("on", 3),
    Column("what it does", 4),
)  # fmt: skip


@commands.command("list")
def list_(
    url: UrlOption = None, token: TokenOption = None, database: DatabaseOption = False, json: JsonOption = False
) -> None:
    """List jobs, with what starts them and how many of their runs are unfinished."""
    told = asked(url, token, database=database).get("/api/jobs")
    if json:
        typer.echo(as_json(told))
        return
    print_table(COLUMNS, [_row(each) for each in told["jobs"]])


@commands.command()
def show(
    job: JobArgument,
    url: UrlOption = None,
    token: TokenOption = None,
    database: DatabaseOption = False,
    json: JsonOption = False,
) -> None:
    """Show a job: its versions, what starts it, its unfinished runs, and what it takes."""
    told = only(asked(url, token, database=database).get("/api/jobs")["jobs"], job, "job")
    if json:
        typer.echo(as_json(told))
    else:
        details(_shown(told))


@commands.command()
def graph(
    job: JobArgument,
    url: UrlOption = None,
    token: TokenOption = None,
    database: DatabaseOption = False,
    json: JsonOption = False,
) -> None:
    """Draw a job as Mermaid; of a coroutine, what its newest runs have done."""
    told = asked(url, token, database=database).get(f"/api/jobs/{job}/graph")
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
    json: JsonOption = False,
) -> None:
    """Start a run of a job; prints its id."""
    body = {"input": given_json(input_), "scope": scope, "idempotency_key": key, "tags": tag or []}
    told = Client(url, token).post(f"/api/jobs/{job}/runs", body)
    typer.echo(as_json(told) if json else told["id"])


def _row(told: dict[str, Any]) -> list[str]:
    return [
        told["name"], str(told["version"] or "nobody offers it"), _unfinished(told), ", ".join(told["on"]),
        told["description"].partition("\n")[0],
    ]  # fmt: skip


def _shown(told: dict[str, Any]) -> dict[str, Any]:
    """A job for people: what its scope has is told beside it."""
    terms = dict(told["terms"] or {})
    if rate := terms.get("rate"):
        terms["rate"] = f"{rate['count']} in {rate['per']:g} s"
    terms |= {span: f"{terms[span]:g} s" for span in ("quiet", "at_most") if terms.get(span)}
    shown: dict[str, Any] = {}
    for name, value in (told | {"on": "; ".join(told["picks"]), "unfinished": _unfinished(told)}).items():
        shown |= terms if name == "terms" else {name: value}
    return {name: value for name, value in shown.items() if name not in ("picks", "at_least")}


def _unfinished(told: dict[str, Any]) -> str:
    return ", ".join(
        f"{count}{'+' if state in told['at_least'] else ''} {state}" for state, count in told["unfinished"].items()
    )
