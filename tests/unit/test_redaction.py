"""Redaction: what fits a pattern is never left of a payload, and no payload makes anybody wait."""

from __future__ import annotations

import json
from time import perf_counter
from typing import Any
from urllib.parse import parse_qs, urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hookline.redaction import HIDDEN, MOST, REDACTED, Redactor, check

NAMES = st.sampled_from(["token", "Token", "user", "email", "a", "0", "data", "x-api-key", "TOKENS"])
SECRET = "s3cr3t"
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**60), 2**60) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(NAMES, inner, max_size=4),
    max_leaves=20,
)


def planted(value: Any) -> Any:
    """`value` with a secret in the place of whatever is under a name that is `token`."""
    if isinstance(value, dict):
        return {name: SECRET if name.lower() == "token" else planted(each) for name, each in value.items()}
    return [planted(each) for each in value] if isinstance(value, list) else value


@given(VALUES)
def test_nothing_under_a_hidden_name_is_left_and_all_else_is(value: Any) -> None:
    redactor = Redactor(["**.token"])
    shown = json.loads(redactor.json(json.dumps(planted(value)).encode()))
    assert SECRET not in json.dumps(shown)
    hidden = json.loads(json.dumps(planted(value)).replace(f'"{SECRET}"', f'"{REDACTED}"'))
    if not _has_pairs(value):
        assert shown == hidden


def _has_pairs(value: Any) -> bool:
    """Whether something in it looks like a header, of which the second is taken for a value."""
    if isinstance(value, list):
        return any(_is_pair(each) or _has_pairs(each) for each in value)
    return isinstance(value, dict) and any(_has_pairs(each) or _is_pair(each) for each in value.values())


def _is_pair(value: Any) -> bool:
    return isinstance(value, list) and len(value) == 2 and isinstance(value[0], str)


@given(VALUES, st.lists(st.sampled_from(["**.token", "user.email", "*.a", "a.**.email", "x-*-key", "*.*.0"])))
def test_whatever_the_patterns_the_shape_outside_of_what_is_hidden_stays(value: Any, patterns: list[str]) -> None:
    shown = json.loads(Redactor(patterns).json(json.dumps(value).encode())) if patterns else value
    _alike(value, shown)


def _alike(value: Any, shown: Any) -> None:
    if shown == REDACTED:
        return
    if isinstance(value, dict):
        assert value.keys() == shown.keys()
        for name in value:
            _alike(value[name], shown[name])
    elif isinstance(value, list):
        assert len(value) == len(shown)
        for one, other in zip(value, shown, strict=True):
            _alike(one, other)
    else:
        assert value == shown


@given(st.binary(max_size=200))
def test_no_body_breaks_it(body: bytes) -> None:
    redactor = Redactor(["**.token", "a.b"])
    assert isinstance(redactor.body(body), bytes)
    json.loads(redactor.json(body))


@pytest.mark.parametrize(
    ("pattern", "value", "shown"),
    [
        ("user.email", {"user": {"email": 1}, "email": 2}, {"user": {"email": REDACTED}, "email": 2}),
        ("*.password", {"a": {"password": 1}, "password": 2}, {"a": {"password": REDACTED}, "password": 2}),
        ("**.token", [{"a": {"TOKEN": {"deep": 1}}}], [{"a": {"TOKEN": REDACTED}}]),
        ("a.**.b", {"a": {"b": 1, "c": {"b": 2}}, "b": 3}, {"a": {"b": REDACTED, "c": {"b": REDACTED}}, "b": 3}),
        ("items.*.key", {"items": [{"key": 1}, {"key": 2}]}, {"items": [{"key": REDACTED}, {"key": REDACTED}]}),
        ("items.0", {"items": [1, 2]}, {"items": [REDACTED, 2]}),
        ("x-*-key", [["X-Api-Key", "v"], ["Accept", "w"]], [["X-Api-Key", REDACTED], ["Accept", "w"]]),
        ("user.email", {"data": {"user": {"email": 1}}}, {"data": {"user": {"email": REDACTED}}}),
        ("user.email", [{"data": {"user": {"email": 1}}}], [{"data": {"user": {"email": REDACTED}}}]),
    ],
)  # fmt: skip
def test_a_pattern_hides_what_it_says(pattern: str, value: Any, shown: Any) -> None:
    assert json.loads(Redactor([pattern]).json(json.dumps(value).encode())) == shown


def test_what_was_not_looked_at_is_not_shown() -> None:
    redactor = Redactor(["user.password"])
    assert SECRET.encode() not in redactor.json(b'{"user": {"password": "s3cr3t"}, "user": 5}')
    assert redactor.json(b'{"user": {"password": "s3cr3t"}') == HIDDEN
    assert redactor.body(b' {"user": {"password": "s3cr3t"}') == HIDDEN
    assert redactor.body(b'\xef\xbb\xbf{"user": {"password": "s3cr3t"}}') == HIDDEN
    assert redactor.json(b'"' + b"x" * MOST + b'"') == HIDDEN


def test_forms_are_looked_through_with_the_json_in_them() -> None:
    redactor = Redactor(["**.token", "user.email"])
    form = urlencode(
        {"payload": '{"token": "s3cr3t", "a": 1}', "user[email]": "e@x", "token": "t", "b": "c d"}
    ).encode()
    shown = parse_qs(redactor.body(form).decode())
    assert json.loads(shown["payload"][0]) == {"token": REDACTED, "a": 1}
    assert (shown["user[email]"], shown["token"], shown["b"]) == ([REDACTED], [REDACTED], ["c d"])
    assert redactor.body(b"a plain text, token=5") == b"a plain text, token=5"


@pytest.mark.parametrize(
    "hostile",
    [
        b"[" * 100_000 + b"]" * 100_000,
        b'{"a":' * 40_000 + b"1" + b"}" * 40_000,
        b"[" + b"[0]," * 60_000 + b"1]",
        json.dumps({f"k{n}": {} for n in range(14_000)}).encode(),
        b"&".join(b"a[b]=%7B%7D" for _ in range(9_000)),
        b"a" + b"[b]" * 80_000 + b"=1",
        b"x" * 200_000 + b"=",
    ],
)
def test_hostile_payloads_take_no_time(hostile: bytes) -> None:
    redactor = Redactor(["**.token", "*.password", *(f"**.*a{n}*b*" for n in range(40))])
    began = perf_counter()
    redactor.body(hostile)
    assert perf_counter() - began < 2.0


@pytest.mark.parametrize("wrong", ["", "a..b", "a.**", "a b", "**x.y", "a" * 300])
def test_what_is_no_pattern_is_refused(wrong: str) -> None:
    with pytest.raises(ValueError, match="not "):
        check(wrong)
