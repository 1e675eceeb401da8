"""`hookline migrate`: bring the database to the schema that this version knows."""

from __future__ import annotations

import asyncio
from typing import Annotated

import typer

from hookline import embedded
from hookline.cli import exits
from hookline.errors import ConfigurationError
from hookline.settings import load
from hookline.store import migrate as migrations


def migrate(
    sql: Annotated[bool, typer.Option("--sql", help="Print the statements for an empty database; run none.")] = False,
    check: Annotated[bool, typer.Option("--check", help="Only tell whether it is there; exit 1 if not.")] = False,
) -> None:
    """Migrate the database at HOOKLINE_DATABASE_URL, else the embedded one."""
    if sql and check:
        raise ConfigurationError("--sql and --check exclude each other")
    if sql:
        typer.echo(migrations.sql())
        return
    settings = load()
    if settings.database_url is not None:
        _migrate(settings.database_url.get_secret_value(), check)
        return
    with embedded.running(settings.data or embedded.default_data()) as dsn:
        _migrate(dsn, check)


def _migrate(dsn: str, check: bool) -> None:
    if check:
        try:
            asyncio.run(migrations.check(dsn))
        except ConfigurationError as error:
            exits.say(error)
            raise typer.Exit(exits.Exit.NO) from None
        typer.echo(f"the database is at schema {migrations.known()}, as it should be")
    else:
        typer.echo(f"the database is at schema {asyncio.run(migrations.migrate(dsn))}")
