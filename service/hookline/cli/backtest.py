"""`hookline backtest`: what deliveries that a service has kept would start under an application here."""

from __future__ import annotations

import os
import sys
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Annotated, Any

import msgspec
import typer
from rich.console import Console
from rich.table import Column, Table
from rich.text import Text

from hookline import telemetry
from hookline.app import App
from hookline.cli.client import Client, JsonOption, TokenOption, UrlOption, as_line, given_moment, harmless
from hookline.errors import ConfigurationError, InvalidInput
from hookline.ingress.backtest import Difference, Outcome, shown, tried, why_not
from hookline.ingress.parser import Parser, find
from hookline.loading import load as load_app
from hookline.settings import Settings, load

KINDS = {"same": "white", "changes": "yellow", "appears": "green", "vanishes": "red"}
LONGEST_SHOWN, MOST_SHOWN = 200, 20


def backtest(
    since: Annotated[str, typer.Option(help="From this moment, as 2026-11-01T00:00Z.")],
    until: Annotated[str | None, typer.Option(help="Up to this moment; else up to now.")] = None,
    app: Annotated[str | None, typer.Option("--app", help="The application, as package.module:app.")] = None,
    source: Annotated[str | None, typer.Option(help="Only deliveries of this source.")] = None,
    type_: Annotated[str | None, typer.Option("--type", help="Of this type of event, or a sub-type of it.")] = None,
    subject: Annotated[str | None, typer.Option(help="About this, such as a repository.")] = None,
    parser: Annotated[
        list[str] | None, typer.Option(help="SOURCE=PARSER, of a source that is not named like its parser.")
    ] = None,
    fail_on_change: Annotated[bool, typer.Option("--fail-on-change", help="Exit 1 if anything would differ.")] = False,
    url: UrlOption = None,
    token: TokenOption = None,
    json: JsonOption = False,
) -> None:
    """Tell which runs would appear, vanish or change, had an application here got what a service has kept.

    Nothing is written and no job is run: only parsers, filters and bindings are. HOOKLINE_LOG_LEVEL=error shows why one
    of them fails.
    """
    settings = load(app=app)
    level = settings.log_level if "HOOKLINE_LOG_LEVEL" in os.environ else "critical"
    telemetry.configure(settings.model_copy(update={"log_level": level, "log_format": "console"}))
    found, client = load_app(settings.app), Client(url, token)
    _learn(found, client)
    parsers = _Parsers(settings, parser or (), client)
    wanted = {
        "source": source, "type": type_, "subject": subject, "since": given_moment(since),
        "until": datetime.now(UTC).isoformat() if until is None else given_moment(until),
    }  # fmt: skip
    totals = Totals()
    for told in _kept(client, wanted):
        if (left_out := why_not(told)) is not None:
            totals.left_out[left_out] += 1
            continue
        outcome = tried(told, parsers[told["source"]], found.latest)
        totals.add(outcome)
        if outcome.is_different:
            _print(told, outcome, json=json)
    totals.print(json=json)
    if fail_on_change and totals.different:
        raise typer.Exit(1)


class Totals:
    """What was found in all."""

    def __init__(self) -> None:
        self.deliveries = self.different = self.quarantined = 0
        self.jobs: defaultdict[str, Counter[str]] = defaultdict(Counter)
        self.left_out: Counter[str] = Counter()

    def add(self, outcome: Outcome) -> None:
        """Count one delivery."""
        self.deliveries += 1
        self.different += outcome.is_different
        self.quarantined += outcome.now == "quarantined"
        for job in outcome.same:
            self.jobs[job]["same"] += 1
        for each in outcome.differences:
            self.jobs[each.job][each.kind] += 1

    def print(self, *, json: bool) -> None:
        """Tell them, as a table or as one line of JSON."""
        if json:
            jobs = {job: {kind: found[kind] for kind in KINDS} for job, found in sorted(self.jobs.items())}
            _line({"totals": {
                "deliveries": self.deliveries, "different": self.different, "quarantined": self.quarantined,
                "left_out": self.left_out, "jobs": jobs,
            }})  # fmt: skip
            return
        if self.jobs:
            columns = [Column(kind, justify="right") for kind in KINDS]
            table = Table("job", *columns, box=None, header_style="bold", pad_edge=False)
            for job, found in sorted(self.jobs.items()):
                table.add_row(job, *(Text(str(found[kind]), style if found[kind] else "dim")
                                     for kind, style in KINDS.items()))  # fmt: skip
            Console().print(table)
        told = f"{self.deliveries} deliveries tried, {self.different} would differ"
        if self.quarantined:
            told += f", {self.quarantined} would be quarantined"
        for what, count in sorted(self.left_out.items()):
            told += f"; {count} {what} left out"
        typer.echo(told)


