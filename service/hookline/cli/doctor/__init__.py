"""`hookline doctor`: whether all is well, and what to do if it is not."""

from __future__ import annotations

import asyncio
from typing import Annotated

import msgspec
import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from hookline import telemetry
from hookline.cli.client import JsonOption, as_json, harmless
from hookline.cli.direct import existing
from hookline.cli.doctor import here, there
from hookline.cli.doctor.facts import UNREACHABLE, Facts, look_at_replica, look_here, look_there
from hookline.cli.doctor.findings import Finding, Found, many
from hookline.errors import ConfigurationError

COLOURS = {"ok": "green", "warning": "yellow", "problem": "red"}

REACH_IT = (
    "see that Postgres runs there, and that HOOKLINE_DATABASE_URL is postgresql://user:password@host:5432/database, "
    "with what is special in the password percent-encoded; behind a pooler name a port of Postgres itself"
)


def doctor(
    url: Annotated[str | None, typer.Option(help="Ask this replica, too, whether it is ready.")] = None,
    strict: Annotated[bool, typer.Option("--strict", help="Exit 1 for warnings, too.")] = False,
    json: JsonOption = False,
) -> None:
    """Check settings, application, database, leases, sources and runs, and say what to do; exits 1 for problems.

    Nothing is changed. It looks from where it is run, so run it where a replica runs.
    """
    found = judge(_facts(url))
    worst = next((state for state in ("problem", "warning") if any(each.state == state for each in found)), "ok")
    if json:
        typer.echo(as_json({"status": worst, "findings": [msgspec.structs.asdict(each) for each in found]}))
    else:
        _print(found)
    if worst == "problem" or (strict and worst == "warning"):
        raise typer.Exit(1)


def judge(facts: Facts) -> list[Finding]:
    """All findings, in the order in which a person would look."""
    found = [each for area, check in here.CHECKS.items() for each in _of(area, check(facts.here))]
    if facts.unreachable is not None:
        found.append(Finding("database", "problem", facts.unreachable, REACH_IT))
    elif facts.there is None:
        todo = "`hookline dev` makes an embedded one; else set HOOKLINE_DATABASE_URL"
        found.append(Finding("database", "warning", "there is no database yet", todo))
    else:
        for area, check in there.CHECKS.items():
            found += _of(area, check(facts.here, facts.there))
    return found if facts.ready is None else [*found, *_of("replica", here.replica(facts.ready))]


def _of(area: str, found: Found) -> list[Finding]:
    return [Finding(area, state, what, todo) for state, what, todo in found]


def _facts(url: str | None) -> Facts:
    telemetry.silence()
    seen, app = look_here()
    ready = None if url is None else look_at_replica(url)
    try:
        with existing(seen.settings) as dsn:
            told = None if dsn is None else asyncio.run(look_there(seen, app, dsn))
    except (*UNREACHABLE, ConfigurationError) as error:
        return Facts(seen, unreachable=_why(error), ready=ready)
    return Facts(seen, told, ready=ready)


def _why(error: Exception) -> str:
    """Why the database does not answer; what is wrong with its address may be a part of the password."""
    if isinstance(error, ValueError):
        return "HOOKLINE_DATABASE_URL is no address of a Postgres"
    return f"Postgres does not answer: {str(error) or type(error).__name__}"


def _print(found: list[Finding]) -> None:
    console = Console(highlight=False)
    table = Table.grid(padding=(0, 2))
    table.add_column(no_wrap=True)
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    area = ""
    for each in found:
        text = Text(harmless(each.found))
        if each.todo:
            text.append(harmless(f"\n-> {each.todo}"), "bold")
        table.add_row(Text(each.state, COLOURS[each.state]), "" if each.area == area else each.area, text)
        area = each.area
    console.print(table)
    counts = {state: sum(each.state == state for each in found) for state in COLOURS}
    console.print(f"\n{many(counts['problem'], 'problem')}, {many(counts['warning'], 'warning')}")
