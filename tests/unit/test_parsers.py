"""The bundled parsers: what they make of what senders send, and that nothing but `Unparseable` comes out of them."""

from __future__ import annotations

import contextlib
import json
from importlib.metadata import EntryPoint, EntryPoints
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hookline import Event, Pattern, Trigger
from hookline.errors import ConfigurationError, Unparseable
from hookline.events import Pong
from hookline.ingress.parser import GROUP, Parser, find
from hookline.ingress.schemes import Headers, Received, Unsigned, Verified
from hookline_parsers import generic, github

PUSH = (Path(__file__).parents[2] / "examples" / "payloads" / "push.json").read_bytes()


def verified(parser: Parser, event: str, body: bytes | dict[str, Any], **headers: str) -> Verified:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    sent = parser.headers_for(event, "guid-1", raw) | {name.replace("_", "-"): value for name, value in headers.items()}
    items = [(name.lower().encode(), value.encode("latin-1")) for name, value in sent.items()]
    return Unsigned().verify(Received(Headers(items), raw), ())


def event(name: str, body: bytes | dict[str, Any]) -> Event:
    parsed = github.parser.parse(verified(github.parser, name, body))
    assert not isinstance(parsed, Pong)
    (found,) = parsed
    assert isinstance(found, Event)
    return found


def test_a_push_tells_its_repository_branch_and_commit_without_decoding_the_rest() -> None:
    found = event("push", PUSH)
    assert (found.type, found.key) == ("github.push", "octo/site")
    assert found.fields["branch"] == "main"
    assert found.fields["sha"] == json.loads(PUSH)["after"]
    assert found.raw == PUSH
    assert found.data == json.loads(PUSH)


def test_the_identity_is_the_guid_and_the_event_with_its_action() -> None:
    delivery = verified(github.parser, "issues", {"action": "opened"})
    identity = github.parser.identify(delivery)
    assert (identity.key, identity.type) == ("guid-1", "github.issues.opened")


@pytest.mark.parametrize(
    ("name", "body", "expected"),
    [
        ("pull_request", {"number": 7, "pull_request": {"head": {"sha": "abc"}}}, {"number": 7, "sha": "abc"}),
        ("issue_comment", {"issue": {"number": 8}}, {"number": 8}),
        ("check_suite", {"check_suite": {"head_sha": "abc"}}, {"sha": "abc"}),
        ("check_run", {"check_run": {"head_sha": "abc"}}, {"sha": "abc"}),
        ("status", {"sha": "abc"}, {"sha": "abc"}),
        ("push", {"ref": "refs/tags/v1"}, {"ref": "refs/tags/v1", "tag": "v1"}),
        ("organization", {"organization": {"login": "octo"}}, {"organization": "octo"}),
        ("issues", {"action": [], "repository": 1, "sender": None, "issue": "x"}, {}),
    ],
)
def test_fields_come_from_where_each_event_has_them_and_strange_ones_are_left_out(
    name: str, body: dict[str, Any], expected: dict[str, Any]
) -> None:
    assert event(name, body).fields == expected


