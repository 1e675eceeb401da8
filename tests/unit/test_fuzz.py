"""Whatever comes in, for each bundled parser: only the documented exceptions come out, in bounded time and memory."""

from __future__ import annotations

import json
import time
import tracemalloc
from collections.abc import Callable
from typing import Any
from urllib.parse import quote_plus

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.senders import SENDERS, Sender

from hookline import App, Context, Event, Pattern, codec
from hookline.errors import Rejected, Unparseable
from hookline.events import Pong, Trigger
from hookline.ingress.examination import examine
from hookline.ingress.parser import find
from hookline.ingress.schemes import Headers, Received, Unsigned
from hookline.ingress.signatures import as_headers
from hookline.ingress.sources import Source

GENERIC = Sender("generic", "", b'{"job": "take", "input": {"n": [1]}, "priority": 1}', "generic.trigger", "", {})
ALL = [*SENDERS, GENERIC]
FORM = "application/x-www-form-urlencoded"

TOKENS = [
    "9" * 5000, "-" + "9" * 5000, "9" * 400, "1e999", "1e-999", "0." + "3" * 5000, "NaN", "-Infinity", "01", "1.", "",
    '"\\ud800"', '"\\udc00\\ud800"', '"\\ud83d\\ude00"', '"\\u0000"', '"\\q"', '"\x00"', '"\\/\\b"', "'x'", '"\ufeff"',
    "[" * 2000 + "]" * 2000, '{"a":' * 2000 + "1" + "}" * 2000, "[1,]", '{"a":1,"a":2}', '{"' + "k" * 70_000 + '":1}',
    json.dumps("x" * 70_000), json.dumps("\u202e\u2028\x7f"), json.dumps("é\U0001f600"), "true", "null", "{}", "[]",
    "[[]]", "0", "-1", "1.5", '""', '"a b"', "9223372036854775808", "[{}]", '{"id": {"id": []}}',
]  # fmt: skip
"""What may stand in the place of any part of a payload, sound JSON or not."""

VALUES = [
    b"",
    b" ",
    b"a b",
    b"\xff\xfe",
    b"\x00",
    b"=" * 9999,
    b"1",
    b"9" * 12,
    b"v1,AAAA",
    b"t=1,v1=00",
    b"x, x",
    b"%zz",
]

app = App()


@app.job(on=Pattern(["*"], {"action": ["*"]}), scope="{id}")
async def picky(ctx: Context, event: Event) -> None: ...


@app.job(on=Pattern(["*"]), input={"all": "{data}", "some": "{repository.full_name}"})
async def filled(ctx: Context, _: Any) -> None: ...


@app.job(on=Pattern(["*"], when=lambda event: bool(event.data)))
async def take(ctx: Context, event: Event) -> None: ...


def put(told: Any, draw: Callable[..., Any], marks: list[str]) -> Any:
    """`told`, in one place of which, or beside all, stands a mark, to be replaced by a token."""
    if isinstance(told, dict) and told and draw(st.integers(0, 3)):
        name = draw(st.sampled_from(sorted(told)))
        return told | {name: put(told[name], draw, marks)}
    if isinstance(told, list) and told and draw(st.booleans()):
        return [put(told[0], draw, marks), *told[1:]]
    marks.append(f"@{len(marks)}@")
    return told | {marks[-1]: marks[-1]} if isinstance(told, dict) and draw(st.booleans()) else marks[-1]


@st.composite
def bodies(draw: Callable[..., Any], sender: Sender) -> bytes:
    """What `sender` sends, changed in a few places of its JSON, or of its bytes."""
    body = sender.sent
    if body.startswith(b"{"):
        marks: list[str] = []
        told = json.loads(body)
        for _ in range(draw(st.integers(0, 3))):
            told = put(told, draw, marks)
        text = json.dumps(told, ensure_ascii=draw(st.booleans()))
        for mark in marks:
            text = text.replace(f'"{mark}"', draw(st.sampled_from(TOKENS)))
        body = text.encode()
    match draw(st.sampled_from(["as it is"] * 6 + ["cut", "changed", "a form", "many", "spaced", "anything"])):
        case "cut":
            return body[: draw(st.integers(0, len(body)))]
        case "changed":
            at = draw(st.integers(0, len(body)))
            return body[:at] + draw(st.binary(min_size=1, max_size=4)) + body[at + draw(st.integers(0, 4)) :]
        case "a form":
            return (
                b"payload="
                + quote_plus(body).encode()
                + draw(st.sampled_from([b"", b"&payload=1", b"&x", b"&a=%zz%", b"\xff"]))
            )
        case "many":
            return b"[" + b",".join([body] * draw(st.integers(0, 3))) + b"]"
        case "spaced":
            return b" \t\r\n" * draw(st.integers(1, 50)) + body + b"\n"
        case "anything":
            return draw(st.binary(max_size=300))
    return body


@st.composite
def headers(draw: Callable[..., Any], sender: Sender, body: bytes) -> list[tuple[bytes, bytes]]:
    """Those of `sender`, some of them dropped, doubled or strange."""
    found = list(as_headers(sender.signed("d-1", body)))
    media = sorted(find(sender.parser).content_types)
    if draw(st.booleans()):
        found = [each for each in found if each[0] != b"content-type"]
        found.append(
            (b"content-type", draw(st.sampled_from(media)).encode() + draw(st.sampled_from([b"", b"; charset=x"])))
        )
    for _ in range(draw(st.integers(0, 2))):
        at = draw(st.integers(0, len(found) - 1))
        strange = (found[at][0], draw(st.sampled_from(VALUES) | st.binary(max_size=30)))
        found[at : at + 1] = draw(st.sampled_from([[], [found[at]] * 2, [strange], [found[at], strange]]))
    return found or [(b"host", b"x")]


