"""`hookline watch`: how things stand, as they change; a line for each event where there is no terminal."""

from __future__ import annotations

import time
from collections import Counter, deque
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from typing import Any

import typer
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.text import Text

from hookline.cli import exits
from hookline.cli.client import Client, JsonOption, TokenOption, UrlOption, as_line, harmless
from hookline.cli.runs import WantedJob
from hookline.cli.stream import Feed, Happened
from hookline.cli.tables import STATES, Cell, Column, console, drawn, state, when
from hookline.client import Refused

EVERY = 2.0
"""Seconds between two looks at what no event tells: leases and loads, and how many runs are unfinished."""

MINUTE = 60.0
MOST = 200
RUNS = (Column("run"), Column("state"), Column("job", 1), Column("at", 3, whole=True), Column("reason", 2))
WORKERS = (Column("worker", 1), Column("runs", right=True), Column("lease", right=True), Column("offers", 2))
LINE: dict[str, Any] = {"overflow": "ellipsis", "no_wrap": True}
UNFINISHED = ("queued", "running", "waiting", "blocked", "paused")


def watch(job: WantedJob = None, url: UrlOption = None, token: TokenOption = None, json: JsonOption = False) -> None:
    """Show how things stand, kept up to date until Ctrl-C: states, throughput, workers, and what needs attention.

    Without a terminal, a line for each change of a run and for each delivery; with --json, a JSON value for each.
    """
    client = Client(url, token)
    out = console()
    live = out.is_terminal and not json
    feed = Feed(client, "/api/stream", job=job, snapshot="true" if live else None)
    if live:
        _watch_live(client, feed, out, job)
    else:
        for each in _events(feed):
            typer.echo(_json(each) if json else _line(each))


def _events(feed: Feed) -> Iterator[Happened]:
    while True:
        for each in feed.some(None):
            if each.kind == "lost":
                exits.say(f"{each.data['reason']}; trying again")
            elif each.kind != "open":
                yield each


def _json(event: Happened) -> str:
    return as_line({"event": event.kind, **event.data})


def _line(event: Happened) -> str:
    data = event.data
    if event.kind == "reset":
        return f"reset  {data['reason']}"
    about = data["job"] if event.kind == "run" else f"{data['source']} {data['type']}"
    told = data["state"] if event.kind == "run" else data["status"]
    words = (when(data["at"]), event.kind, told, about, data["id"], data.get("reason") or "")
    return harmless("  ".join(words).rstrip())


class View:
    """What is known of runs and deliveries, from the events that have come.

    Attributes:
        runs: the newest of those that something became of, the last first, as `{id, job, state, at, reason}`.
        lost: why nothing is heard for now.
        span: the seconds that `lately` is about: a minute, or since the first look.
    """

    def __init__(self) -> None:
        self.runs: dict[str, dict[str, Any]] = {}
        self.lost: str | None = None
        self.span = 0.0
        self._began: float | None = None
        self._lately: deque[tuple[float, str]] = deque()

    def add(self, events: Iterable[Happened], now: float) -> None:
        """Take events in that came at `now`, in seconds."""
        self._began = now if self._began is None else self._began
        self.span = min(now - self._began, MINUTE)
        for each in events:
            self.lost = each.data["reason"] if each.kind == "lost" else None
            if each.kind == "snapshot":
                told = reversed(each.data.get("runs", ()))
                self.runs = {run["id"]: run | {"at": run["finished_at"] or run["created_at"]} for run in told}
            elif each.kind == "run":
                self.runs.pop(each.data["id"], None)
                self.runs[each.data["id"]] = each.data
                self._lately.append((now, each.data["state"]))
            elif each.kind == "delivery":
                self._lately.append((now, each.data["status"]))
        for id_ in list(self.runs)[: max(len(self.runs) - MOST, 0)]:
            del self.runs[id_]
        while self._lately and self._lately[0][0] < now - MINUTE:
            self._lately.popleft()

    def lately(self) -> Counter[str]:
        """How often what has happened within `span`."""
        return Counter(word for _, word in self._lately)


