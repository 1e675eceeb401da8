"""`hookline workers`: who is alive."""

from __future__ import annotations

import typer
from rich.console import Console
from rich.table import Table

from hookline.cli.client import Client, JsonOption, TokenOption, UrlOption, as_json


def workers(url: UrlOption = None, token: TokenOption = None, json: JsonOption = False) -> None:
    """List the workers with their leases and loads."""
    told = Client(url, token).get("/api/workers")
    if json:
        typer.echo(as_json(told))
        return
    table = Table("worker", "name", "lease", "runs", "offers", box=None, header_style="bold", pad_edge=False)
    for each in told["workers"]:
        lease = each["lease_seconds"]
        table.add_row(
            each["id"],
            each["name"],
            f"{lease:.0f} s" if lease > 0 else "[red]expired[/]",
            f"{each['running']} of {each['slots']}",
            ", ".join(each["offers"]),
        )
    Console().print(table)
