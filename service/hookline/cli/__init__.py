"""The command line: one module a noun."""

from __future__ import annotations

import sys

import typer

from hookline.cli import (
    backtest,
    definitions,
    deliveries,
    doctor,
    jobs,
    migrate,
    parsers,
    preflight,
    reconcile,
    run,
    runs,
    schedules,
    send,
    settings,
    sources,
    steer,
    tail,
    tokens,
    workers,
)  # fmt: skip
from hookline.errors import HooklineError

commands = typer.Typer(
    name="hookline",
    help="Webhooks in, durable workflow runs out, on nothing but Postgres.",
    no_args_is_help=True,
    add_completion=True,
    pretty_exceptions_enable=False,
)
commands.command()(run.dev)
commands.command()(run.serve)
commands.command()(migrate.migrate)
commands.command()(send.send)
commands.command()(doctor.doctor)
steer.add_to(runs.commands)
commands.add_typer(definitions.commands, name="definitions")
commands.add_typer(deliveries.commands, name="deliveries")
commands.command()(deliveries.explain)
commands.add_typer(jobs.commands, name="jobs")
commands.add_typer(parsers.commands, name="parsers")
commands.add_typer(runs.commands, name="runs")
commands.add_typer(schedules.commands, name="schedules")
commands.add_typer(tokens.commands, name="tokens")
commands.command()(tokens.audit)
commands.add_typer(sources.commands, name="sources")
commands.command()(preflight.preflight)
commands.command()(reconcile.reconcile)
commands.command()(backtest.backtest)
commands.command()(tail.tail)
commands.command()(workers.workers)
commands.command("settings")(settings.show)


def main() -> None:
    """Run the command line; an error that names what to do ends it with that one line."""
    try:
        commands()
    except HooklineError as error:
        print(f"hookline: {error}", file=sys.stderr)  # noqa: T201 - this is the command line
        sys.exit(1)
