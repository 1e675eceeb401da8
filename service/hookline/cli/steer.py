"""`hookline runs cancel`, `pause`, `resume`, ...: what an operator does with runs, one or many."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any
from urllib.parse import quote

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from hookline.cli.client import Client, JsonOption, TokenOption, UrlOption, as_json, given_json, given_moment
from hookline.cli.runs import COLOURS, RunArgument
from hookline.client import Refused
from hookline.errors import HooklineError

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


class NothingPicked(HooklineError):
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
    ) -> None:
        client = Client(url, token)
        picked = Picked(runs, job, scope, state, since, until, yes)
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

    def each(self, client: Client, action: str, wanted: dict[str, Any], one: Callable[[str], str]) -> None:
        """Do it with `one` of those named after the other, and with all that fit in one request that says `wanted`."""
        runs = self.runs or []
        for run in runs:
            told = one(run)
            typer.echo(told if len(runs) == 1 else f"{run} {told}")
        fits = {name: getattr(self, name) for name in FITS if getattr(self, name) is not None}
        fits |= {name: given_moment(fits[name]) for name in ("since", "until") if name in fits}
        if fits:
            self._many(client, action, wanted | {"filter": fits, "dry_run": not self.yes})
        elif not runs:
            raise NothingPicked(f"say which runs to {action}: their ids, or --job, --scope, --state, --since, --until")

    def _many(self, client: Client, action: str, body: dict[str, Any]) -> None:
        told = client.post(f"/api/runs/{action}", body)
        if not self.yes:
            typer.echo(f"{told['fitting']} runs fit; add --yes to {action} them")
            return
        typer.echo(f"{told['done']} of {told['fitting']} done")
        for run, new in told.get("new", {}).items():
            typer.echo(f"{run} goes on as {new}")
        for run, why in told["refused"].items():
            typer.echo(f"{run} refused: {why}")


FITS = ("job", "scope", "state", "since", "until")


def _one(client: Client, action: str, run: str) -> str:
    """Do it with one run; returns what became of it."""
    if action == "delete-data":
        return f"data deletion {client.delete(f'/api/runs/{run}/data')['data_deletion']}"
    told = client.post(f"/api/runs/{run}/{action}")
    asked = told["state"] == "running" and action != "resume"
    return f"asked its worker to {action} it" if asked else str(told["state"])


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
) -> None:
    """Start new runs that go on where these failed."""
    client = Client(url, token)
    wanted = {"skip": skip}

    def one(run: str) -> str:
        return f"goes on as {client.post(f'/api/runs/{run}/retry', wanted)['id']}"

    Picked(runs, job, scope, state, since, until, yes).each(client, "retry", {"retry": wanted}, one)


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
) -> None:
    """Send runs a signal."""
    client = Client(url, token)
    wanted = {"name": name, "data": given_json(data)}

    def one(run: str) -> str:
        client.post(f"/api/runs/{run}/signals", wanted)
        return f"{name} is held for {run} until it waits for it"

    Picked(runs, job, scope, state, since, until, yes).each(client, "signal", {"signal": wanted}, one)


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
) -> None:
    """Complete a callback in the place of whoever should."""
    client = Client(url, token)
    body = {"data": given_json(data)} if error is None else {"error": error}

    def one(run: str) -> str:
        client.post(f"/api/runs/{run}/callbacks/{quote(key)}", body)
        return f"{key} of {run} is completed"

    wanted = {"callback": body | {"key": key}}
    Picked(runs, job, scope, state, since, until, yes).each(client, "complete-callback", wanted, one)


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
) -> None:
    """Start new runs that begin with what these had recorded before a step."""
    client = Client(url, token)
    body: dict[str, Any] = {"from": from_, "version": version}
    if input_ is not None:
        body["input"] = given_json(input_)

    def one(run: str) -> str:
        return str(client.post(f"/api/runs/{run}/fork", body)["id"])

    Picked(runs, job, scope, state, since, until, yes).each(client, "fork", {"fork": body}, one)


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
        raise Refused(f"run {run} has {told['state']}")


def debug(run: RunArgument, url: UrlOption = None, token: TokenOption = None, json: JsonOption = False) -> None:
    """Show what explains a run: its variables, what it waits for, why it is not running."""
    told = Client(url, token).get(f"/api/runs/{run}/debug")
    if json:
        typer.echo(as_json(told))
        return
    console = Console()
    console.print(
        Text.assemble(
            (told["job"], "bold"),
            f" v{told['version']}  {told['id']}  ",
            (told["state"], COLOURS.get(told["state"], "")),
        )
    )
    console.print(f"why       {told['why']}", highlight=False, soft_wrap=True)
    for title, rows in (("variables", told["variables"]), ("held", told["held"])):
        for name, value in rows.items():
            console.print(Text(f"{title:9} {name} = {as_json(value)}"), soft_wrap=True)
    table = Table("waits for", "kind", "state", "until", box=None, header_style="dim", pad_edge=False)
    for each in told["waits"]:
        table.add_row(Text(each["key"]), each["kind"], each["state"], each["due_at"] or "")
    if told["waits"]:
        console.print(table)
    for child in told["children"]:
        console.print(f"child     {child['id']} {child['job']} {child['state']}", highlight=False)
