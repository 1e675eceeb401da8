"""`hookline reseal`: encrypt what rests by the first key, so that the others can be given up; or open it."""

from __future__ import annotations

from collections import Counter
from time import sleep
from typing import Any

import typer
from rich.console import Console

from hookline.cli import exits
from hookline.cli.client import Client, JsonOption, TokenOption, UrlOption, as_json
from hookline.client import Refused

TRIES = 5


def reseal(url: UrlOption = None, token: TokenOption = None, json: JsonOption = False) -> None:
    """Encrypt payloads and sources' secrets by the first of HOOKLINE_ENCRYPTION_KEYS, so that others can be given up.

    Without HOOKLINE_ENCRYPT_PAYLOADS it opens payloads that rest encrypted. It may be cut off, and run again.
    """
    client, console = Client(url, token), Console(stderr=True)
    unreadable = set(client.post("/api/sources/reseal")["unreadable"])
    changed: Counter[str] = Counter()
    after = None
    with console.status("the first rows are looked at") as status:
        while True:
            told = _asked(client, after)
            changed[told["table"]] += told["changed"]
            unreadable |= set(told["unreadable"])
            after = told["next"]
            what = "encrypted" if told["sealing"] else "opened"
            status.update(f"{told['table']}: {changed[told['table']]} rows {what}")
            if after is None:
                break
    if json:
        typer.echo(as_json({"sealing": told["sealing"], "by": told["by"], "changed": changed, "young": told["young"],
                            "unreadable": sorted(unreadable)}))  # fmt: skip
    else:
        for table, count in changed.items():
            typer.echo(f"{table}: {count} rows {what}")
    _conclude(told, unreadable, is_told=json)


def _conclude(told: dict[str, Any], unreadable: set[str], *, is_told: bool) -> None:
    for each in sorted(unreadable):
        exits.say(f"not all could be opened: {each}")
    if told["young"]:
        exits.say(f"{told['young']} deliveries are too new to be touched: run this again in two minutes")
    if unreadable or told["young"]:
        raise typer.Exit(exits.Exit.NO)
    if not is_told:
        how = f"encrypted by the key {told['by']}" if told["sealing"] else "plain"
        typer.echo(f"all payloads rest {how}")


def _asked(client: Client, after: str | None) -> dict[str, Any]:
    """A part of it; where two stand in each other's way, it is asked for again."""
    for number in range(1, TRIES + 1):
        try:
            told: dict[str, Any] = client.post("/api/reseal", {"after": after})
        except Refused:
            if number == TRIES:
                raise
            sleep(number)
        else:
            return told
    raise AssertionError
