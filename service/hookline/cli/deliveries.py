"""`hookline deliveries`: see what came in, why it did what it did, and take it in again."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.text import Text

from hookline.cli import complete
from hookline.cli.client import (
    Client,
    DatabaseOption,
    JsonOption,
    TokenOption,
    UrlOption,
    as_json,
    as_line,
    asked,
    given_moment,
    harmless,
)  # fmt: skip
from hookline.cli.tables import Cell, Column, console, drawn, print_table, when
from hookline.client import Refused
from hookline.codec import uuid7

commands = typer.Typer(help="See what came in, and take it in again.", no_args_is_help=True)

DeliveryArgument = Annotated[
    str, typer.Argument(help="The id of a delivery.", metavar="DELIVERY", autocompletion=complete.deliveries)
]
SourceOption = Annotated[str | None, typer.Option(help="Of this source.", autocompletion=complete.sources)]
KeyOption = Annotated[str | None, typer.Option(help="With this id of the sender's.")]
TypeOption = Annotated[str | None, typer.Option("--type", help="Of this type of event, or a sub-type of it.")]
SubjectOption = Annotated[str | None, typer.Option(help="About this, such as a repository: octo/site.")]
StatusOption = Annotated[str | None, typer.Option(help="accepted, ignored, quarantined or conflict.")]
SinceOption = Annotated[str | None, typer.Option(help="From this moment, as 2026-11-01T00:00Z.")]
UntilOption = Annotated[str | None, typer.Option(help="Up to this moment.")]

COLUMNS = (
    Column("delivery"),
    Column("status"),
    Column("received", 2, whole=True),
    Column("runs", 3, right=True, whole=True),
    Column("event", 1),
)

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
    database: DatabaseOption = False,
    json: JsonOption = False,
) -> None:
    """List deliveries, the newest first."""
    wanted = _wanted(source, key, type_, subject, status, since, until)
    told = asked(url, token, database=database).get("/api/deliveries", **wanted, limit=limit)
    if json:
        typer.echo(as_json(told))
        return
    rows: list[list[Cell]] = [
        [
            each["id"], Text(each["status"], COLOURS[each["status"]]), when(each["received_at"]),
            str(len(each["runs"])), _event(each),
        ]
        for each in told["deliveries"]
    ]  # fmt: skip
    print_table(COLUMNS, rows)


@commands.command()
def show(
    delivery: DeliveryArgument,
    url: UrlOption = None,
    token: TokenOption = None,
    database: DatabaseOption = False,
    json: JsonOption = False,
) -> None:
    """Show a delivery: its headers and body, what each job made of it, and its runs."""
    told = asked(url, token, database=database).get(f"/api/deliveries/{delivery}")
    if json:
        typer.echo(as_json(told))
        return
    out = console()
    _head(out, told)
    _verdicts(out, told["bindings"] or ())
    if told["secret"]:
        out.print(Text(f"proven by secret {told['secret']}", "dim"))
    for name, value in told["headers"]:
        out.print(Text(harmless(f"{name}: {value}"), "dim"), soft_wrap=True)
    out.print()
    out.print(Text(harmless(told.get("body", "(binary; --json tells it as base64)"))), soft_wrap=True)


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
    out = console()
    _head(out, told)
    _verdicts(out, told["bindings"] or ())


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
    json: JsonOption = False,
) -> None:
    """Take deliveries in again, the oldest first, through today's parsers and jobs.

    A quarantined one is tried again; of another a new one is made, which starts new runs. Exits 1 if any is refused.
    """
    client = Client(url, token)
    wanted = _wanted(source, key, type_, subject, status, since, until)
    if not deliveries and not any(wanted.values()):
        raise typer.BadParameter("say which: ids, or what they have in common, such as --status quarantined")
    out = console()
    refused = 0
    for id_ in deliveries or reversed(list(_fitting(client, wanted))):
        try:
            told = client.post(f"/api/deliveries/{id_}/replay", {"id": str(uuid7()), "dry_run": not yes})
        except Refused as refusal:
            if refusal.status not in (404, 409, 422):
                raise
            refused += 1
            if json:
                typer.echo(as_line({"id": id_, "status": "refused", "reason": str(refusal)}))
            else:
                out.print(Text(f"{id_}  refused  {refusal}", "red"), soft_wrap=True)
            continue
        if json:
            typer.echo(as_line(told))
            continue
        started = ", ".join(map(str, told["runs"]) if yes else (each["job"] for each in told["runs"]))
        out.print(Text(f"{id_}  {told['status']}  {started or told['reason'] or ''}"), soft_wrap=True)
    if not yes and not json:
        out.print("add --yes to do it")
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


def _head(out: Console, told: Mapping[str, Any]) -> None:
    head = Text.assemble((told["status"], COLOURS[told["status"]]), f"  {told['type']}  {told['id']}")
    out.print(head, soft_wrap=True)
    if told["reason"]:
        out.print(Text(harmless(told["reason"]), "" if told["status"] == "ignored" else "red"), soft_wrap=True)
    elif not told["bindings"]:
        out.print("no job is on events of this type")
    for run in told["runs"]:
        out.print(Text("  ".join(str(run[name]) for name in ("job", "id", "state") if name in run)), soft_wrap=True)


def _verdicts(out: Console, bindings: Sequence[Mapping[str, Any]]) -> None:
    if not bindings:
        return
    rows: list[list[Cell]] = [
        [
            f"{each['job']}@{each['version']}", str(each["event"]), Text(each["verdict"], VERDICTS[each["verdict"]]),
            each.get("why") or "",
        ]
        for each in bindings
    ]  # fmt: skip
    out.print(drawn((Column("job"), Column("event", 2), Column("verdict"), Column("why", 1)), rows, out.width))
