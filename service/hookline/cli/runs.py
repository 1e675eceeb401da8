"""`hookline runs`: list, show and watch runs."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import datetime
from typing import Annotated, Any

import msgspec
import typer
from rich.console import Console, Group
from rich.live import Live
from rich.table import Column, Table
from rich.text import Text

from hookline.cli.client import Client, JsonOption, TokenOption, UrlOption, as_json, harmless

commands = typer.Typer(help="See runs and steer them.", no_args_is_help=True)

COLOURS = {
    "succeeded": "green", "failed": "red", "cancelled": "yellow", "paused": "magenta", "running": "cyan",
    "started": "cyan", "intent": "cyan", "retrying": "yellow", "waiting": "blue", "abandoned": "dim", "skipped": "dim",
}  # fmt: skip
LEVELS = {"debug": "dim", "info": "green", "warning": "yellow", "error": "red", "critical": "bold red"}
TERMINAL = ("succeeded", "failed", "cancelled")
WATCH_EVERY = 0.25

RunArgument = Annotated[str, typer.Argument(help="The id of a run.", metavar="RUN")]


@commands.command("list")
def list_(
    job: Annotated[str | None, typer.Option(help="Only of this job.")] = None,
    scope: Annotated[str | None, typer.Option(help="Only of this scope.")] = None,
    state: Annotated[str | None, typer.Option(help="Only in this state.")] = None,
    tag: Annotated[str | None, typer.Option(help="Only with this tag; * in it stands for any text.")] = None,
    subject: Annotated[str | None, typer.Option(help="Only about this, such as a repository.")] = None,
    source: Annotated[str | None, typer.Option(help="Only of webhooks of this source.")] = None,
    since: Annotated[str | None, typer.Option(help="Created from this moment, as 2026-11-01T00:00Z.")] = None,
    until: Annotated[str | None, typer.Option(help="Created up to this moment.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=200)] = 20,
    url: UrlOption = None,
    token: TokenOption = None,
    json: JsonOption = False,
) -> None:
    """List the newest runs."""
    wanted = {"job": job, "scope": scope, "state": state, "tag": tag, "subject": subject, "source": source,
              "since": since, "until": until, "limit": limit}  # fmt: skip
    told = Client(url, token).get("/api/runs", **wanted)
    if json:
        typer.echo(as_json(told))
        return
    table = Table(
        Column("run", no_wrap=True),
        "job",
        "scope",
        "about",
        "state",
        "created",
        "tags",
        "reason",
        box=None,
        header_style="bold",
        pad_edge=False,
    )
    for run in told["runs"]:
        table.add_row(
            run["id"],
            run["job"],
            Text(run["scope"] or ""),
            Text(run["subject"] or ""),
            _state(run["state"]),
            _when(run["created_at"]),
            Text(" ".join(run["tags"] or ())),
            Text(run["reason"] or "", overflow="ellipsis", no_wrap=True),
        )
    Console().print(table)


@commands.command()
def show(run: RunArgument, url: UrlOption = None, token: TokenOption = None, json: JsonOption = False) -> None:
    """Show a run with its steps."""
    told = Client(url, token).get(f"/api/runs/{run}")
    if json:
        typer.echo(as_json(told))
    else:
        Console().print(_picture(told))


@commands.command()
def watch(
    run: RunArgument,
    url: UrlOption = None,
    token: TokenOption = None,
) -> None:
    """Show a run as it happens, until it ends; exits 0 only if it succeeded."""
    client = Client(url, token)
    console = Console()
    ended = _watch_live(client, run, console) if console.is_terminal else _watch_in_lines(client, run, console)
    if ended != "succeeded":
        raise typer.Exit(1)


@commands.command()
def logs(
    run: RunArgument,
    level: Annotated[str | None, typer.Option(help="Only lines of this level or above, such as warning.")] = None,
    step: Annotated[str | None, typer.Option(help="Only of this step, or of those under this path.")] = None,
    calls: Annotated[bool, typer.Option("--calls", help="Only requests to others.")] = False,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on until the run has ended.")] = False,
    url: UrlOption = None,
    token: TokenOption = None,
    json: JsonOption = False,
) -> None:
    """Show what a run has said, and what it has asked of others."""
    client, console = Client(url, token), Console()
    wanted = {"level": level, "step": step, "kind": "call" if calls else None}
    for line in _lines(client, run, wanted, follow=follow):
        if json:
            typer.echo(msgspec.json.encode(line))
        else:
            console.print(_told(line), soft_wrap=True, highlight=False)
    if dropped := client.get(f"/api/runs/{run}/logs", limit=1)["dropped"]:
        Console(stderr=True).print(f"{dropped} lines dropped: the run has said more than is kept of one")


def _lines(client: Client, run: str, wanted: dict[str, str | None], *, follow: bool) -> Iterator[dict[str, Any]]:
    """The lines of the run that fit, and, if they are to be followed, those that come until it has ended."""
    cursor: str | None = None
    while True:
        ended = not follow or client.get(f"/api/runs/{run}")["state"] in TERMINAL
        while True:
            page = client.get(f"/api/runs/{run}/logs", limit=200, cursor=cursor, **wanted)
            yield from page["lines"]
            cursor = page["lines"][-1]["id"] if page["lines"] else cursor
            if page["next"] is None:
                break
        if ended:
            return
        time.sleep(WATCH_EVERY)  # over HTTP, which has no hints


def _told(line: dict[str, Any]) -> Text:
    fields = dict(line["fields"])
    error = str(fields.pop("error", None) or "")
    told = " ".join(f"{name}={value if isinstance(value, str) else msgspec.json.encode(value).decode()}"
                    for name, value in fields.items())  # fmt: skip
    again = f" try {line['attempt']}" if (line["attempt"] or 1) > 1 else ""
    who = "" if line["step"] is None else line["step"] + again
    return Text.assemble(
        (_when(line["at"]), "dim"), " ", (f"{line['level']:8}", LEVELS.get(line["level"], "")), " ",
        (f"{harmless(who)} " if who else "", "cyan"), harmless(line["event"]),
        (f" {harmless(told)}" if told else "", "dim"), f"\n{harmless(error)}" if error else "",
    )  # fmt: skip


def _watch_live(client: Client, run: str, console: Console) -> str:
    """The run's picture, kept up to date in place; returns the state that it ended in."""
    with Live(console=console, auto_refresh=False) as live:
        for told in looks(client, run):
            live.update(_picture(told), refresh=True)
    return str(told["state"])