def _watch_live(client: Client, feed: Feed, out: Console, job: str | None) -> None:
    view, workers, jobs, looked = View(), list[dict[str, Any]](), list[dict[str, Any]](), float("-inf")
    with Live(console=out, auto_refresh=False, screen=True) as live:
        while True:
            if time.monotonic() - looked >= EVERY and view.lost is None:
                try:
                    jobs = [each for each in client.get("/api/jobs")["jobs"] if job in (None, each["name"])]
                    workers, looked = client.get("/api/workers")["workers"], time.monotonic()
                except Refused as refused:
                    if refused.status not in exits.AWAY or not workers:
                        raise
                    view.lost = str(refused)
            live.update(screen(view, workers, jobs, out.width, out.height), refresh=True)
            view.add(feed.some(EVERY), time.monotonic())


def screen(
    view: View, workers: Sequence[dict[str, Any]], jobs: Sequence[dict[str, Any]], width: int, height: int
) -> RenderableType:
    """All of it, fit for a terminal of that size."""
    now, lately = f"{datetime.now().astimezone():%H:%M:%S}", view.lately()
    counts: Counter[str] = Counter()
    for each in jobs:
        counts.update(each["unfinished"])
    head = Text.assemble(("hookline  ", "bold"), *_counted(counts, UNFINISHED), (now, "dim"), **LINE)
    came = sum(lately[word] for word in ("accepted", "ignored", "quarantined", "conflict"))
    ended = _counted(lately, ("succeeded", "failed", "cancelled"))
    rates = Text.assemble(f"last {view.span:.0f} s  ", *ended, f"{came} deliveries", **LINE)
    notices = attention(view, workers, jobs)
    loads = [_load(each) for each in workers[: max(height // 4, 1)]]
    above = 7 + len(notices) + len(loads)
    runs: list[list[Cell]] = [
        [run["id"], state(run["state"]), run["job"], when(run["at"]), run.get("reason") or ""]
        for run in list(reversed(view.runs.values()))[: max(height - above, 0)]
    ]
    return Group(
        head, rates, *(Text(f"! {harmless(each)}", "red", **LINE) for each in notices),
        Text(), drawn(WORKERS, loads, width), Text(), drawn(RUNS, runs, width),
    )  # fmt: skip


def _load(worker: dict[str, Any]) -> list[Cell]:
    lease = worker["lease_seconds"]
    left = f"{lease:.0f} s" if lease > 0 else Text("expired", "red")
    return [worker["name"], f"{worker['running']} of {worker['slots']}", left, ", ".join(worker["offers"])]


def attention(view: View, workers: Sequence[dict[str, Any]], jobs: Sequence[dict[str, Any]]) -> list[str]:
    """What a person should look at first."""
    told = [] if view.lost is None else [f"{view.lost}; trying again"]
    alive = [each for each in workers if each["lease_seconds"] > 0]
    if not alive and view.lost is None:
        told.append("no worker is alive: nothing runs until a replica starts")
    for each in jobs:
        unfinished = sum(each["unfinished"].values())
        if alive and unfinished and not each["offered"]:
            told.append(f"{each['name']}: nobody offers it, and {unfinished} runs are unfinished")
        if paused := each["unfinished"].get("paused"):
            told.append(f"{each['name']}: {paused} paused; hookline runs list --job {each['name']} --state paused")
    lately = view.lately()
    if lately["quarantined"]:
        told.append(f"{lately['quarantined']} deliveries quarantined; hookline deliveries list --status quarantined")
    return told[:5]


def _counted(counts: Counter[str], words: Sequence[str]) -> Iterator[tuple[str, str]]:
    for word in words:
        yield f"{counts[word]} {word}  ", STATES.get(word, "") if counts[word] else "dim"
