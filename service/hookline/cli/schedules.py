"""`hookline schedules`: list them, switch them on and off, make up for a time."""

from __future__ import annotations

from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Column, Table
from rich.text import Text

from hookline.cli.client import Client, JsonOption, TokenOption, UrlOption, as_json, given_moment

commands = typer.Typer(help="See schedules, and switch them on and off.", no_args_is_help=True)

ScheduleArgument = Annotated[str, typer.Argument(help="The name of a schedule.", metavar="SCHEDULE")]


@commands.command("list")
def list_(url: UrlOption = None, token: TokenOption = None, json: JsonOption = False) -> None:
    """List schedules with their next ticks."""
    told = Client(url, token).get("/api/schedules")
    if json:
        typer.echo(as_json(told))
        return
    table = Table(
        Column("schedule", no_wrap=True), "job", "when", "on", "next", "last", "problem",
        box=None, header_style="bold", pad_edge=False,
    )  # fmt: skip
    for each in told["schedules"]:
        table.add_row(
            each["name"],
            each["job"],
            Text(each["spec"]),
            ("on" if each["active"] else "off") if each["declared"] else "not declared",
            _when(each["next_at"]) if each["active"] else "",
            _when(each["last_at"]),
            Text(each["problem"] or "", overflow="ellipsis", no_wrap=True),
        )
    Console().print(table)


@commands.command()
def on(schedule: ScheduleArgument, url: UrlOption = None, token: TokenOption = None) -> None:
    """Switch a schedule on; what it missed while it was off is not made up for."""
    told = Client(url, token).post(f"/api/schedules/{schedule}/on")
    typer.echo(f"{schedule} is on; next {_when(told['next_at'])}")


@commands.command()
def off(schedule: ScheduleArgument, url: UrlOption = None, token: TokenOption = None) -> None:
    """Switch a schedule off, for all replicas, until it is switched on."""
    Client(url, token).post(f"/api/schedules/{schedule}/off")
    typer.echo(f"{schedule} is off")


@commands.command()
def backfill(
    schedule: ScheduleArgument,
    since: Annotated[str, typer.Option(help="From this moment, as 2026-11-01T00:00Z.")],
    until: Annotated[str, typer.Option(help="Up to this moment.")],
    yes: Annotated[bool, typer.Option("--yes", help="Do it; else only tell how many ticks there are.")] = False,
    url: UrlOption = None,
    token: TokenOption = None,
) -> None:
    """Start the runs of past ticks, those of them that have none."""
    body: dict[str, Any] = {"since": given_moment(since), "until": given_moment(until), "dry_run": not yes}
    told = Client(url, token).post(f"/api/schedules/{schedule}/backfill", body)
    if yes:
        typer.echo(f"{told['created']} of {told['ticks']} runs are new")
    else:
        typer.echo(f"{told['ticks']} ticks; add --yes to fire them")


def _when(moment: str | None) -> str:
    return "" if moment is None else moment[:19].replace("T", " ")
