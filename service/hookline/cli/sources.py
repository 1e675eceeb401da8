"""`hookline sources`: see the endpoints for webhooks, keep some in the service, and rotate their secrets."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.text import Text

from hookline.cli import complete
from hookline.cli.client import Client, DatabaseOption, JsonOption, TokenOption, UrlOption, as_json, asked, tell
from hookline.cli.tables import Column, console, print_table, when
from hookline.errors import ConfigurationError
from hookline.ingress.parser import find
from hookline.ingress.schemes import fingerprint
from hookline.ingress.secrets import generated

commands = typer.Typer(help="See the endpoints for webhooks, and change them.", no_args_is_help=True)

SourceArgument = Annotated[
    str, typer.Argument(help="The name of a source.", metavar="SOURCE", autocompletion=complete.sources)
]
SecretOption = Annotated[
    Path | None,
    typer.Option("--secret-file", help="Holds the secret that the sender knows; - reads standard input."),
]

COLUMNS = (
    Column("source"), Column("parser", 2), Column("declared in", 4), Column("secrets", 5), Column("url", 3),
    Column("problem", 1),
)  # fmt: skip

STEPS = """\
Source {name} is declared in the {origin}: what it is told, no command can change. To rotate its secret:

  1. Where its secrets are ({where}), put this new one before the old one, both active:
       {secret}
     {how}
  2. Deploy, so that every replica takes both.
  3. Give the new one to the sender.
  4. When `hookline deliveries show` tells that new ones are proven by {id}, remove the old one, and deploy.