PATTERNS: list[tuple[Pattern, str, dict[str, Any], bool]] = [
    (github.push(), "push", {"ref": "refs/heads/any"}, True),
    (github.push(branches="main"), "push", {"ref": "refs/heads/main"}, True),
    (github.push(branches=["main", "release/*"]), "push", {"ref": "refs/heads/release/7"}, True),
    (github.push(branches=["main"]), "push", {"ref": "refs/tags/main"}, False),
    (github.push(tags=["v*"]), "push", {"ref": "refs/tags/v7"}, True),
    (github.push(tags=["v*"]), "push", {"ref": "refs/heads/v7"}, False),
    (github.push(branches=["main"], tags=["v*"]), "push", {"ref": "refs/tags/v7"}, True),
    (github.push(), "push", {"ref": "refs/heads/gone", "deleted": True}, False),
    (github.push(repository="octo/*"), "push", {"repository": {"full_name": "octo/site"}}, True),
    (github.push(repository="octo/*"), "push", {"repository": {"full_name": "mona/site"}}, False),
    (github.push(), "issues", {}, False),
    (github.issues(), "issues", {"action": "opened"}, True),
    (github.issues(actions="opened"), "issues", {"action": "opened"}, True),
    (github.issues(actions=["opened", "closed"]), "issues", {"action": "edited"}, False),
    (github.pull_request(actions="synchronize"), "pull_request", {"action": "synchronize"}, True),
    (github.check_suite(sha="abc"), "check_suite", {"check_suite": {"head_sha": "abc"}}, True),
    (github.check_suite(sha="abc"), "check_suite", {"check_suite": {"head_sha": "def"}}, False),
    (github.event("release", sender="mona"), "release", {"sender": {"login": "mona"}}, True),
    (github.event("release", **{"release.draft": "False"}), "release", {"release": {"draft": False}}, True),
    (github.event("release", when=lambda e: e.data["x"] > 1), "release", {"x": 1}, False),
    (Pattern(["github.*.opened"]), "issues", {"action": "opened"}, True),
    (Pattern(["github.issue"]), "issues", {}, False),
]


@pytest.mark.parametrize(("pattern", "name", "body", "matches"), PATTERNS)
def test_patterns_pick_what_they_say(pattern: Pattern, name: str, body: dict[str, Any], matches: bool) -> None:
    assert pattern.matches(event(name, body)) is matches


def test_a_trigger_says_everything_that_a_run_needs() -> None:
    body = {"job": "deploy", "scope": "s", "input": [1], "priority": 2, "delay": 3, "idempotency_key": "k"}
    assert list(generic.parser.parse(verified(generic.parser, "", body))) == [Trigger("deploy", [1], "s", 2, 3.0, "k")]


def test_without_an_idempotency_key_each_trigger_is_a_new_delivery() -> None:
    delivery = Unsigned().verify(Received(Headers([]), b"{}"), ())
    assert generic.parser.identify(delivery).key == ""


names = st.sampled_from(["push", "issues", "", "a b", "é", "x" * 101])
deep = st.integers(500, 5000).map(lambda depth: b'{"a":' + b"[" * depth + b"]" * depth + b"}")
bodies = st.one_of(
    st.binary(max_size=300),
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=5),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(st.sampled_from(["action", "ref", "repository", "job", "input", "number"]), inner)
        ),
        max_leaves=10,
    ).map(lambda value: json.dumps(value).encode()),
    st.binary(max_size=50).map(lambda raw: b"payload=" + raw),
    deep,
)


@given(st.sampled_from([github.parser, generic.parser]), names, bodies, st.booleans())
def test_nothing_but_unparseable_comes_out_of_arbitrary_deliveries(
    parser: Parser, name: str, body: bytes, form: bool
) -> None:
    headers = {"Content_Type": github.FORM} if form else {}
    delivery = verified(parser, name, body, **headers)
    with contextlib.suppress(Unparseable):
        parser.identify(delivery)
    with contextlib.suppress(Unparseable):
        found = parser.parse(delivery)
        if not isinstance(found, Pong):
            for each in found:
                assert isinstance(each, Event | Trigger)


def test_the_bundled_parsers_come_through_the_same_door_as_all() -> None:
    assert find("github") is github.parser
    assert find("generic") is generic.parser
    with pytest.raises(ConfigurationError, match=r"no parser 'gitlab', only .*generic, github.*installed again"):
        find("gitlab")


def test_a_parser_that_two_distributions_register_is_nobodys(monkeypatch: pytest.MonkeyPatch) -> None:
    points = [EntryPoint("twice", value, GROUP) for value in ("hookline_parsers.github:parser", "other.github:parser")]
    monkeypatch.setattr("hookline.ingress.parser.entry_points", lambda group: EntryPoints(points))
    with pytest.raises(ConfigurationError, match=r"hookline_parsers\.github:parser and as other\.github:parser"):
        find("twice")
