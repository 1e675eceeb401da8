"""The command line as a whole: every noun has its verbs, every listing its JSON, and its page tells of all of them."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import cast

import httpx
import pytest
from rich.console import Console
from tests.commands import markdown, options, walk

from hookline.cli import exits
from hookline.cli.client import Client
from hookline.cli.stream import Feed, Happened, frames
from hookline.cli.tables import Column, drawn, fitted
from hookline.cli.watch import View, attention, screen
from hookline.client import Refused
from hookline.errors import ConfigurationError, Fatal, Unavailable

NOUNS = ("runs", "jobs", "deliveries", "sources", "schedules", "definitions", "workers", "tokens", "connectors")
COMMANDS = {" ".join(path[1:]): options(command) for path, command in walk()}


@pytest.mark.parametrize("noun", NOUNS)
@pytest.mark.parametrize("verb", ["list", "show"])
def test_every_noun_is_listed_and_shown_as_json_too_from_a_service_and_from_a_database(noun: str, verb: str) -> None:
    assert {"--json", "--url", "--token", "--database"} <= set(COMMANDS[f"{noun} {verb}"])


def test_whatever_asks_a_service_can_be_told_which_and_answers_as_json_too() -> None:
    for name, told in COMMANDS.items():
        if "--token" in told:
            assert {"--url", "--json"} <= set(told), name
    assert "--json" in COMMANDS["settings"].keys() & COMMANDS["parsers list"].keys() & COMMANDS["doctor"].keys()


def test_the_page_of_the_command_line_is_the_code() -> None:
    assert (Path(__file__).parents[2] / "docs" / "cli.md").read_text() == markdown()


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (ConfigurationError("x"), 2), (Unavailable("x"), 3), (Fatal("x"), 1), (Refused("x"), 3), (Refused("x", 503), 3),
        (Refused("x", 404), 1), (Refused("x", 408), 1), (Refused("x", 401), 4), (Refused("x", 403), 4),
        (Refused("x", 409), 4), (Refused("x", 422), 4),
    ],
)  # fmt: skip
def test_each_error_has_its_exit_code(error: Exception, code: int) -> None:
    assert exits.of(error) == code  # type: ignore[arg-type]


COLUMNS = (Column("run"), Column("job", 1), Column("created", 2, whole=True), Column("reason", 3))


@pytest.mark.parametrize(
    ("room", "widths"),
    [(200, [36, 10, 14, 60]), (90, [36, 10, 14, 24]), (68, [36, 10, 14, 0]), (60, [36, 10, 0, 0]),
     (46, [36, 8, 0, 0]), (40, [36, 0, 0, 0]), (10, [36, 0, 0, 0])],
)  # fmt: skip
def test_what_does_not_fit_is_cropped_and_left_out_from_the_least_important_on(room: int, widths: list[int]) -> None:
    assert fitted(COLUMNS, [36, 10, 14, 60], room) == widths


@pytest.mark.parametrize("width", [80, 120])
def test_no_line_is_longer_than_the_terminal_and_no_id_is_cut(width: int) -> None:
    out = Console(file=io.StringIO(), width=width)
    id_ = "01a1ffd3-59c3-79f9-a2a7-a8dfb17e060c"
    out.print(
        drawn(COLUMNS, [[id_, "a" * 50, "11-21 20:36:43", "wide 界 " * 20], [id_, "\x1b]0;x\x07", "", ""]], width)
    )
    lines = out.file.getvalue().splitlines()  # type: ignore[attr-defined]
    assert len(lines) == 3
    assert all(len(line) <= width for line in lines)
    assert all(line.startswith(id_) for line in lines[1:])
    assert "\x1b]" not in out.file.getvalue()  # type: ignore[attr-defined]


def test_a_stream_is_read_with_its_signs_of_life() -> None:
    lines = ["retry: 1000", "id: 41", "", "id: 42", "event: run", 'data: {"id": "r"}', "", ": beat", "id: 57", ""]
    assert list(frames(lines)) == [("", {}, "41"), ("run", {"id": "r"}, "42"), ("", {}, "57")]


class Line:
    """Stands for a service whose first connection breaks behind the event 42, and whose third is refused."""

    url = "http://service"

    def __init__(self) -> None:
        self.asked: list[str | None] = []

    @contextmanager
    def streaming(self, path: str, last: str | None, **query: object) -> Iterator[httpx.Response]:
        self.asked.append(last)
        body = [b'id: 42\nevent: run\ndata: {"id": "r"}\n\n', b"id: 57\n\n", b'{"title": "no", "detail": "token"}']
        yield httpx.Response(401 if len(self.asked) == 3 else 200, content=self._sent(body[len(self.asked) - 1]))

    def _sent(self, body: bytes) -> Iterator[bytes]:
        yield body
        if len(self.asked) == 1:
            raise httpx.ReadError("broken")


def test_a_stream_that_is_cut_off_goes_on_behind_the_last_event_and_ends_when_it_is_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("hookline.cli.stream.FIRST_PAUSE", 0.0)
    line = Line()
    feed = Feed(cast("Client", line), "/api/stream")
    come = [feed.next(30) for _ in range(5)]
    with pytest.raises(Refused, match="401 no: token"):
        feed.next(30)
    assert [None if each is None else each.kind for each in come] == ["open", "run", "lost", "open", "lost"]
    assert line.asked == [None, "42", "57"]


def test_a_service_that_was_never_there_is_not_waited_for() -> None:
    feed = Feed(Client("http://127.0.0.1:1", None), "/api/stream")
    with pytest.raises(Refused, match="does not answer"):
        feed.next(30)


def run(id_: str, state: str) -> Happened:
    return Happened("run", {"id": id_, "job": "deploy", "scope": None, "state": state, "at": "2026-11-21T12:00:00Z"})


def test_an_overview_counts_the_last_minute_and_has_the_last_changes_first() -> None:
    view = View()
    view.add([run("a", "queued"), run("b", "queued"), run("a", "succeeded")], 0.0)
    assert list(view.runs) == ["b", "a"]
    assert view.lately() == {"queued": 2, "succeeded": 1}
    view.add([], 12.0)
    assert view.span == 12.0  # nobody knows what was before
    view.add([Happened("delivery", {"status": "accepted"})], 61.0)
    assert (view.lately(), view.span) == ({"accepted": 1}, 60.0)
    view.add([Happened("lost", {"reason": "away"})], 62.0)
    assert attention(view, [], []) == ["away; trying again"]
    view.add([Happened("open", {})], 63.0)
    assert view.lost is None


WORKER = {"id": "w", "name": "host", "running": 1, "slots": 300, "lease_seconds": 20.0, "offers": ["deploy@1"]}


def test_an_overview_says_what_needs_attention() -> None:
    job = {"name": "deploy", "offered": [], "unfinished": {"queued": 2, "paused": 1}}
    told = attention(View(), [WORKER], [job])
    assert told[0].startswith("deploy: nobody offers it, and 3 runs")
    assert told[1].startswith("deploy: 1 paused")
    assert attention(View(), [], []) == ["no worker is alive: nothing runs until a replica starts"]


@pytest.mark.parametrize(("width", "height"), [(80, 24), (120, 30), (60, 8)])
def test_an_overview_fits_its_terminal(width: int, height: int) -> None:
    view = View()
    view.add([run(f"{number:036}", "failed") for number in range(500)], 0.0)
    out = Console(file=io.StringIO(), width=width)
    out.print(screen(view, [WORKER] * 9, [], width, height))
    lines = out.file.getvalue().splitlines()  # type: ignore[attr-defined]
    assert len(lines) <= height
    assert all(len(line) <= width for line in lines)
