"""`hookline preflight`: would the unfinished runs go on under this application? Nothing is executed."""

from __future__ import annotations

import asyncio
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from hookline import embedded, telemetry
from hookline.app import App
from hookline.cli.run import DataOption
from hookline.engine.preflight import Divergence, check
from hookline.ingress import reconcile
from hookline.ingress.intake import Intake
from hookline.loading import load
from hookline.payloads import Payloads
from hookline.settings import Settings
from hookline.settings import load as load_settings
from hookline.store.database import Database


def preflight(
    app: Annotated[str | None, typer.Option("--app", help="The application to try, as package.module:app.")] = None,
    data: DataOption = None,
) -> None:
    """Replay the journals of all unfinished runs against an application; exits 1 if any would diverge."""
    settings = load_settings(app=app, data=data)
    telemetry.configure(settings.model_copy(update={"log_level": "error"}))
    found = load(settings.app)
    if settings.database_url is not None:
        seen, diverging = asyncio.run(_check(found, settings, settings.database_url.get_secret_value()))
    else:
        with embedded.running(settings.data or embedded.default_data()) as dsn:
            seen, diverging = asyncio.run(_check(found, settings, dsn))
    typer.echo(f"{seen} unfinished runs looked at, {len(diverging)} would diverge")
    if diverging:
        table = Table("run", "job", "why", box=None, header_style="bold", pad_edge=False)
        for each in diverging:
            table.add_row(str(each.run), f"{each.job} v{each.version}", Text(each.why))
        Console().print(table)
        raise typer.Exit(1)


async def _check(app: App, settings: Settings, dsn: str) -> tuple[int, list[Divergence]]:
    async with Database(dsn, payloads=Payloads.of(settings)) as database:
        reconcile.declare(app, settings, database, Intake(app, database, timeout=settings.intake_timeout))
        return await check(app, database)
