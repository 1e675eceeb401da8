"""`hookline runs logs`: what a run has said, and what it has asked of others."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Annotated, Any

import msgspec
import typer
from rich.text import Text

from hookline.cli import exits
from hookline.cli.client import Asked, DatabaseOption, JsonOption, TokenOption, UrlOption, asked, harmless
from hookline.cli.runs import RunArgument
from hookline.cli.tables import console, when
from hookline.store.states import TERMINAL

LEVELS = {"debug": "dim", "info": "green", "warning": "yellow", "error": "red", "critical": "bold red"}

EVERY = 0.25
"""Seconds between two looks at a run that is followed: the stream does not tell what it says."""


def logs(
    run: RunArgument,
    level: Annotated[str | None, typer.Option(help="Only lines of this level or above, such as warning.")] = None,
    step: Annotated[str | None, typer.Option(help="Only of this step, or of those under this path.")] = None,
    calls: Annotated[bool, typer.Option("--calls", help="Only requests to others.")] = False,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on until the run has ended.")] = False,
    url: UrlOption = None,
    token: TokenOption = None,
    database: DatabaseOption = False,
    json: JsonOption = False,
) -> None:
    """Show what a run has said, and what it has asked of others; with --json an object a line."""
    service, out = asked(url, token, database=database), console()
    wanted = {"level": level, "step": step, "kind": "call" if calls else None}
    for line in _lines(service, run, wanted, follow=follow):
        if json:
            typer.echo(msgspec.json.encode(line))
        else:
            out.print(_told(line), soft_wrap=True, highlight=False)
    if dropped := service.get(f"/api/runs/{run}/logs", limit=1)["dropped"]:
        exits.say(f"{dropped} lines dropped: the run has said more than is kept of one")


def _lines(service: Asked, run: str, wanted: dict[str, str | None], *, follow: bool) -> Iterator[dict[str, Any]]:
    """The lines of the run that fit, and, if they are to be followed, those that come until it has ended."""
    cursor: str | None = None
    while True:
        ended = not follow or service.get(f"/api/runs/{run}")["state"] in TERMINAL
        while True:
            page = service.get(f"/api/runs/{run}/logs", limit=200, cursor=cursor, **wanted)
            yield from page["lines"]
            cursor = page["lines"][-1]["id"] if page["lines"] else cursor
            if page["next"] is None:
                break
        if ended:
            return
        time.sleep(EVERY)  # nobody tells that a run has said something


def _told(line: dict[str, Any]) -> Text:
    fields = dict(line["fields"])
    error = str(fields.pop("error", None) or "")
    told = " ".join(
        f"{name}={value if isinstance(value, str) else msgspec.json.encode(value).decode()}"
        for name, value in fields.items()
    )
    again = f" try {line['attempt']}" if (line["attempt"] or 1) > 1 else ""
    who = "" if line["step"] is None else line["step"] + again
    return Text.assemble(
        (when(line["at"]), "dim"), " ", (f"{line['level']:8}", LEVELS.get(line["level"], "")), " ",
        (f"{harmless(who)} " if who else "", "cyan"), harmless(line["event"]),
        (f" {harmless(told)}" if told else "", "dim"), f"\n{harmless(error)}" if error else "",
    )  # fmt: skip