class _Parsers(dict[str, Parser]):
    """By source, the parser that reads its deliveries here."""

    def __init__(self, settings: Settings, given: list[str] | tuple[str, ...], client: Client) -> None:
        super().__init__()
        there = {each["name"]: each["parser"] for each in client.get("/api/sources")["sources"]}
        self._names = there | {each.name: each.parser for each in settings.sources}
        for each in given:
            source, equals, name = each.partition("=")
            if not equals:
                raise typer.BadParameter(f"--parser is SOURCE=PARSER, not {each!r}")
            self._names[source] = name

    def __missing__(self, source: str) -> Parser:
        try:
            found = self[source] = find(self._names.get(source, source))
        except ConfigurationError as error:
            raise ConfigurationError(f"source {source}: {error}; --parser {source}=NAME says which reads it") from None
        return found


def _learn(app: App, client: Client) -> None:
    """Have `app` know the service's definitions, which are no code of its own."""
    for each in client.get("/api/definitions")["definitions"]:
        try:
            app.learn(each["name"], each["version"], each["source"], commands=True)
        except InvalidInput as error:
            print(f"definition {each['name']} is left out: {error}", file=sys.stderr)  # noqa: T201 - for a person


def _kept(client: Client, wanted: Mapping[str, str | None]) -> Iterator[Mapping[str, Any]]:
    """All deliveries that fit, the oldest first, a page at a time."""
    cursor = None
    while True:
        told = client.get("/api/deliveries/feed", **wanted, after=cursor, limit=200)
        yield from told["deliveries"]
        if not told["deliveries"]:
            return
        cursor = told["next"]


def _print(told: Mapping[str, Any], outcome: Outcome, *, json: bool) -> None:
    if json:
        about = {name: told[name] for name in ("source", "key", "type", "subject")}
        _line({"delivery": told["id"], **about, **msgspec.to_builtins(outcome)})
        return
    lines = [harmless(f"{told['id']}  {told['type']}  {told['subject'] or ''}".rstrip())]
    if outcome.now == "quarantined":
        lines.append(typer.style(harmless(f"  quarantined: {outcome.reason}"), "red"))
    for each in outcome.differences:
        lines += _lines(each, silent=outcome.now == "quarantined")
    typer.echo("\n".join(lines))


def _lines(difference: Difference, *, silent: bool) -> Iterator[str]:
    why = f": {difference.why}" if difference.why and difference.kind == "vanishes" and not silent else ""
    head = f"  {difference.kind:8}  {difference.job}@{difference.version}{why}"
    yield typer.style(harmless(head), KINDS[difference.kind])
    for change in difference.changes[:MOST_SHOWN]:
        yield harmless(f"    {change.path}: {_short(change.then)} -> {_short(change.now)}")
    if (more := len(difference.changes) - MOST_SHOWN) > 0:
        yield f"    and {more} more; --json tells all"


def _short(value: Any) -> str:
    text = shown(value)
    return text if len(text) <= LONGEST_SHOWN else f"{text[:LONGEST_SHOWN]}..."


def _line(content: object) -> None:
    typer.echo(as_line(content))
