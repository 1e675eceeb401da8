"""`hookline runs`: list, show and watch runs."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Annotated, Any

import typer
from rich.live import Live
from rich.text import Text

from hookline.cli import complete, exits
from hookline.cli.client import Asked, Client, DatabaseOption, JsonOption, TokenOption, UrlOption, as_json, asked
from hookline.cli.picture import Picture, result
from hookline.cli.stream import Feed
from hookline.cli.tables import Column, console, drawn, print_table, state, when
from hookline.client import Refused
from hookline.store.states import TERMINAL

commands = typer.Typer(help="See runs and steer them.", no_args_is_help=True)

COLUMNS = (
    Column("run"), Column("state"), Column("job", 1), Column("created", 2, whole=True), Column("reason", 4),
    Column("about", 3), Column("tags", 5), Column("scope", 6),
)  # fmt: skip
STEPS_EVERY = 0.5
"""Seconds between two looks at the steps of a run that is running, of which no stream tells."""

PATIENCE = 60.0
"""Seconds that a service may be away before nobody waits for it any more."""

RunArgument = Annotated[str, typer.Argument(help="The id of a run.", metavar="RUN", autocompletion=complete.open_runs)]
WantedJob = Annotated[str | None, typer.Option(help="Only of this job.", autocompletion=complete.jobs)]


@commands.command("list")
def list_(
    job: WantedJob = None,
    scope: Annotated[str | None, typer.Option(help="Only of this scope.")] = None,
    state: Annotated[str | None, typer.Option(help="Only in this state.")] = None,
    tag: Annotated[str | None, typer.Option(help="Only with this tag; * in it stands for any text.")] = None,
    subject: Annotated[str | None, typer.Option(help="Only about this, such as a repository.")] = None,
    source: Annotated[str | None, typer.Option(help="Only of webhooks of this source.")] = None,
    since: Annotated[str | None, typer.Option(help="Created from this moment, as 2026-11-01T00:00Z.")] = None,
    until: Annotated[str | None, typer.Option(help="Created up to this moment.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=200, help="How many, at most.")] = 20,
    watch: Annotated[bool, typer.Option("--watch", help="Keep it up to date, until Ctrl-C.")] = False,
    url: UrlOption = None,
    token: TokenOption = None,
    database: DatabaseOption = False,
    json: JsonOption = False,
) -> None:
    """List the newest runs."""
    service = asked(url, token, database=database)
    wanted = {"job": job, "scope": scope, "state": state, "tag": tag, "subject": subject, "source": source,
              "since": since, "until": until, "limit": limit}  # fmt: skip
    told = service.get("/api/runs", **wanted)
    if json:
        typer.echo(as_json(told))
    elif watch and isinstance(service, Client) and (out := console()).is_terminal:
        feed = Feed(service, "/api/stream", kind="run", job=job, scope=scope)
        with Live(console=out, auto_refresh=False, screen=True) as live:
            while True:
                live.update(drawn(COLUMNS, _rows(told)[: out.height - 2], out.width), refresh=True)
                feed.some(None)
                told = service.get("/api/runs", **wanted)
    elif watch:
        raise typer.BadParameter("--watch is for a terminal and a service; `hookline watch` tells lines")
    else:
        print_table(COLUMNS, _rows(told))


def _rows(told: dict[str, Any]) -> list[list[str | Text]]:
    return [
        [
            run["id"], state(run["state"]), run["job"], when(run["created_at"]), run["reason"] or "",
            run["subject"] or "", " ".join(run["tags"] or ()), run["scope"] or "",
        ]
        for run in told["runs"]
    ]  # fmt: skip


@commands.command()
def show(
    run: RunArgument,
    url: UrlOption = None,
    token: TokenOption = None,
    database: DatabaseOption = False,
    json: JsonOption = False,
) -> None:
    """Show a run with its steps."""
    told = asked(url, token, database=database).get(f"/api/runs/{run}")
    if json:
        typer.echo(as_json(told))
    else:
        console().print(Picture(told))


@commands.command()
def watch(
    run: RunArgument,
    url: UrlOption = None,
    token: TokenOption = None,
    database: DatabaseOption = False,
    json: JsonOption = False,
) -> None:
    """Show a run as it happens, until it ends; exits 0 only if it succeeded."""
    source = asked(url, token, database=database)
    if console().is_terminal and not json:
        ended = _watch_live(source, run)
    else:
        ended = _watch_in_lines(source, run, quiet=json)
    if json:
        typer.echo(as_json(ended))
    if ended["state"] != "succeeded":
        raise typer.Exit(exits.Exit.NO)


def _watch_live(source: Asked, run: str) -> dict[str, Any]:
    """The run's picture, kept up to date in place; returns the run as it ended."""
    out = console()
    picture: Picture | None = None
    with Live(console=out, refresh_per_second=8) as live:
        for told in looks(source, run):
            if picture is None:
                picture = Picture(told, live=True, height=out.height)
                live.update(picture)
            picture.run = told
        live.update(Picture(told))
    return told


def _watch_in_lines(source: Asked, run: str, *, quiet: bool) -> dict[str, Any]:
    """A line for each change, for logs and pipes; returns the run as it ended."""
    out = console()
    seen: set[tuple[str, str]] = set()
    for told in looks(source, run):
        for step in told["journal"]:
            if (change := (step["key"], step["state"])) not in seen and not quiet:
                seen.add(change)
                out.print(Text(f"{step['state']:10} {step['key']} {result(step)}".rstrip()), soft_wrap=True)
    if not quiet:
        rest = told["reason"] or ("" if told["output"] is None else told["output"])
        out.print(Text(f"{told['state']:10} {told['job']} {rest}".rstrip()), soft_wrap=True)
    return told


def looks(source: Asked, run: str) -> Iterator[dict[str, Any]]:
    """The run, again whenever something has become of it, until it has ended; raises `Refused`."""
    told = source.get(f"/api/runs/{run}")
    feed = Feed(source, f"/api/runs/{run}/stream") if isinstance(source, Client) else None
    since = time.monotonic()
    while True:
        yield told
        if told["state"] in TERMINAL:
            return
        _wait(feed, STEPS_EVERY if told["state"] == "running" or feed is None else None)
        try:
            told = source.get(f"/api/runs/{run}")
            since = time.monotonic()
        except Refused as refused:
            if refused.status not in exits.AWAY or time.monotonic() - since > PATIENCE:
                raise
            exits.say(f"{refused}; trying again")
            time.sleep(2 * STEPS_EVERY)  # a service that is away tells nobody of its return


def _wait(feed: Feed | None, timeout: float | None) -> None:
    """Return when something has become of the run, or after `timeout` seconds."""
    try:
        if feed is not None:
            feed.some(timeout)
            return
    except Refused:
        timeout = STEPS_EVERY  # there is no stream, so only looking tells
    time.sleep(timeout or STEPS_EVERY)  # without a stream nobody tells
