"""`hookline deliveries`: see what came in, why it did what it did, and take it in again."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Column, Table
from rich.text import Text

from hookline.cli.client import Client, JsonOption, TokenOption, UrlOption, as_json, given_moment, harmless
from hookline.client import Refused
from hookline.codec import uuid7

commands = typer.Typer(help="See what came in, and take it in again.", no_args_is_help=True)

DeliveryArgument = Annotated[str, typer.Argument(help="The id of a delivery.", metavar="DELIVERY")]
SourceOption = Annotated[str | None, typer.Option(help="Of this source.")]
KeyOption = Annotated[str | None, typer.Option(help="With this id of the sender's.")]
TypeOption = Annotated[str | None, typer.Option("--type", help="Of this type of event, or a sub-type of it.")]
SubjectOption = Annotated[str | None, typer.Option(help="About this, such as a repository: octo/site.")]
StatusOption = Annotated[str | None, typer.Option(help="accepted, ignored, quarantined or conflict.")]
SinceOption = Annotated[str | None, typer.Option(help="From this moment, as 2026-11-01T00:00Z.")]
UntilOption = Annotated[str | None, typer.Option(help="Up to this moment.")]

PAGE = 200
COLOURS = {"accepted": "green", "ignored": "dim", "quarantined": "red", "conflict": "yellow"}
VERDICTS = {"matched": "green", "filtered": "dim", "error": "red"}


@commands.command("list")
def list_(
    source: SourceOption = None,
    key: KeyOption = None,
    type_: TypeOption = None,
    subject: SubjectOption = None,
    status: StatusOption = None,
    since: SinceOption = None,
    until: UntilOption = None,
    limit: Annotated[int, typer.Option(min=1, max=PAGE, help="How many, at most.")] = 20,
    url: UrlOption = None,
    token: TokenOption = None,
    json: JsonOption = False,
) -> None:
    """List deliveries, the newest first."""
    wanted = _wanted(source, key, type_, subject, status, since, until)
    told = Client(url, token).get("/api/deliveries", **wanted, limit=limit)
    if json:
        typer.echo(as_json(told))
        return
    console = Console(highlight=False)
    console.print(f"{'delivery':36}  {'received':11}  {'status':11}  runs  event", style="bold")
    for each in told["deliveries"]:
        line = Text(f"{each['id']}  {each['received_at'][5:16].replace('T', ' ')}  ")
        line.append(f"{each['status']:11}", COLOURS[each["status"]])
        line.append(f"  {len(each['runs']):4}  {_event(each)}")
        console.print(line, soft_wrap=True)


@commands.command()
def show(
    delivery: DeliveryArgument, url: UrlOption = None, token: TokenOption = None, json: JsonOption = False
) -> None:
    """Show a delivery: its headers and body, what each job made of it, and its runs."""
    told = Client(url, token).get(f"/api/deliveries/{delivery}")
    if json:
        typer.echo(as_json(told))
        return
    console = Console()
    _head(console, told)
    _verdicts(console, told["bindings"] or ())
    if told["secret"]:
        console.print(Text(f"proven by secret {told['secret']}", "dim"))
    for name, value in told["headers"]:
        console.print(Text(harmless(f"{name}: {value}"), "dim"), soft_wrap=True)
    console.print()
    console.print(Text(harmless(told.get("body", "(binary; --json tells it as base64)"))), soft_wrap=True)


def explain(delivery: DeliveryArgument, now: Annotated[bool, typer.Option(help="By today's code; else as it was then.")]
            = False, url: UrlOption = None, token: TokenOption = None, json: JsonOption = False) -> None:  # fmt: skip
    """Tell why a delivery started the runs that it did, and no others."""
    client = Client(url, token)
    told = client.get(f"/api/deliveries/{delivery}")
    if now:
        told |= client.post(f"/api/deliveries/{delivery}/replay", {"dry_run": True}) | {"id": told["id"]}
    if json:
        typer.echo(as_json({name: told.get(name) for name in ("id", "status", "type", "reason", "bindings", "runs")}))
        return
    console = Console()
    _head(console, told)
    _verdicts(console, told["bindings"] or ())


@commands.command()
def replay(
    deliveries: Annotated[list[str] | None, typer.Argument(help="Their ids; else all that fit.")] = None,
    source: SourceOption = None,
    key: KeyOption = None,
    type_: TypeOption = None,
    subject: SubjectOption = None,
    status: StatusOption = None,
    since: SinceOption = None,
    until: UntilOption = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do it; else only tell what would come of it.")] = False,
    url: UrlOption = None,
    token: TokenOption = None,
) -> None:
    """Take deliveries in again, the oldest first, through today's parsers and jobs.

    A quarantined one is tried again; of another a new one is made, which starts new runs. Exits 1 if any is refused.
    """
    client = Client(url, token)
    wanted = _wanted(source, key, type_, subject, status, since, until)
    if not deliveries and not any(wanted.values()):
        raise typer.BadParameter("say which: ids, or what they have in common, such as --status quarantined")
    console = Console()
    refused = 0
    for id_ in deliveries or reversed(list(_fitting(client, wanted))):
        try:
            told = client.post(f"/api/deliveries/{id_}/replay", {"id": str(uuid7()), "dry_run": not yes})
        except Refused as refusal:
            if refusal.status not in (404, 409, 422):
                raise
            refused += 1
            console.print(Text(f"{id_}  refused  {refusal}", "red"), soft_wrap=True)
            continue
        started = ", ".join(map(str, told["runs"]) if yes else (each["job"] for each in told["runs"]))
        console.print(Text(f"{id_}  {told['status']}  {started or told['reason'] or ''}"), soft_wrap=True)
    if not yes:
        console.print("add --yes to do it")
    if refused:
        raise typer.Exit(1)


def _event(told: Mapping[str, Any]) -> str:
    """Of which type it is, of which source if that is named otherwise, about what, and what is wrong."""
    of = "" if told["type"].startswith(told["source"]) else f"{told['source']}: "
    about = f" {told['subject']}" if told["subject"] else ""
    return harmless(f"{of}{told['type']}{about}" + (f" ({told['reason']})" if told["reason"] else ""))


def _wanted(
    source: str | None,
    key: str | None,
    type_: str | None,
    subject: str | None,
    status: str | None,
    since: str | None,
    until: str | None,
) -> dict[str, str | None]:
    return {
        "source": source,
        "key": key,
        "type": type_,
        "subject": subject,
        "status": status,
        "since": since and given_moment(since),
        "until": until and given_moment(until),
    }


def _fitting(client: Client, wanted: Mapping[str, str | None]) -> Iterator[str]:
    """The ids of those that fit, the newest first, but for replays, which are there because of others.

    One that is quarantined counts: it is to become what it should have been.
    """
    cursor = None
    while True:
        told = client.get("/api/deliveries", **wanted, limit=PAGE, cursor=cursor)
        for each in told["deliveries"]:
            if each["replay_of"] is None or each["status"] == "quarantined":
                yield each["id"]
        if (cursor := told["next"]) is None:
            return


def _head(console: Console, told: Mapping[str, Any]) -> None:
    console.print(Text.assemble((told["status"], COLOURS[told["status"]]), f"  {told['type']}  {told['id']}"))
    if told["reason"]:
        console.print(Text(told["reason"], "red"))
    for run in told["runs"]:
        console.print(Text("  ".join(str(run[name]) for name in ("job", "id", "state") if name in run)))


def _verdicts(console: Console, bindings: Sequence[Mapping[str, Any]]) -> None:
    if not bindings:
        console.print("no job is on events of this type")
        return
    table = Table(Column("job", no_wrap=True), "event", "verdict", "why", box=None, header_style="bold", pad_edge=False)
    for each in bindings:
        verdict = Text(each["verdict"], VERDICTS[each["verdict"]])
        table.add_row(f"{each['job']}@{each['version']}", str(each["event"]), verdict, Text(each.get("why") or ""))
    console.print(table)
