"""The command line: one module a noun."""

from __future__ import annotations

import os
import sys
from importlib.metadata import version
from typing import Annotated

import typer

from hookline.cli import (
    backtest,
    connectors,
    definitions,
    deliveries,
    doctor,
    exits,
    init,
    jobs,
    logs,
    migrate,
    parsers,
    preflight,
    reconcile,
    reseal,
    run,
    runs,
    schedules,
    send,
    settings,
    sources,
    steer,
    tail,
    tokens,
    watch,
    workers,
)  # fmt: skip
from hookline.errors import HooklineError

commands = typer.Typer(
    name="hookline",
    no_args_is_help=True,
    add_completion=True,
    pretty_exceptions_enable=False,
)
commands.command()(run.dev)
commands.command()(run.serve)
commands.command()(migrate.migrate)
commands.command()(send.send)
commands.command()(init.init)
commands.command()(doctor.doctor)
steer.add_to(runs.commands)
runs.commands.command()(logs.logs)
commands.add_typer(definitions.commands, name="definitions")
commands.add_typer(deliveries.commands, name="deliveries")
commands.command()(deliveries.explain)
commands.add_typer(connectors.commands, name="connectors")
commands.add_typer(jobs.commands, name="jobs")
commands.add_typer(parsers.commands, name="parsers")
commands.add_typer(runs.commands, name="runs")
commands.add_typer(schedules.commands, name="schedules")
commands.add_typer(tokens.commands, name="tokens")
commands.command()(tokens.audit)
commands.add_typer(sources.commands, name="sources")
commands.command()(reseal.reseal)
commands.command()(preflight.preflight)
commands.command()(reconcile.reconcile)
commands.command()(backtest.backtest)
commands.command()(tail.tail)
commands.command()(watch.watch)
commands.add_typer(workers.commands, name="workers")
commands.command("settings")(settings.show)


def _tell_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"hookline {version('hookline')}")
        raise typer.Exit


@commands.callback()
def hookline(
    _: Annotated[
        bool, typer.Option("--version", is_eager=True, callback=_tell_version, help="Say which hookline this is.")
    ] = False,
) -> None:
    """Webhooks in, durable workflow runs out, on nothing but Postgres."""


def main() -> None:
    """Run the command line; it ends with an `Exit`, and with one line for a person if something is wrong."""
    try:
        ended = commands(prog_name="hookline", standalone_mode=False, color=False if "NO_COLOR" in os.environ else None)
    except typer.TyperException as error:
        sys.exit(_misused(error))
    except typer.Abort:
        sys.exit(exits.INTERRUPTED)
    except HooklineError as error:
        exits.say(error)
        sys.exit(exits.of(error))
    sys.exit(ended or 0)


def _misused(error: typer.TyperException) -> int:
    """Say what is wrong with the command; nothing of one that was left without its verb, and printed its help."""
    context = getattr(error, "ctx", None)
    if said := error.format_message():
        exits.say(said.rstrip(".") + (f"; see `{context.command_path} --help`" if context else ""))
    return exits.Exit.USAGE
