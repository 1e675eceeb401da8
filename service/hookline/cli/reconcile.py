"""`hookline reconcile`: ask a source's provider what it sent, and get what never arrived."""

from __future__ import annotations

from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Column, Table
from rich.text import Text

from hookline.cli.client import Client, JsonOption, TokenOption, UrlOption, as_json, given_moment
from hookline.cli.runs import looks
from hookline.client import Refused
from hookline.ingress.reconcile import PREFIX

FATES = {
    "due": ("missing", "red"),
    "waiting": ("on its way, or asked for a while ago", "dim"),
    "redelivered": ("asked for, not there yet", "yellow"),
    "arrived": ("arrived", "green"),
    "fetched": ("taken in", "green"),
    "gave_up": ("given up: asked for too often; --since asks again", "red"),
    "refused": ("given up: the provider has it no more", "red"),
}


def reconcile(
    source: Annotated[str, typer.Argument(help="The name of a source.", metavar="SOURCE")],
    since: Annotated[
        str | None,
        typer.Option(help="Look from this moment, as 2026-11-01T00:00Z, and ask again for what was given up."),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only tell what is missing.")] = False,
    url: UrlOption = None,
    token: TokenOption = None,
    json: JsonOption = False,
) -> None:
    """Ask a source's provider what it sent of late, and get what never arrived.

    The service does it, as a run; it goes on if this command is interrupted. Exits 0 only if nothing is left to do.
    """
    client, job = Client(url, token), PREFIX + source
    wanted: dict[str, Any] = {"dry_run": dry_run} | ({"since": given_moment(since)} if since else {})
    try:
        run = client.post(f"/api/jobs/{job}/runs", {"input": wanted})
    except Refused as refused:
        if refused.status != 404:
            raise
        raise Refused(f"nobody can be asked about {source}: set HOOKLINE_{source.upper()}_RECONCILE", 404) from None
    told = _ended(client, run["id"])
    if json:
        typer.echo(as_json(told["output"]))
    elif told["output"] is not None:
        _show(Console(), told["output"])
    if told["state"] != "succeeded":
        typer.echo(f"{told['state']}: {told['reason']}", err=True)
        raise typer.Exit(1)
    if told["output"]["problem"] or any(told["output"][name] for name in ("waiting", "left", "gave_up")):
        raise typer.Exit(1)


def _ended(client: Client, run: str) -> dict[str, Any]:
    """The run once it has ended; says so if it is to wait long."""
    said = False
    for told in looks(client, run):
        if told["state"] == "waiting" and not said:
            typer.echo(f"the provider wants to be left alone until {told['due_at']}; run {run} goes on then", err=True)
            said = True
    return told


def _show(console: Console, told: dict[str, Any]) -> None:
    if told["found"]:
        table = Table(
            Column("sent", no_wrap=True), "event", Column("delivery", no_wrap=True), "asked before",
            "what became of it", box=None, header_style="bold", pad_edge=False,
        )  # fmt: skip
        for each in told["found"]:
            sent = each["at"][:19].replace("T", " ")
            table.add_row(sent, Text(each["type"]), Text(each["key"]), str(each["tries"]), Text(*FATES[each["fate"]]))
        console.print(table)
    since = told["since"][:19].replace("T", " ")
    console.print(
        f"{told['looked_at']} looked at since {since} UTC, {told['missing']} missing, {told['asked']} asked for, "
        f"{told['arrived']} arrived, {told['waiting']} waiting, {told['left']} left, {told['gave_up']} given up",
        soft_wrap=True,
    )
    if told["problem"]:
        console.print(Text(told["problem"], "red"), soft_wrap=True)
