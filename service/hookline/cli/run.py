"""`hookline dev` and `hookline serve`: start replicas."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from hookline import embedded, loading, telemetry
from hookline.cli import workforce
from hookline.cli.process import Process, leave, prepare
from hookline.errors import ConfigurationError
from hookline.settings import Settings, load
from hookline.store import tokens
from hookline.store.database import Database
from hookline.web.oidc.configured import configured
from hookline.web.server import listen

AppArgument = Annotated[
    str | None,
    typer.Argument(metavar="[MODULE:APP]", help="The application; else HOOKLINE_APP, else all installed."),
]
HostOption = Annotated[str | None, typer.Option(help="The address to listen on.")]
PortOption = Annotated[int | None, typer.Option(help="The port to listen on.")]
DataOption = Annotated[Path | None, typer.Option(help="Where the embedded Postgres keeps its data.")]


def dev(app: AppArgument = None, host: HostOption = None, port: PortOption = None, data: DataOption = None) -> None:
    """Run one replica for development: an embedded Postgres, migrated; a readable log; an API for this machine."""
    settings = load(
        app=app,
        host=host,
        port=port,
        data=data,
        log_format="console",
        log_level="debug" if "HOOKLINE_LOG_LEVEL" not in os.environ else None,
    )
    telemetry.configure(settings)
    application = loading.load(settings.app)
    listening = listen(settings.host, settings.port)
    with _database(settings, migrating=True) as (dsn, data_directory):
        Process(settings, application, dsn, listening, engine=True, embedded_at=data_directory, local=True).run()
    leave()


def serve(
    app: AppArgument = None,
    host: HostOption = None,
    port: PortOption = None,
    data: DataOption = None,
    workers: Annotated[int, typer.Option(min=1, max=256, help="Replicas on this machine.")] = 1,
    http: Annotated[bool, typer.Option("--http/--no-http", help="Serve HTTP.")] = True,
    engine: Annotated[bool, typer.Option("--engine/--no-engine", help="Execute runs.")] = True,
    fd: Annotated[int | None, typer.Option(hidden=True)] = None,
    parent: Annotated[int | None, typer.Option(hidden=True)] = None,
) -> None:
    """Run a replica: HTTP and engine, until SIGTERM."""
    settings = load(app=app, host=host, port=port, data=data)
    telemetry.configure(settings)
    if not http and not engine:
        raise ConfigurationError("--no-http with --no-engine leaves nothing to do")
    provider = configured(settings)
    application = loading.load(settings.app)
    if fd is None:
        listening = listen(settings.host, settings.port) if http else None
    else:
        listening = socket.socket(fileno=fd)
    with _database(settings, migrating=False) as (dsn, data_directory):
        if http and not settings.api_tokens and provider is None and not asyncio.run(_have_tokens(dsn)):
            raise ConfigurationError(
                "HOOKLINE_API_TOKENS is not set, and nobody has a token: `serve` does not open its API to everybody; "
                "set it, or run `hookline tokens create NAME --role admin --here`"
            )
        if workers > 1:
            workforce.supervise(workers, settings.app, listening, dsn, engine=engine, embedded_at=data_directory)
        else:
            Process(settings, application, dsn, listening, engine, data_directory, parent).run()
    leave()


async def _have_tokens(dsn: str) -> bool:
    async with Database(dsn) as database, database.session() as connection:
        return await tokens.are_there(connection)


@contextmanager
def _database(settings: Settings, *, migrating: bool) -> Iterator[tuple[str, Path | None]]:
    """Where Postgres is, and the data directory if it is the embedded one, which is migrated as a matter of course."""
    if settings.database_url is not None:
        dsn = settings.database_url.get_secret_value()
        prepare(dsn, migrating=migrating)
        yield dsn, None
        return
    data = settings.data or embedded.default_data()
    with embedded.running(data) as dsn:
        prepare(dsn, migrating=True)
        yield dsn, data
