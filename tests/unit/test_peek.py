"""What is looked up in JSON text is what decoding it gives, and what is too much to look through is told so."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hookline import Event, codec
from hookline.codec import Undecodable
from hookline.events import lookup
from hookline.outline import Outline
from hookline.peek import INTRICATE, LARGE, Items, Peek, Unread, check, glance, peek, whole

NAMES = st.sampled_from(["a", "b", "c", "é", "with space", 'with "quotes"', ""])
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(NAMES, inner, max_size=4),
    max_leaves=20,
)
OBJECTS = st.dictionaries(NAMES, VALUES, max_size=4)
PATHS = st.lists(st.sampled_from(["a", "b", "c", "é", 'with "quotes"']), min_size=1, max_size=4).map(".".join)
PADDING = "x" * LARGE


def looked_up(event: Event, path: str) -> Any:
    try:
        return event.lookup(path)
    except LookupError:
        return LookupError


@given(OBJECTS, PATHS, st.booleans())
def test_a_lookup_in_text_finds_what_one_in_builtins_finds(told: dict[str, Any], path: str, large: bool) -> None:
    told |= {"padding": PADDING} if large else {}
    event = Event.of_json("x", b" \n" + json.dumps(told).encode())
    assert looked_up(event, path) == looked_up(Event("x", data=told), path)


OUTLINE = Outline("a", "b.a", "b.c.é", "c")


@given(st.dictionaries(NAMES, VALUES | OBJECTS, max_size=5), st.booleans())
def test_an_outline_tells_what_is_at_its_paths(told: dict[str, Any], large: bool) -> None:
    told |= {"padding": PADDING} if large else {}
    _, found = OUTLINE.read(json.dumps(told).encode())
    for path in ("a", "b.a", "b.c.é", "c"):
        value: Any = told
        for name in path.split("."):
            value = value.get(name) if isinstance(value, dict) else None
        assert whole(found.get(path)) == value


@pytest.mark.parametrize("raw", [b"", b"[]", b'{"a": 1', b'{"x": "\xff"}', b'{"x": NaN}', b"7", b'{"a": {}} {}'])
def test_an_outline_is_of_sound_objects_alone(raw: bytes) -> None:
    with pytest.raises(Undecodable):
        OUTLINE.read(raw)


@given(OBJECTS)
def test_a_peek_reads_as_the_object_does(told: dict[str, Any]) -> None:
    found = peek(json.dumps(told).encode())
    assert isinstance(found, Mapping)
    assert {name: whole(value) for name, value in found.items()} == told
    assert all(name in found for name in told)
    assert found.get("not there", 7) == 7
    assert "not there" not in found
    assert bool(found) is bool(told)
    with pytest.raises(KeyError):
        found["not there"]


def test_what_is_large_is_read_when_it_is_asked_for() -> None:
    told = {"list": [{"n": number} for number in range(50_000)], "text": PADDING + "!", "n": 1, "empty": {}}
    found = peek(json.dumps(told).encode())
    assert isinstance(found["list"], Items)
    assert (len(found["list"]), found["list"][7]["n"]) == (50_000, 7)
    assert isinstance(found["text"], Unread)
    assert not isinstance(found["text"], Items | Peek)
    assert whole(found["text"]) == told["text"]
    assert (found["n"], bool(found["list"]), bool(found["empty"]), found.get("no")) == (1, True, False, None)
    assert len(lookup(found, "list.n")) == 50_000
    assert "bytes" in repr(found)


@pytest.mark.parametrize("more", [[], [1], [[{"a": 7}, [{"a": [8]}]]], [{"b": 1}, {"a": None}, {"a": {"c": 1}}]])
@pytest.mark.parametrize("path", ["l.a", "l.a.c", "l.no", 'l.with "quotes"'])
def test_a_lookup_through_a_large_list_finds_what_one_in_builtins_finds(more: list[Any], path: str) -> None:
    told = {"l": [{"a": number, 'with "quotes"': [number]} for number in range(20_000)] + more}
    event = Event.of_json("x", json.dumps(told).encode())
    assert isinstance(event.glance["l"], Items)
    assert event.lookup(path) == Event("x", data=told).lookup(path)


HARD = [
    'a "quoted" text', "[{,]}\\", "\\" * 301, "é\U0001f600", "x" * 200_000, '"' * 5000, "", [], {}, [[]], None, 1.5,
    {"a": [{"b": "]"}], 'k"]': "{"}, [1, [2, ["[", {"c": []}]]],
]  # fmt: skip
"""What a list may be cut in the middle of."""


@given(st.lists(st.sampled_from(HARD), min_size=1, max_size=12), st.integers(0, 3), st.sampled_from([None, 1]))
def test_a_large_list_is_gone_through_part_by_part_without_losing_any(
    items: list[Any], shift: int, indent: int | None
) -> None:
    told = [PADDING[: 70_000 + shift], *items] * 4
    found = Items(b" " * shift + json.dumps(told, ensure_ascii=shift > 1, indent=indent).encode() + b" ")
    assert [whole(each) for each in found] == told
    assert [whole(found[index]) for index in range(5)] == told[:5]
    assert whole(found[len(told) - 1]) == told[-1]
    with pytest.raises(IndexError):
        found[len(told)]
    few = Items(json.dumps([1, PADDING]).encode())
    with pytest.raises(IndexError):
        few[2]
    with pytest.raises(Undecodable):
        list(Items(json.dumps(told).encode()[:-1]))


def test_how_many_objects_a_list_has_is_told_if_it_has_nothing_else() -> None:
    assert [Items(each).objects() for each in (b"[]", b'[{}, {"a": [{}]}]', b"[{}, 1]", b"[[]]", b"7", b"[{}")] == [
        0, 2, 0, 0, 0, 0,
    ]  # fmt: skip


@pytest.mark.parametrize("what", INTRICATE)
def test_what_would_hold_everybody_up_is_not_read(what: bytes) -> None:
    most = INTRICATE[what]
    filler = {b"[": b"[],", b"{": b"{},", b",": b"1,", b"\\": b'"\\\\",'}[what]
    body = b'{"a": [' + filler * (most + 1) + b"0]}"
    with pytest.raises(Undecodable, match="not to be read"):
        peek(body)
    with pytest.raises(Undecodable, match="not to be read"):
        check(body)


@pytest.mark.parametrize(
    "wrong",
    [b"", b" ", b"[]", b"1", b"{", b'{"a": "\xff"}', b'{"a": "\\ud800"}', b'{"a": 01}', b"{} {}", b'{"a": NaN}'],
)
@pytest.mark.parametrize("padding", [0, LARGE])
def test_what_is_no_sound_object_is_told_at_once(wrong: bytes, padding: int) -> None:
    with pytest.raises(Undecodable):
        peek(wrong + b" " * padding)


def test_text_is_utf_8_across_the_parts_in_which_it_is_looked_at() -> None:
    for shift in range(4):
        text = '{"a": "' + " " * shift + "\U0001f600" * (codec.PART // 2) + '"}'
        peek(text.encode())
        with pytest.raises(Undecodable, match="not JSON"):
            peek(text.encode()[:-4] + b'"}')
    assert "".join(codec.texts("é".encode() * codec.PART)) == "é" * codec.PART
    assert list(codec.texts(b"")) == [""]


def test_a_glance_at_a_scalar_is_what_it_is() -> None:
    assert [glance(each) for each in (b" 1", b'"a"', b"null", b"\n[1]", b"true")] == [1, "a", None, [1], True]
    for wrong in (b"", b"  ", b"x"):
        with pytest.raises(Undecodable):
            glance(wrong)
