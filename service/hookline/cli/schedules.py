"""`hookline schedules`: list them, switch them on and off, make up for a time."""

from __future__ import annotations

from typing import Annotated, Any

import typer
from rich.text import Text

from hookline.cli import complete
from hookline.cli.client import (
    Client,
    DatabaseOption,
    JsonOption,
    TokenOption,
    UrlOption,
    as_json,
    asked,
    given_moment,
    only,
    tell,
)  # fmt: skip
from hookline.cli.tables import Cell, Column, details, print_table, when

commands = typer.Typer(help="See schedules, and switch them on and off.", no_args_is_help=True)

ScheduleArgument = Annotated[
    str, typer.Argument(help="The name of a schedule.", metavar="SCHEDULE", autocompletion=complete.schedules)
]

COLUMNS = (
    Column("schedule"), Column("on"), Column("next", 1, whole=True), Column("when", 2), Column("last", 4, whole=True),
    Column("job", 5), Column("problem", 3),
)  # fmt: skip


@commands.command("list")
def list_(
    url: UrlOption = None, token: TokenOption = None, database: DatabaseOption = False, json: JsonOption = False
) -> None:
    """List schedules with their next ticks."""
    told = asked(url, token, database=database).get("/api/schedules")
    if json:
        typer.echo(as_json(told))
        return
    print_table(COLUMNS, [_row(each) for each in told["schedules"]])


@commands.command()
def show(
    schedule: ScheduleArgument,
    url: UrlOption = None,
    token: TokenOption = None,
    database: DatabaseOption = False,
    json: JsonOption = False,
) -> None:
    """Show a schedule with its next ticks."""
    told = only(asked(url, token, database=database).get("/api/schedules")["schedules"], schedule, "schedule")
    if json:
        typer.echo(as_json(told))
    else:
        details(told | {"upcoming": [when(each) for each in told.get("upcoming", ())]})


@commands.command()
def on(schedule: ScheduleArgument, url: UrlOption = None, token: TokenOption = None, json: JsonOption = False) -> None:
    """Switch a schedule on; what it missed while it was off is not made up for."""
    told = Client(url, token).post(f"/api/schedules/{schedule}/on")
    tell(told, f"{schedule} is on; next {when(told['next_at'])}", json=json)


@commands.command()
def off(schedule: ScheduleArgument, url: UrlOption = None, token: TokenOption = None, json: JsonOption = False) -> None:
    """Switch a schedule off, for all replicas, until it is switched on."""
    tell(Client(url, token).post(f"/api/schedules/{schedule}/off"), f"{schedule} is off", json=json)


@commands.command()
def backfill(
    schedule: ScheduleArgument,
    since: Annotated[str, typer.Option(help="From this moment, as 2026-11-01T00:00Z.")],
    until: Annotated[str, typer.Option(help="Up to this moment.")],
    yes: Annotated[bool, typer.Option("--yes", help="Do it; else only tell how many ticks there are.")] = False,
    url: UrlOption = None,
    token: TokenOption = None,
    json: JsonOption = False,
) -> None:
    """Start the runs of past ticks, those of them that have none."""
    body: dict[str, Any] = {"since": given_moment(since), "until": given_moment(until), "dry_run": not yes}
    told = Client(url, token).post(f"/api/schedules/{schedule}/backfill", body)
    done = f"{told['created']} of {told['ticks']} runs are new" if yes else ""
    tell(told, done or f"{told['ticks']} ticks; add --yes to fire them", json=json)


def _row(told: dict[str, Any]) -> list[Cell]:
    is_on = ("on" if told["active"] else "off") if told["declared"] else "not declared"
    return [
        told["name"], is_on, when(told["next_at"]) if told["active"] else "", told["spec"], when(told["last_at"]),
        told["job"], Text(told["problem"] or "", "red"),
    ]  # fmt: skip