def _watch_in_lines(client: Client, run: str, console: Console) -> str:
    """A line for each change, for logs and pipes; returns the state that the run ended in."""
    seen: set[tuple[str, str]] = set()
    for told in looks(client, run):
        for step in told["journal"]:
            if (change := (step["key"], step["state"])) not in seen:
                seen.add(change)
                console.print(f"{step['state']:10} {step['key']}", _result(step), soft_wrap=True, highlight=False)
    console.print(f"{told['state']:10} {told['job']}", told["output"] or told["reason"] or "", soft_wrap=True)
    return str(told["state"])


def looks(client: Client, run: str) -> Iterator[dict[str, Any]]:
    """The run, again and again, until it has ended."""
    while True:
        told = client.get(f"/api/runs/{run}")
        yield told
        if told["state"] in TERMINAL:
            return
        time.sleep(WATCH_EVERY)  # over HTTP, which has no hints


def _picture(run: dict[str, Any]) -> Group:
    head = Text.assemble((run["job"], "bold"), f" v{run['version']}  ", run["id"], "  ").append_text(
        _state(run["state"])
    )
    steps = Table("step", "state", "attempt", "time", "result", box=None, header_style="dim", pad_edge=False)
    for each in run["journal"]:
        steps.add_row(
            Text(each["key"]),
            _state(each["state"]),
            str(each["attempt"]),
            _span(each["started_at"], each["finished_at"]),
            Text(_result(each), overflow="ellipsis", no_wrap=True),
        )
    lines: list[Text | Table] = [head]
    if run["journal"]:
        lines.append(steps)
    if run["output"] is not None:
        lines.append(Text(f"result  {run['output']}"))
    if run["reason"]:
        lines.append(Text(f"reason  {run['reason']}", style=COLOURS.get(run["state"], "")))
    return Group(*lines)


def _result(step: dict[str, Any]) -> str:
    if step["error"]:
        return str(step["error"]["message"])[:200]
    return "" if step["output"] is None else str(step["output"])[:200]


def _state(state: str) -> Text:
    return Text(state, style=COLOURS.get(state, ""))


def _when(moment: str) -> str:
    return datetime.fromisoformat(moment).astimezone().strftime("%m-%d %H:%M:%S")


def _span(began: str | None, ended: str | None) -> str:
    if began is None or ended is None:
        return ""
    span = (datetime.fromisoformat(ended) - datetime.fromisoformat(began)).total_seconds()
    return f"{span * 1000:.0f} ms" if span < 1 else f"{span:.1f} s"