"""


@commands.command("list")
def list_(
    url: UrlOption = None, token: TokenOption = None, database: DatabaseOption = False, json: JsonOption = False
) -> None:
    """List sources, where each is declared, and how many secrets of it are active."""
    told = asked(url, token, database=database).get("/api/sources")
    if json:
        typer.echo(as_json(told))
        return
    rows = [
        [
            each["name"], each["parser"], each["origin"], "unsigned" if each["unsigned"] else str(len(each["secrets"])),
            each["url"], Text(each["problem"] or "", "red"),
        ]
        for each in told["sources"]
    ]  # fmt: skip
    print_table(COLUMNS, rows)


@commands.command()
def show(
    source: SourceArgument,
    url: UrlOption = None,
    token: TokenOption = None,
    database: DatabaseOption = False,
    json: JsonOption = False,
) -> None:
    """Show a source: its secrets by their fingerprints, and what it may take."""
    told = asked(url, token, database=database).get(f"/api/sources/{source}")
    if json:
        typer.echo(as_json(told))
    else:
        _print(told)


@commands.command()
def add(
    source: SourceArgument,
    parser: Annotated[str | None, typer.Option(help="Whose webhooks they are, if it is not named like it.")] = None,
    secret_file: SecretOption = None,
    unsigned: Annotated[bool, typer.Option("--unsigned", help="Take deliveries that nobody signed.")] = False,
    wait: Annotated[float | None, typer.Option(help="Seconds that its sender may wait for runs.")] = None,
    max_body: Annotated[int | None, typer.Option(help="Bytes that a body may have.")] = None,
    max_in_flight: Annotated[int | None, typer.Option(help="Deliveries that are taken in at once.")] = None,
    rate: Annotated[str | None, typer.Option(help="Deliveries over time, as 100/s or 6000/m.")] = None,
    allow: Annotated[list[str] | None, typer.Option(help="A network that they may come from; repeat it.")] = None,
    url: UrlOption = None,
    token: TokenOption = None,
    json: JsonOption = False,
) -> None:
    """Keep a source in the service, or change one, of which stays what is not said here.

    Without a secret a new one gets one that is made up, and printed this once.
    """
    client = Client(url, token)
    given = {
        "parser": parser, "wait": wait, "max_body": max_body, "max_in_flight": max_in_flight, "rate": rate,
        "allow": allow,
    }  # fmt: skip
    there: dict[str, Any] = {each["name"]: each for each in client.get("/api/sources")["sources"]}
    before = there.get(source, {})
    body = {option: before.get(option) if value is None else value for option, value in given.items()}
    body |= {"unsigned": unsigned, "allow": body["allow"] or []}
    body |= {} if secret_file is None else {"secrets": [_secret(secret_file)]}
    _tell(client.put(f"/api/sources/{source}", as_json(body).encode(), "application/json"), json)


@commands.command()
def rotate(
    source: SourceArgument,
    secret_file: SecretOption = None,
    overlap: Annotated[float, typer.Option(min=0, help="Seconds for which the old ones are active still.")] = 86_400,
    url: UrlOption = None,
    token: TokenOption = None,
    json: JsonOption = False,
) -> None:
    """Give a source one more secret, and end the others after a while; of one in settings or code, tell how."""
    client = Client(url, token)
    told = client.get(f"/api/sources/{source}")
    if told["origin"] != "api":
        _explain(told)
        return
    body = {"overlap": overlap} | ({} if secret_file is None else {"secret": _secret(secret_file)})
    _tell(client.post(f"/api/sources/{source}/rotate", body), json)


@commands.command()
def remove(source: SourceArgument, url: UrlOption = None, token: TokenOption = None, json: JsonOption = False) -> None:
    """Take no more deliveries of a source; those that came stay."""
    tell(Client(url, token).delete(f"/api/sources/{source}"), f"{source} is removed", json=json)


@commands.command()
def reseal(url: UrlOption = None, token: TokenOption = None, json: JsonOption = False) -> None:
    """Encrypt every secret by the first of HOOKLINE_ENCRYPTION_KEYS, so that the others can be given up."""
    told = Client(url, token).post("/api/sources/reseal")
    tell(told, f"{told['resealed']} secrets are resealed", json=json)
    for each in told["unreadable"]:
        typer.echo(each, err=True)
    if told["unreadable"]:
        raise typer.Exit(1)


def _explain(told: dict[str, Any]) -> None:
    if told["unsigned"]:
        raise ConfigurationError(f"source {told['name']} is unsigned, so it has no secret to rotate")
    scheme = find(told["parser"]).scheme
    secret = generated(scheme)
    where = ", ".join(told["secrets_from"])
    how = "one to a line in a file or a program's output; separated by a comma in a variable"
    text = STEPS.format(
        name=told["name"], origin=told["origin"], where=where, secret=secret, how=how, id=fingerprint(secret.encode())
    )
    typer.echo(text, nl=False)


def _tell(told: dict[str, Any], json: bool) -> None:
    if json:
        typer.echo(as_json(told))
        return
    _print(told)
    if "secret" in told:
        typer.echo(f"\nits new secret, which is not told again:\n{told['secret']}")


def _print(told: dict[str, Any]) -> None:
    out = console()
    out.print(Text(f"{told['name']}  {told['parser']}  declared in {told['origin']}  {told['url']}"), soft_wrap=True)
    if told["problem"]:
        out.print(Text(told["problem"], "red"), soft_wrap=True)
    limits = ((name, told[name]) for name in ("wait", "max_body", "max_in_flight", "rate", "allow"))
    for name, value in limits:
        if value:
            out.print(Text(f"{name}: {', '.join(value) if isinstance(value, list) else value}"), soft_wrap=True)
    if told["unsigned"]:
        out.print("unsigned: anybody may send")
        return
    rows = [[each["id"], when(each["added_at"]), when(each["expires_at"])] for each in told["secrets"]]
    print_table((Column("secret"), Column("added", 1, whole=True), Column("active until", 2, whole=True)), rows)


def _secret(file: Path) -> str:
    """The secret in `file`; never one from the command line, which others on this machine can read."""
    if str(file) == "-":
        return sys.stdin.read().strip()
    try:
        return file.read_text().strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"cannot read {file}: {getattr(error, 'strerror', 'it is not text')}") from None
