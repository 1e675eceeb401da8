"""`hookline runs cancel`, `pause`, `resume`, ...: what an operator does with runs, one or many."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any
from urllib.parse import quote

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from hookline.cli.client import Client, JsonOption, Refused, TokenOption, UrlOption, as_json, given_json
from hookline.cli.runs import COLOURS, RunArgument
from hookline.errors import HooklineError

RunsArgument = Annotated[list[str] | None, typer.Argument(help="The ids of runs; else those that the options pick.")]
DataOption = Annotated[str | None, typer.Option("--data", help="JSON, or a text.")]

ACTIONS = {
    "cancel": "Cancel runs; one that is running ends at its next step at the latest, and makes up for what it did.",
    "pause": "Pause runs; one that is running finishes the steps that it is in.",
    "resume": "Let paused runs go on.",
    "retry": "Start new runs that go on where these failed.",
    "delete-data": "Delete the data of runs that have ended; their skeletons stay.",
}


class NothingPicked(HooklineError):
    """A command for many runs was not told for which."""


def add_to(commands: typer.Typer) -> None:
    """Add all of this to `hookline runs`."""
    for action, help_ in ACTIONS.items():
        commands.command(action, help=help_)(_command(action))
    commands.command()(signal)
    commands.command("complete-callback")(complete_callback)
    commands.command()(fork)
    commands.command("await")(await_)
    commands.command()(debug)


def _command(action: str) -> Callable[..., None]:
    def act(
        runs: RunsArgument = None,
        job: Annotated[str | None, typer.Option(help="All of this job.")] = None,
        scope: Annotated[str | None, typer.Option(help="All of this scope.")] = None,
        state: Annotated[str | None, typer.Option(help="All in this state.")] = None,
        since: Annotated[str | None, typer.Option(help="All created since then, as 2026-11-21T12:00Z.")] = None,
        until: Annotated[str | None, typer.Option(help="All created before then.")] = None,
        yes: Annotated[bool, typer.Option("--yes", help="Do it; else only tell for how many it would be.")] = False,
        url: UrlOption = None,
        token: TokenOption = None,
    ) -> None:
        client = Client(url, token)
        for run in runs or ():
            told = _one(client, action, run)
            typer.echo(told if len(runs or ()) == 1 else f"{run} {told}")
        picked = {"job": job, "scope": scope, "state": state, "since": since, "until": until}
        wanted = {name: value for name, value in picked.items() if value is not None}
        if wanted:
            _many(client, action, wanted, yes=yes)
        elif not runs:
            raise NothingPicked(f"say which runs to {action}: their ids, or --job, --scope, --state, --since, --until")

    return act


def _one(client: Client, action: str, run: str) -> str:
    """Do it with one run; returns what became of it."""
    if action == "delete-data":
        return f"data deletion {client.delete(f'/api/runs/{run}/data')['data_deletion']}"
    told = client.post(f"/api/runs/{run}/{action}")
    if action == "retry":
        return f"goes on as {told['id']}"
    asked = told["state"] == "running" and action != "resume"
    return f"asked its worker to {action} it" if asked else str(told["state"])


def _many(client: Client, action: str, wanted: dict[str, str], *, yes: bool) -> None:
    told = client.post(f"/api/runs/{action}", {"filter": wanted, "dry_run": not yes})
    if not yes:
        typer.echo(f"{told['fitting']} runs fit; add --yes to {action} them")
        return
    typer.echo(f"{told['done']} of {told['fitting']} done")
    for run, why in told["refused"].items():
        typer.echo(f"{run} refused: {why}")


def signal(
    run: RunArgument,
    name: Annotated[str, typer.Argument(help="What the run waits for.")],
    data: DataOption = None,
    url: UrlOption = None,
    token: TokenOption = None,
) -> None:
    """Send a run a signal."""
    Client(url, token).post(f"/api/runs/{run}/signals", {"name": name, "data": given_json(data)})
    typer.echo(f"{name} is held for {run} until it waits for it")


def complete_callback(
    run: RunArgument,
    key: Annotated[str, typer.Argument(help="The callback's key in the run's journal.")],
    data: DataOption = None,
    error: Annotated[str | None, typer.Option(help="Complete it with this failure.")] = None,
    url: UrlOption = None,
    token: TokenOption = None,
) -> None:
    """Complete a callback in the place of whoever should."""
    body = {"data": given_json(data)} if error is None else {"error": error}
    Client(url, token).post(f"/api/runs/{run}/callbacks/{quote(key)}", body)
    typer.echo(f"{key} of {run} is completed")


def fork(
    run: RunArgument,
    from_: Annotated[str | None, typer.Option("--from", help="The step that the new run begins with.")] = None,
    input_: Annotated[str | None, typer.Option("--input", help="JSON in place of the run's own input.")] = None,
    version: Annotated[int | None, typer.Option(help="A version of the job in place of the run's own.")] = None,
    url: UrlOption = None,
    token: TokenOption = None,
) -> None:
    """Start a new run that begins with what this one had recorded before a step."""
    body: dict[str, Any] = {"from": from_, "version": version}
    told = Client(url, token).post(
        f"/api/runs/{run}/fork", body if input_ is None else body | {"input": given_json(input_)}
    )
    typer.echo(told["id"])


def await_(
    run: RunArgument,
    state: Annotated[str | None, typer.Option(help="The state to wait for; else its end.")] = None,
    timeout: Annotated[float, typer.Option(help="Seconds.", min=0, max=60)] = 30.0,
    url: UrlOption = None,
    token: TokenOption = None,
    json: JsonOption = False,
) -> None:
    """Wait until a run is in a state, or has ended; exits 1 if it is not in time."""
    told = Client(url, token).get(f"/api/runs/{run}/await", state=state, timeout=timeout)
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
