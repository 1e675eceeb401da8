"""`hookline runs cancel`, `pause`, `resume`, ...: what an operator does with runs, one or many."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any
from urllib.parse import quote

import typer
from rich.text import Text

from hookline.cli.client import (
    Client,
    DatabaseOption,
    JsonOption,
    TokenOption,
    UrlOption,
    as_json,
    as_line,
    asked,
    given_json,
    given_moment,
    harmless,
)  # fmt: skip
from hookline.cli.runs import RunArgument
from hookline.cli.tables import STATES, Column, console, print_table, when
from hookline.client import Refused
from hookline.errors import ConfigurationError

RunsArgument = Annotated[
    list[str] | None, typer.Argument(help="The ids of runs; else those that the options pick.", metavar="[RUN]...")
]
JobOption = Annotated[str | None, typer.Option(help="All of this job.")]
ScopeOption = Annotated[str | None, typer.Option(help="All of this scope.")]
StateOption = Annotated[str | None, typer.Option(help="All in this state.")]
SinceOption = Annotated[str | None, typer.Option(help="All created since then, as 2026-11-21T12:00Z.")]
UntilOption = Annotated[str | None, typer.Option(help="All created before then.")]
YesOption = Annotated[bool, typer.Option("--yes", help="Do it; else only tell for how many it would be.")]
DataOption = Annotated[str | None, typer.Option("--data", help="JSON, or a text.")]

ACTIONS = {
    "cancel": "Cancel runs; one that is running ends at its next step at the latest, and makes up for what it did.",
    "pause": "Pause runs; one that is running finishes the steps that it is in.",
    "resume": "Let paused runs go on.",
    "delete-data": "Delete the data of runs that have ended; their skeletons stay.",
}


Done = tuple[Any, str]
"""What the API answered, and what that means."""


class NothingPicked(ConfigurationError):
    """A command for many runs was not told for which."""


def add_to(commands: typer.Typer) -> None:
    """Add all of this to `hookline runs`."""
    for action, help_ in ACTIONS.items():
        commands.command(action, help=help_)(_command(action))
    commands.command()(retry)
    commands.command()(signal)
    commands.command("complete-callback")(complete_callback)
    commands.command()(fork)
    commands.command("await")(await_)
    commands.command()(debug)


def _command(action: str) -> Callable[..., None]:
    def act(
        runs: RunsArgument = None,
        job: JobOption = None,
        scope: ScopeOption = None,
        state: StateOption = None,
        since: SinceOption = None,
        until: UntilOption = None,
        yes: YesOption = False,
        url: UrlOption = None,
        token: TokenOption = None,
        json: JsonOption = False,
    ) -> None:
        client = Client(url, token)
        picked = Picked(runs, job, scope, state, since, until, yes, json)
        picked.each(client, action, {}, lambda run: _one(client, action, run))

    return act


@dataclass(frozen=True, slots=True)
class Picked:
    """The runs that a command is for: those that are named, and all that fit what else is said."""

    runs: list[str] | None
    job: str | None
    scope: str | None
    state: str | None
    since: str | None
    until: str | None
    yes: bool
    json: bool

    def each(self, client: Client, action: str, wanted: dict[str, Any], one: Callable[[str], Done]) -> None:
        """Do it with `one` of those named after the other, and with all that fit in one request that says `wanted`."""
        runs = self.runs or []
        for run in runs:
            told, text = one(run)
            self._tell(told, text if len(runs) == 1 else f"{run} {text}")
        fits = {name: getattr(self, name) for name in FITS if getattr(self, name) is not None}
        fits |= {name: given_moment(fits[name]) for name in ("since", "until") if name in fits}
        if fits:
            self._many(client, action, wanted | {"filter": fits, "dry_run": not self.yes})
        elif not runs:
            raise NothingPicked(f"say which runs to {action}: their ids, or --job, --scope, --state, --since, --until")

    def _many(self, client: Client, action: str, body: dict[str, Any]) -> None:
        told = client.post(f"/api/runs/{action}", body)
        if not self.yes:
            self._tell(told, f"{told['fitting']} runs fit; add --yes to {action} them")
            return
        lines = [f"{told['done']} of {told['fitting']} done"]
        lines += [f"{run} goes on as {new}" for run, new in told.get("new", {}).items()]
        lines += [f"{run} refused: {why}" for run, why in told["refused"].items()]
        self._tell(told, "\n".join(lines))

    def _tell(self, told: object, text: str) -> None:
        typer.echo(as_line(told) if self.json else text)


FITS = ("job", "scope", "state", "since", "until")


def _one(client: Client, action: str, run: str) -> Done:
    """Do it with one run; returns what became of it."""
    if action == "delete-data":
        told = client.delete(f"/api/runs/{run}/data")
        return told, f"data deletion {told['data_deletion']}"
    told = client.post(f"/api/runs/{run}/{action}")
    asked = told["state"] == "running" and action != "resume"
    return told, f"asked its worker to {action} it" if asked else str(told["state"])


def retry(
    runs: RunsArgument = None,
    skip: Annotated[
        bool, typer.Option("--skip", help="Go on behind what failed, as if it had returned nothing.")
    ] = False,
    job: JobOption = None,
    scope: ScopeOption = None,
    state: StateOption = None,
    since: SinceOption = None,
    until: UntilOption = None,
    yes: YesOption = False,
    url: UrlOption = None,
    token: TokenOption = None,
    json: JsonOption = False,
) -> None:
    """Start new runs that go on where these failed."""
    client = Client(url, token)
    wanted = {"skip": skip}

    def one(run: str) -> Done:
        told = client.post(f"/api/runs/{run}/retry", wanted)
        return told, f"goes on as {told['id']}"

    Picked(runs, job, scope, state, since, until, yes, json).each(client, "retry", {"retry": wanted}, one)


def signal(
    *,
    runs: RunsArgument = None,
    name: Annotated[str, typer.Argument(help="What they wait for.", metavar="NAME")],
    data: DataOption = None,
    job: JobOption = None,
    scope: ScopeOption = None,
    state: StateOption = None,
    since: SinceOption = None,
    until: UntilOption = None,
    yes: YesOption = False,
    url: UrlOption = None,
    token: TokenOption = None,
    json: JsonOption = False,
) -> None:
    """Send runs a signal."""
    client = Client(url, token)
    wanted = {"name": name, "data": given_json(data)}

    def one(run: str) -> Done:
        told = client.post(f"/api/runs/{run}/signals", wanted)
        return told, f"{name} is held for {run} until it waits for it"

    Picked(runs, job, scope, state, since, until, yes, json).each(client, "signal", {"signal": wanted}, one)


def complete_callback(
    *,
    runs: RunsArgument = None,
    key: Annotated[str, typer.Argument(help="The callback's key in the journal.", metavar="KEY")],
    data: DataOption = None,
    error: Annotated[str | None, typer.Option(help="Complete it with this failure.")] = None,
    job: JobOption = None,
    scope: ScopeOption = None,
    state: StateOption = None,
    since: SinceOption = None,
    until: UntilOption = None,
    yes: YesOption = False,
    url: UrlOption = None,
    token: TokenOption = None,
    json: JsonOption = False,
) -> None:
    """Complete a callback in the place of whoever should."""
    client = Client(url, token)
    body = {"data": given_json(data)} if error is None else {"error": error}

    def one(run: str) -> Done:
        told = client.post(f"/api/runs/{run}/callbacks/{quote(key)}", body)
        return told, f"{key} of {run} is completed"

    wanted = {"callback": body | {"key": key}}
    Picked(runs, job, scope, state, since, until, yes, json).each(client, "complete-callback", wanted, one)


def fork(
    runs: RunsArgument = None,
    from_: Annotated[str | None, typer.Option("--from", help="The step that the new run begins with.")] = None,
    input_: Annotated[str | None, typer.Option("--input", help="JSON in place of the run's own input.")] = None,
    version: Annotated[int | None, typer.Option(help="A version of the job in place of the run's own.")] = None,
    job: JobOption = None,
    scope: ScopeOption = None,
    state: StateOption = None,
    since: SinceOption = None,
    until: UntilOption = None,
    yes: YesOption = False,
    url: UrlOption = None,
    token: TokenOption = None,
    json: JsonOption = False,
) -> None:
    """Start new runs that begin with what these had recorded before a step."""
    client = Client(url, token)
    body: dict[str, Any] = {"from": from_, "version": version}
    if input_ is not None:
        body["input"] = given_json(input_)

    def one(run: str) -> Done:
        told = client.post(f"/api/runs/{run}/fork", body)
        return told, str(told["id"])

    Picked(runs, job, scope, state, since, until, yes, json).each(client, "fork", {"fork": body}, one)


def await_(
    run: RunArgument,
    state: Annotated[str | None, typer.Option(help="The state to wait for; else its end.")] = None,
    var: Annotated[str | None, typer.Option(help="NAME=VALUE: a variable to wait for, as a machine's state.")] = None,
    timeout: Annotated[float, typer.Option(help="Seconds.", min=0, max=60)] = 30.0,
    url: UrlOption = None,
    token: TokenOption = None,
    json: JsonOption = False,
) -> None:
    """Wait until a run is in a state, or has ended; exits 1 if it is not in time."""
    told = Client(url, token).get(f"/api/runs/{run}/await", state=state, var=var, timeout=timeout)
    typer.echo(as_json(told) if json else told["state"])
    if state is not None and told["state"] != state:
        raise Refused(f"run {run} has {told['state']}", 408)


def debug(
    run: RunArgument,
    url: UrlOption = None,
    token: TokenOption = None,
    database: DatabaseOption = False,
    json: JsonOption = False,
) -> None:
    """Show what explains a run: its variables, what it waits for, why it is not running."""
    told = asked(url, token, database=database).get(f"/api/runs/{run}/debug")
    if json:
        typer.echo(as_json(told))
        return
    out = console()
    out.print(
        Text.assemble(
            (told["job"], "bold"),
            f" v{told['version']}  {told['id']}  ",
            (told["state"], STATES.get(told["state"], "")),
        )
    )
    out.print(Text(f"why       {harmless(told['why'])}"), soft_wrap=True)
    for title, rows in (("variables", told["variables"]), ("held", told["held"])):
        for name, value in rows.items():
            out.print(Text(harmless(f"{title:9} {name} = {as_json(value)}")), soft_wrap=True)
    if told["waits"]:
        waits = [[each["key"], each["kind"], each["state"], when(each["due_at"])] for each in told["waits"]]
        print_table((Column("waits for", 1), Column("kind"), Column("state"), Column("until")), waits)
    for child in told["children"]:
        out.print(f"child     {child['id']} {child['job']} {child['state']}", soft_wrap=True)