@st.composite
def deliveries(draw: Callable[..., Any]) -> tuple[Sender, Received]:
    """What comes in, by whoever sends it."""
    sender = draw(st.sampled_from(ALL))
    body = draw(bodies(sender))
    return sender, Received(Headers(draw(headers(sender, body))), body)


@settings(deadline=None, max_examples=400)
@given(deliveries())
def test_verify_lets_nothing_but_rejected_out(came: tuple[Sender, Received]) -> None:
    sender, received = came
    began = time.process_time()
    try:
        verified = find(sender.parser).scheme.verify(received, [b"another", sender.secret.encode()])
        assert verified.body is received.body
    except Rejected:
        pass
    assert time.process_time() - began < 2


@settings(deadline=None, max_examples=600)
@given(deliveries())
def test_identify_and_parse_let_nothing_but_unparseable_out(came: tuple[Sender, Received]) -> None:
    sender, received = came
    parser = find(sender.parser)
    verified = Unsigned().verify(received, ())
    began = time.process_time()
    try:
        identity = parser.identify(verified)
        assert (identity.key + identity.type).isprintable()
        parsed = parser.parse(verified)
        for each in () if isinstance(parsed, Pong) else parsed:
            if isinstance(each, Event):
                assert codec.decode(each.envelope())["type"] == each.type
                codec.encode(each.data)  # which can be read, and recorded
            else:
                assert isinstance(each, Trigger)
    except (Unparseable, Rejected):
        pass
    assert time.process_time() - began < 2


@settings(deadline=None, max_examples=600)
@given(deliveries())
def test_whatever_is_authentic_becomes_a_delivery_that_can_be_stored(came: tuple[Sender, Received]) -> None:
    sender, received = came
    parser = find(sender.parser)
    delivery, _ = examine(Source("s", parser, Unsigned(), ()), received, app.latest)
    assert delivery.status in ("accepted", "ignored", "quarantined")
    assert (delivery.status == "quarantined") == (delivery.reason is not None)
    assert (delivery.key + delivery.type).isprintable()
    assert delivery.runs == () or delivery.status == "accepted"
    for text in (delivery.headers, delivery.bindings, b"".join(delivery.events or (b"[]",))):
        json.loads(text.decode())
    scopes = [run.scope or "" for run in delivery.runs]
    for word in (delivery.key, delivery.type, delivery.reason or "", *delivery.types, *scopes):
        assert b"\0" not in word.encode()  # which Postgres takes in no text
    for run in delivery.runs:
        app.latest[run.job].argument(delivery.body if run.input is None else run.input, run.event)


SIZE = 2_000_000
LARGE: dict[str, bytes] = {
    "objects": b"[" + b"{}," * (SIZE // 3) + b"{}]",
    "numbers": b"[" + b"1," * (SIZE // 2) + b"1]",
    "one text": b'"' + b"x" * SIZE + b'"',
    "a text of emoji": b'"' + "\U0001f600".encode() * (SIZE // 4) + b'"',
    "escapes": b'"' + b'\\"' * (SIZE // 2) + b'"',
    "lists in lists": b"[" + b",".join([b"[" * 400 + b"]" * 400] * (SIZE // 801)) + b"]",
    "names": b"{" + b",".join(b'"%d":{}' % number for number in range(SIZE // 11)) + b"}",
}


@pytest.mark.parametrize("shape", LARGE)
@pytest.mark.parametrize("sender", [each for each in SENDERS if each.body.startswith(b"{")], ids=str)
def test_a_large_body_of_whatever_shape_takes_little_memory_and_time(sender: Sender, shape: str) -> None:
    parser = find(sender.parser)
    told = json.loads(sender.sent)
    for name in (*sorted(told)[:3], "more"):
        body = json.dumps(told | {name: "@"}).encode().replace(b'"@"', LARGE[shape])
        delivery = Unsigned().verify(Received(as_headers(sender.signed("d-1", body)), body), ())
        tracemalloc.start()
        began = time.process_time()
        try:
            parser.identify(delivery)
            list(parser.parse(delivery))  # type: ignore[arg-type]
        except Unparseable:
            pass
        finally:
            took, (_, peak) = time.process_time() - began, tracemalloc.get_traced_memory()
            tracemalloc.stop()
        assert peak < 3 * len(body), (name, peak / len(body))
        assert took < 2, name


def test_a_number_that_no_machine_holds_is_read_as_its_text() -> None:
    event = Event.of_json("x", b'{"whole": ' + b"9" * 5000 + b', "large": -1e999, "n": 1.5, "text": "\\u00e9"}')
    assert event.data == {"whole": "9" * 5000, "large": "-1e999", "n": 1.5, "text": "é"}
    with pytest.raises(codec.Undecodable):
        codec.decode(b'{"n": 1e999, "text": "\\ud800"}')
    with pytest.raises(codec.Undecodable):
        codec.decode(b'{"n": 1e999, "m": NaN}')
