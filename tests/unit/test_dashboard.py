"""What the dashboard draws: timelines, graphs, charts, forms and texts, decided purely."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hookline.jobs.diagram import Diagram, Edge, Node
from hookline.web.dashboard import assets, attention, charts, forms, graph, overview, pretty, words
from hookline.web.dashboard.charts import Series
from hookline.web.dashboard.render import ENVIRONMENT
from hookline.web.dashboard.timeline import WIDTH, ticks, timeline

START = datetime(2026, 11, 21, 3, tzinfo=UTC)


def at(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def call(key: str, begun: float | None, ended: float | None, **more: Any) -> dict[str, Any]:
    state = "succeeded" if ended is not None else "started"
    told = {"key": key, "kind": "step", "state": state, "claim": 1, "attempt": 1,
            "started_at": None if begun is None else at(begun), "finished_at": None if ended is None else at(ended),
            "due_at": None}  # fmt: skip
    return told | more


RUN = {"created_at": START, "started_at": at(2), "finished_at": at(10), "state": "succeeded"}


def test_a_bar_begins_and_ends_where_its_call_did() -> None:
    drawn = timeline(RUN, [call("build", 2, 4), call("ship", 5, 10, attempt=3)], at(99))
    assert [(bar.x, bar.width, bar.seconds, bar.attempt) for bar in drawn.bars] == [(200, 200, 2, 1), (500, 500, 5, 3)]
    assert (drawn.queue, drawn.seconds) == (200, 10)


def test_what_is_under_way_lasts_until_now() -> None:
    run = RUN | {"finished_at": None, "state": "running"}
    (bar,) = timeline(run, [call("build", 2, None)], at(8)).bars
    assert (bar.tone, bar.seconds, bar.x, bar.width) == ("running", 6, 250, 750)


def test_a_wait_that_is_over_is_drawn_as_a_wait() -> None:
    (bar,) = timeline(RUN, [call("sleep", 2, 4, kind="sleep")], at(99)).bars
    assert bar.tone == "wait"


def test_what_a_fork_took_over_has_no_place_in_its_time() -> None:
    (bar,) = timeline(RUN, [call("build", -500, -400, claim=0)], at(99)).bars
    assert (bar.x, bar.width, bar.seconds) == (None, 0, None)


def test_a_map_spans_its_branches_which_are_told_under_it() -> None:
    journal = [call("all", 9, 9, kind="map"), call("all/0/ship", 3, 5), call("all/1/ship", 4, 9)]
    bars = timeline(RUN, journal, at(99)).bars
    assert [(bar.name, bar.depth, bar.tone) for bar in bars] == [
        ("all", 0, "group"), ("0/ship", 1, "succeeded"), ("1/ship", 1, "succeeded"),
    ]  # fmt: skip
    assert (bars[0].x, bars[0].width) == (300, 600)


@given(st.lists(st.tuples(st.floats(-1e6, 1e6), st.floats(0, 1e6))), st.floats(0, 1e6))
def test_every_bar_is_within_the_drawing(calls: list[tuple[float, float]], now: float) -> None:
    journal = [call(f"c{n}", begun, begun + took) for n, (begun, took) in enumerate(calls)]
    for bar in timeline(RUN | {"finished_at": None}, journal, at(now)).bars:
        assert bar.x is not None
        assert 0 <= bar.x <= bar.x + bar.width <= WIDTH + 4


@given(st.floats(0.001, 3e8))
def test_there_are_a_few_ticks_whatever_the_time(seconds: float) -> None:
    assert 1 <= len(ticks(seconds)) <= 12


def diagram(names: str, *edges: str) -> Diagram:
    return Diagram([Node(name) for name in names], [Edge(*edge) for edge in edges])


def test_a_node_stands_right_of_all_that_lead_to_it() -> None:
    drawn = graph.drawing(diagram("abcd", "ab", "bc", "ac", "cd"))
    assert drawn is not None
    x = {box.name: box.x for box in drawn.boxes}
    assert x["a"] < x["b"] < x["c"] < x["d"]


def test_a_way_back_does_not_keep_a_graph_from_being_drawn() -> None:
    drawn = graph.drawing(diagram("abc", "ab", "bc", "ca", "bb"))
    assert drawn is not None
    assert len(drawn.arrows) == 4


@given(st.integers(1, 14), st.lists(st.tuples(st.integers(0, 13), st.integers(0, 13)), max_size=40))
def test_no_two_boxes_lie_on_each_other(count: int, edges: list[tuple[int, int]]) -> None:
    drawn = graph.drawing(Diagram([Node(str(n)) for n in range(count)], [Edge(str(a), str(b)) for a, b in edges]))
    assert drawn is not None
    for number, one in enumerate(drawn.boxes):
        assert one.x >= 0
        assert one.x + one.width <= drawn.width
        assert one.y + graph.BOX <= drawn.height
        for other in drawn.boxes[:number]:
            assert one.x + one.width <= other.x or other.x + other.width <= one.x or abs(one.y - other.y) >= graph.BOX


def test_a_bar_is_as_high_as_its_number() -> None:
    drawn = charts.stacked([Series("good", "succeeded", [5, 10]), Series("bad", "failed", [5, 0])])
    assert drawn.top == 10
    assert [(rect.tone, rect.y, rect.height) for rect in drawn.rects] == [
        ("succeeded", 50, 50), ("failed", 0, 50), ("succeeded", 0, 100),
    ]  # fmt: skip


def test_a_line_is_broken_where_nothing_is_known() -> None:
    (line,) = charts.lines([Series("wait", "running", [1, None, 1, 2])]).lines
    assert line.path.count("M") == 2


@given(st.floats(0, 1e9))
def test_the_top_of_a_chart_is_round_and_not_below_what_it_shows(most: float) -> None:
    assert charts.nice(most) >= most


SCHEMA = {
    "$defs": {"Size": {"enum": ["S", "M"], "type": "string"}},
    "properties": {
        "number": {"type": "integer"},
        "size": {"$ref": "#/$defs/Size"},
        "note": {"anyOf": [{"type": "string"}, {"type": "null"}], "default": None},
        "express": {"type": "boolean", "default": False},
        "items": {"type": "array", "default": ["a"]},
    },
    "required": ["number", "size"],
    "type": "object",
}


def test_a_schema_becomes_fields() -> None:
    found = {each.name: each for each in forms.fields(SCHEMA) or []}
    assert {name: each.kind for name, each in found.items()} == {
        "number": "integer", "size": "choice", "note": "text", "express": "boolean", "items": "json",
    }  # fmt: skip
    assert found["size"].choices == ["S", "M"]
    assert [name for name, each in found.items() if each.is_required] == ["number", "size"]
    assert (found["express"].default, found["items"].default, found["note"].default) == ("false", '["a"]', "")


@pytest.mark.parametrize(
    "schema", [{}, {"type": "string"}, {"$ref": "#/$defs/Loop", "$defs": {"Loop": {"$ref": "#/$defs/Loop"}}}]
)
def test_what_is_no_object_has_no_fields(schema: dict[str, Any]) -> None:
    assert forms.fields(schema) is None


@given(st.text())
def test_colouring_a_text_changes_nothing_of_it(text: str) -> None:
    assert "".join(part for _, part in pretty.coloured(text)) == text


def test_json_is_laid_out_and_keeps_its_numbers_to_the_letter() -> None:
    told = pretty.shown(b'{"a":12345678901234567890.10}', most=1000)
    assert told is not None
    assert told.text == '{\n  "a": 12345678901234567890.10\n}'


def test_what_is_too_long_is_cut_and_says_so() -> None:
    told = pretty.shown(b"x" * 100, most=100)
    assert told is not None
    assert told.cut


def test_a_command_for_the_shell_holds_nothing_that_the_shell_would_do() -> None:
    command = pretty.curl("http://h/webhooks/x", [("X-A", "$(rm -rf /)"), ("Host", "h")], b"'; reboot; '")
    assert "-H 'X-A: $(rm -rf /)'" in command
    assert "Host" not in command
    assert """''"'"'; reboot; '"'"''""" in command


def test_what_differs_between_two_texts_is_told_with_a_little_around_it() -> None:
    lines = pretty.compared("a\nb\nc", "a\nB\nc")
    assert [(line.what, line.text) for line in lines] == [("same", "a"), ("gone", "b"), ("new", "B"), ("same", "c")]
    assert pretty.compared("a", "a") == []


@pytest.mark.parametrize(
    ("text", "leads"),
    [("https://example.org/a", True), ("http://h", True), ("javascript:alert(1)", False), ("//h/x", False),
     ("data:text/html,x", False), ("https://h/\nx", False), (" https://h", False), (7, False)],
)  # fmt: skip
def test_only_addresses_of_the_web_are_led_to(text: object, leads: bool) -> None:
    assert (words.web_address(text) is not None) is leads


def test_markup_in_what_is_shown_is_text() -> None:
    template = ENVIRONMENT.from_string('{% import "parts.html" as parts %}{{ parts.pretty(told, "x", label) }}')
    evil = '"><script>alert(1)</script>'
    page = template.render(told=pretty.shown(f'{{"{evil[2:]}": 1}}', most=1000), label=evil)
    assert "<script" not in page


def quiet(**changes: Any) -> list[attention.Notice]:
    told: dict[str, Any] = {
        "queues": [], "paused": [], "failing": [], "alarming": [], "schedules": [], "connectors": [], "workers": 1
    }  # fmt: skip
    return attention.notices(START, **told | changes)


def test_nothing_is_told_when_all_is_well() -> None:
    on_time = {"name": "s", "active": True, "problem": None, "next_at": at(-1)}
    due = {"job": "j", "version": 1, "runs": 3, "offered": True, "is_more": False, "since": at(-5)}
    assert quiet(schedules=[on_time], queues=[due], connectors=[{"name": "c", "problem": None}]) == []


def test_the_worst_is_told_first() -> None:
    late = {"job": "slow", "version": 1, "runs": 3, "offered": True, "is_more": False, "since": at(-300)}
    stranded = {"job": "old", "version": 1, "runs": 1, "offered": False, "is_more": False, "since": at(-1)}
    paused = {"job": "p", "runs": 2, "is_more": True, "reason": "why", "last": at(-1), "id": 1}
    titles = [each.title for each in quiet(queues=[late, stranded], paused=[paused])]
    assert titles == ["old version 1 is stranded", "p: 2+ runs paused", "slow is behind"]


def test_that_no_worker_is_alive_is_told_instead_of_what_follows_from_it() -> None:
    stranded = {"job": "old", "version": 1, "runs": 1, "offered": False, "is_more": False, "since": at(-1)}
    assert [each.title for each in quiet(queues=[stranded], workers=0)] == ["No worker is alive"]


def test_the_age_of_the_queue_is_that_of_the_run_that_was_first_due() -> None:
    edges = [at(60 * number) for number in range(5)]
    spans: list[Any] = [
        # due at 10 s and begun at 130 s; due at 50 s and begun at 70 s
        {"late": [(at(10)).timestamp(), at(50).timestamp()], "begun": [at(130).timestamp(), at(70).timestamp()]},
        {"late": [at(100).timestamp()], "begun": [at(185).timestamp()]},
        {"late": None, "begun": None},
        {"late": None, "begun": None},
    ]
    assert overview.ages(spans, edges, at(200), None) == [50, 110, 80, 0]
    assert overview.ages(spans, edges, at(200), at(170)) == [50, 110, 80, 30]
    assert overview.ages(spans, edges, at(200), at(-400)) == [460, 520, 580, 600]


def test_an_asset_is_where_the_pages_say_it_is() -> None:
    assert assets.address("app.js") == f"/static/{assets.DIGEST}/app.js"
    with pytest.raises(KeyError):
        assets.address("absent.js")
