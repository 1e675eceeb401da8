"""The bundled parsers: what they make of what senders send, and that nothing but `Unparseable` comes out of them."""

from __future__ import annotations

import contextlib
import json
from importlib.metadata import EntryPoint, EntryPoints, entry_points
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.senders import SENDERS, Sender

from hookline import Event, Pattern, Trigger
from hookline.errors import ConfigurationError, Unparseable
from hookline.events import Pong
from hookline.ingress.parser import GROUP, Parser, find
from hookline.ingress.schemes import Headers, Received, Unsigned, Verified
from hookline.ingress.signatures import as_headers
from hookline_parsers import (
    alertmanager,
    bitbucket,
    cloudevents,
    generic,
    github,
    gitlab,
    linear,
    pagerduty,
    shopify,
    slack,
    standard_webhooks,
    stripe,
)

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


FILES = {"commits": [{"added": ["src/a/b.py"], "modified": ["docs/x.md"]}, {"removed": ["setup.cfg"]}]}
MAIN = {"ref": "refs/heads/main"}
LABELLED = {
    "action": "labeled",
    "pull_request": {"labels": [{"name": "bug"}, {"name": "urgent"}], "base": {"ref": "main"}},
    "issue": {"labels": [{"name": "bug"}, {}]},
}
PATTERNS += [
    (github.push(paths=["src/**"]), "push", MAIN | FILES, True),
    (github.push(paths=["src/*"]), "push", MAIN | FILES, False),
    (github.push(paths=["**/b.py"]), "push", MAIN | FILES, True),
    (github.push(paths=["**/setup.cfg"]), "push", MAIN | FILES, True),
    (github.push(paths=["docs/?.md"]), "push", MAIN | FILES, True),
    (github.push(paths=["docs/?.txt", "lib/**"]), "push", MAIN | FILES, False),
    (github.push(paths=["lib/**"]), "push", {"ref": "refs/tags/v1"} | FILES, True),
    (github.push(paths=["lib/**"]), "push", MAIN | {"commits": []}, True),
    (github.push(paths=["lib/**"]), "push", MAIN | {"commits": "strange"}, True),
    (github.push(branches="dev", paths=["src/**"]), "push", MAIN | FILES, False),
    (github.push(when=lambda pushed: "x" in pushed.data), "push", MAIN, False),
    (github.pull_request(labels=["urgent"]), "pull_request", LABELLED, True),
    (github.pull_request(labels=["feature"]), "pull_request", LABELLED, False),
    (github.pull_request(branches=["main"], actions="labeled"), "pull_request", LABELLED, True),
    (github.pull_request(branches=["dev"]), "pull_request", LABELLED, False),
    (github.issues(labels="bug"), "issues", LABELLED, True),
]

WHY_NOT: list[tuple[Pattern, dict[str, Any], str]] = [
    (github.push(branches=["dev", "release/*"]), MAIN, "branch is 'main', not dev or release/*"),
    (github.push(tags=["v*"]), MAIN, "branch is 'main', not any"),
    (github.push(repository="octo/*"), MAIN, "repository is not there, not octo/*"),
    (github.push(paths=["lib/**"]), MAIN | FILES, "none of 3 changed files is lib/**"),
    (github.push(), MAIN | {"deleted": True}, "it deletes what it is pushed to"),
    (github.push(when=lambda pushed: False), MAIN, "when says no"),
    (github.event("push", when=lambda pushed: False), MAIN, "when says no"),
    (github.event("push", **{"commits.added": "x"}), MAIN | FILES, "commits.added is 'src/a/b.py', not x"),
]


@pytest.mark.parametrize(("pattern", "body", "why"), WHY_NOT)
def test_a_pattern_tells_why_it_does_not_pick_an_event(pattern: Pattern, body: dict[str, Any], why: str) -> None:
    pushed = event("push", body)
    assert pattern.is_about(pushed)
    assert pattern.why_not(pushed) == why


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


parsers = [find(point.name) for point in sorted(entry_points(group=GROUP))]


