"""`hookline tokens` and `hookline audit`: who may use the API, and who changed what with it."""

from __future__ import annotations

import asyncio
import re
from typing import Annotated, Any
from uuid import UUID

import typer
from rich.text import Text

from hookline import embedded
from hookline.cli.client import Client, DatabaseOption, JsonOption, TokenOption, UrlOption, as_json, asked, only, tell
from hookline.cli.process import prepare
from hookline.cli.tables import Column, details, print_table, when
from hookline.settings import load
from hookline.store.database import Database
from hookline.web.access import ROLES
from hookline.web.api.tokens import MakeToken, make

commands = typer.Typer(help="Make, list and revoke API tokens.", no_args_is_help=True)

UNITS = {"m": 60, "h": 3600, "d": 86_400, "w": 7 * 86_400}


@commands.command()
def create(
    name: Annotated[str, typer.Argument(help="Who or what it is for.")],
    role: Annotated[str, typer.Option(help="viewer, operator or admin.")] = "viewer",
    expires: Annotated[str | None, typer.Option(help="After how long: 12h, 30d, 4w; else never.")] = None,
    here: Annotated[
        bool, typer.Option("--here", help="In the database at HOOKLINE_DATABASE_URL, without a service: the first one.")
    ] = False,
    url: UrlOption = None,
    token: TokenOption = None,
    json: JsonOption = False,
) -> None:
    """Make a token, and print it: it is shown this once."""
    if role not in ROLES:
        raise typer.BadParameter(f"a role is {', '.join(ROLES)}, not {role[:20]!r}", param_hint="--role")
    life = None if expires is None else _seconds(expires)
    if here:
        made = _made_here(MakeToken(name=name, role=role, expires_in=life))
        tell({"name": name, "role": role, "token": made}, made, json=json)
        return
    told = Client(url, token).post("/api/tokens", {"name": name, "role": role, "expires_in": life})
    tell(told, told["token"], json=json)


@commands.command("list")
def list_(
    url: UrlOption = None, token: TokenOption = None, database: DatabaseOption = False, json: JsonOption = False
) -> None:
    """List the tokens that were made, revoked and expired ones, too."""
    told = asked(url, token, database=database).get("/api/tokens")
    if json:
        typer.echo(as_json(told))
        return
    columns = (
        Column("token"), Column("name", 1), Column("role"), Column("by", 3), Column("until", 2, whole=True),
    )  # fmt: skip
    rows = [[each["id"], each["name"], each["role"], each["created_by"], _until(each)] for each in told["tokens"]]
    print_table(columns, rows)


@commands.command()
def show(
    id_: Annotated[str, typer.Argument(metavar="TOKEN", help="The id of a token, or its name.")],
    url: UrlOption = None,
    token: TokenOption = None,
    database: DatabaseOption = False,
    json: JsonOption = False,
) -> None:
    """Show a token, but for itself, which nobody knows."""
    told = only(asked(url, token, database=database).get("/api/tokens")["tokens"], id_, "token")
    if json:
        typer.echo(as_json(told))
    else:
        details(told)


@commands.command()
def revoke(
    id_: Annotated[UUID, typer.Argument(metavar="TOKEN", help="The id of a token.")],
    url: UrlOption = None,
    token: TokenOption = None,
    json: JsonOption = False,
) -> None:
    """End a token; every replica knows of it within two seconds."""
    tell(Client(url, token).delete(f"/api/tokens/{id_}"), f"token {id_} is revoked", json=json)


def audit(
    limit: Annotated[int, typer.Option(min=1, max=200, help="How many, at most.")] = 20,
    url: UrlOption = None,
    token: TokenOption = None,
    database: DatabaseOption = False,
    json: JsonOption = False,
) -> None:
    """Tell who changed what, the newest first."""
    told = asked(url, token, database=database).get("/api/audit", limit=limit)
    if json:
        typer.echo(as_json(told))
        return
    columns = (
        Column("when"), Column("who", 3), Column("role", 4), Column("from", 5), Column("what", 1), Column("answer", 2),
    )  # fmt: skip
    rows = [
        [
            when(each["at"]), each["who"], each["role"], each["address"] or "",
            f"{each['method']} {each['path'].removeprefix('/api')}", str(each["status"] or "cut off"),
        ]
        for each in told["audit"]
    ]  # fmt: skip
    print_table(columns, rows)


def _made_here(wanted: MakeToken) -> str:
    async def making(dsn: str) -> str:
        async with Database(dsn) as database, database.session() as connection:
            return (await make(connection, wanted, by="the command line"))[0]

    settings = load()
    if settings.database_url is not None:
        dsn = settings.database_url.get_secret_value()
        prepare(dsn, migrating=False)
        return asyncio.run(making(dsn))
    with embedded.running(settings.data or embedded.default_data()) as dsn:
        prepare(dsn, migrating=True)
        return asyncio.run(making(dsn))


def _until(told: dict[str, Any]) -> Text:
    if told["revoked_at"]:
        return Text(f"revoked {told['revoked_at'][:16].replace('T', ' ')}", "red")
    return Text("revoked by hand" if told["expires_at"] is None else told["expires_at"][:16].replace("T", " "))


def _seconds(text: str) -> float:
    if not (match := re.fullmatch(r"(\d{1,6})([mhdw])", text)):
        raise typer.BadParameter(f"a time is like 12h, 30d or 4w, not {text[:20]!r}", param_hint="--expires")
    return float(int(match[1]) * UNITS[match[2]])
