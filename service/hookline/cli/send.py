"""`hookline send`: send a webhook as its sender would, signed."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import httpx
import typer

from hookline import codec
from hookline.app import App
from hookline.cli import exits
from hookline.cli.client import UrlOption
from hookline.client import Refused
from hookline.codec import uuid7
from hookline.errors import ConfigurationError
from hookline.ingress.examination import examine
from hookline.ingress.parser import find
from hookline.ingress.schemes import Received, Unsigned
from hookline.ingress.signatures import as_headers
from hookline.ingress.sources import Source
from hookline.loading import load as load_app
from hookline.settings import load, variable
from hookline.source_settings import variable_of


def send(
    parser: Annotated[str, typer.Argument(help="Whose webhook: the name of a parser, such as github.")],
    event: Annotated[str, typer.Argument(help="The event, in the sender's words, such as push.")],
    file: Annotated[Path, typer.Option("--file", "-f", help="The payload; - reads standard input.")],
    secret: Annotated[
        str | None,
        typer.Option(help="Signs it; else the first of HOOKLINE_<SOURCE>_SECRETS.", show_default=False),
    ] = None,
    source: Annotated[str | None, typer.Option(help="The source to send it to, if not named like the parser.")] = None,
    delivery: Annotated[str | None, typer.Option(help="The sender's id of the delivery; else a new one.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Send nothing: tell what the jobs here would do.")] = False,
    app: Annotated[str | None, typer.Option(help="For a dry run: package.module:app; else HOOKLINE_APP.")] = None,
    url: UrlOption = None,
) -> None:
    """Sign a payload as its sender does and post it; prints the answer."""
    settings = load(url=url)
    to = source or parser
    sender = find(parser)
    body = sys.stdin.buffer.read() if str(file) == "-" else _read(file)
    key = secret or (variable(variable_of(to, "secrets")) or "").split(",")[0].strip()
    headers = sender.headers_for(event, delivery or str(uuid7()), body)
    signature = sender.scheme.sign(key.encode(), body, headers) if key else {}
    if dry_run:
        _rehearse(
            Source(to, sender, Unsigned(), ()), Received(as_headers(headers), body), load_app(app or settings.app)
        )
        return
    target = f"{settings.asked}/webhooks/{to}"
    try:
        response = httpx.post(target, content=body, headers=headers | signature, timeout=30)
    except httpx.HTTPError as error:
        raise Refused(f"{target} does not answer: {str(error) or type(error).__name__}") from None
    typer.echo(response.text)
    if response.is_error:
        raise typer.Exit(exits.of(Refused(response.text, response.status_code)))


def _rehearse(source: Source, received: Received, app: App) -> None:
    """Print what would become of the delivery, and why; exits 1 if it would be quarantined."""
    examined, pong = examine(source, received, app.latest)
    typer.echo(f"{'pong' if pong else examined.status}  {examined.type}  {examined.reason or ''}".rstrip())
    for each in codec.decode(examined.bindings):
        typer.echo(f"  {each['job']}  {each['verdict']}  {each.get('why', '')}".rstrip())
    for run in examined.runs:
        typer.echo(f"  would run {run.job}" + (f" in scope {run.scope}" if run.scope else ""))
    if examined.status == "quarantined":
        raise typer.Exit(1)


def _read(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise ConfigurationError(f"cannot read {file}: {error.strerror}") from None