@given(st.sampled_from(parsers), st.data(), names, bodies)
def test_nothing_but_unparseable_comes_out_of_arbitrary_deliveries(
    parser: Parser, data: st.DataObject, name: str, body: bytes
) -> None:
    delivery = verified(parser, name, body, Content_Type=data.draw(st.sampled_from(sorted(parser.content_types))))
    with contextlib.suppress(Unparseable):
        parser.identify(delivery)
    with contextlib.suppress(Unparseable):
        found = parser.parse(delivery)
        if not isinstance(found, Pong):
            for each in found:
                assert isinstance(each, Event | Trigger)


def mangled(value: Any, how: st.DataObject) -> Any:
    """`value`, of which one part is something else."""
    if isinstance(value, dict) and value and how.draw(st.booleans()):
        name = how.draw(st.sampled_from(sorted(value)))
        return value | {name: mangled(value[name], how)}
    if isinstance(value, list) and value and how.draw(st.booleans()):
        return [mangled(value[0], how), *value[1:]]
    return how.draw(st.sampled_from([None, True, 7, -1.5, "", "x" * 300, "\ud800", "a b", [], [[]], {}, {"id": {}}]))


@given(st.sampled_from([each for each in SENDERS if each.body.startswith(b"{")]), st.data())
def test_nothing_but_unparseable_comes_out_of_a_delivery_of_which_one_part_is_strange(
    sender: Sender, how: st.DataObject
) -> None:
    parser = find(sender.parser)
    delivery = verified(parser, sender.event, json.dumps(mangled(json.loads(sender.body), how)).encode())
    with contextlib.suppress(Unparseable):
        identity = parser.identify(delivery)
        assert (identity.key + identity.type).isprintable()
        parsed = parser.parse(delivery)
        for each in () if isinstance(parsed, Pong) else parsed:
            assert isinstance(each, Event)
            assert each.envelope()
            assert each.raw


@pytest.mark.parametrize("sender", SENDERS, ids=str)
def test_an_ordinary_delivery_becomes_the_event_that_it_tells_of(sender: Sender) -> None:
    parser = find(sender.parser)
    body = sender.sent
    received = Received(as_headers(sender.signed("d-1", body)), body)
    delivery = parser.scheme.verify(received, [sender.secret.encode()])
    parsed = parser.parse(delivery)
    assert not isinstance(parsed, Pong)
    (found,) = parsed
    assert isinstance(found, Event)
    assert (found.type, found.key) == (sender.type, sender.key)
    assert {name: found.fields.get(name) for name in sender.fields} == sender.fields
    assert parser.identify(delivery).type == sender.type


PICKED: list[tuple[Pattern, str]] = [
    (gitlab.event("merge_request.open", target="main"), "gitlab.merge_request.open"),
    (gitlab.merge_request(actions=["open", "reopen"], repository="org/*"), "gitlab.merge_request.open"),
    (gitlab.push(branches=["main"]), "gitlab.push"),
    (gitlab.push(repository="mike/*"), "gitlab.push"),
    (bitbucket("repo:push", branch="main"), "bitbucket.repo.push"),
    (bitbucket(), "bitbucket.repo.push"),
    (stripe("invoice.paid", customer="cus_*"), "stripe.invoice.paid"),
    (slack.event("app_mention", channel="C0*"), "slack.app_mention"),
    (slack.command("/deploy"), "slack.command"),
    (slack.event("block_actions", action="approve"), "slack.block_actions"),
    (shopify("orders/create"), "shopify.orders.create"),
    (linear("Issue", actions="create", team="ENG"), "linear.issue.create"),
    (linear("Issue"), "linear.issue.create"),
    (linear(actions="create"), "linear.issue.create"),
    (pagerduty("incident.*", urgency="high"), "pagerduty.incident.triggered"),
    (alertmanager("firing", severity="critical"), "alertmanager.firing"),
    (alertmanager(**{"commonLabels.alertname": "Down"}), "alertmanager.firing"),
    (standard_webhooks("user.created"), "webhook.user.created"),
    (standard_webhooks(family="svix", **{"data.id": "u7"}), "svix.user.created"),
    (cloudevents("com.example.*", source="/my*"), "cloudevents.com.example.someevent"),
]


@pytest.mark.parametrize(("pattern", "type_"), PICKED)
def test_the_patterns_of_a_sender_pick_its_event_and_no_other_senders(pattern: Pattern, type_: str) -> None:
    picked = set()
    for sender in SENDERS:
        parser = find(sender.parser)
        parsed = parser.parse(verified(parser, sender.event, sender.body))
        assert not isinstance(parsed, Pong)
        picked |= {each.type for each in parsed if isinstance(each, Event) and pattern.matches(each)}
    assert picked == {type_}


def test_a_pattern_reads_as_what_it_asks() -> None:
    def is_large(event: Event) -> bool:
        return len(event.data) > 9

    assert str(github.event("push", when=is_large)) == "github.push, is_large says so"
    assert str(github.event("push", when=lambda _: True)) == "github.push, when says so"
    assert str(github.push(tags="v*", when=is_large)) == "github.push, tag v*, when says so"
    assert str(stripe("invoice.*", livemode="true")) == "stripe.invoice.*, livemode true"


def test_a_batch_of_cloudevents_is_as_many_events() -> None:
    one = {"specversion": "1.0", "source": "/shop", "type": "sold"}
    delivery = verified(cloudevents.parser, "", json.dumps([one | {"id": "1"}, one | {"id": "2"}]).encode())
    parsed = cloudevents.parser.parse(delivery)
    assert [each.data["id"] for each in parsed if isinstance(each, Event)] == ["1", "2"]
    assert len(cloudevents.parser.identify(delivery).key) == 64


def test_a_cloudevent_in_binary_mode_reads_as_one_in_json() -> None:
    headers = {"ce_source": "/shop", "ce_subject": "caf%C3%A9", "ce_tenant": "t1", "Content_Type": "text/plain"}
    (found,) = cloudevents.parser.parse(verified(cloudevents.parser, "sold", b"hello", **headers))
    assert found.data == {
        "specversion": "1.0", "id": "guid-1", "source": "/shop", "type": "sold", "subject": "caf\u00e9", "tenant": "t1",
        "datacontenttype": "text/plain", "data_base64": "aGVsbG8=",
    }  # fmt: skip


def test_slacks_check_of_a_url_is_answered_with_its_challenge() -> None:
    delivery = verified(slack.parser, "", {"type": "url_verification", "challenge": "3eZbrw1a"})
    assert slack.parser.parse(delivery) == Pong({"challenge": "3eZbrw1a"})


def test_a_group_of_alerts_in_the_same_state_is_the_same_delivery() -> None:
    sender = next(each for each in SENDERS if each.parser == "alertmanager")
    told = json.loads(sender.body)
    more = told | {"alerts": [*told["alerts"], {"status": "firing", "fingerprint": "e1"}]}
    other_order = more | {"alerts": more["alerts"][::-1]}
    keys = [
        alertmanager.parser.identify(verified(alertmanager.parser, "", each)).key for each in (told, more, other_order)
    ]
    assert keys[0] != keys[1] == keys[2]


def test_the_bundled_parsers_come_through_the_same_door_as_all() -> None:
    assert find("github") is github.parser
    assert find("generic") is generic.parser
    with pytest.raises(ConfigurationError, match=r"no parser 'nobody', only .*generic, github.*installed again"):
        find("nobody")


def test_a_parser_that_two_distributions_register_is_nobodys(monkeypatch: pytest.MonkeyPatch) -> None:
    points = [EntryPoint("twice", value, GROUP) for value in ("hookline_parsers.github:parser", "other.github:parser")]
    monkeypatch.setattr("hookline.ingress.parser.entry_points", lambda group: EntryPoints(points))
    with pytest.raises(ConfigurationError, match=r"hookline_parsers\.github:parser and as other\.github:parser"):
        find("twice")
