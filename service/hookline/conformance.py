"""Conformance: what is asked of every parser, tried on a parser with the whole list of hostile deliveries."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from hookline import codec
from hookline.errors import Rejected, Unparseable
from hookline.events import Event, Identity, Pong, Trigger
from hookline.ingress.parser import LONGEST, REQUIRED, Parser
from hookline.ingress.schemes import Headers, Received, Scheme, Unsigned, Verified
from hookline.ingress.signatures import as_headers

SPOTS = 400
"""Places of a sample that are made strange, at most."""

HOSTILE: dict[str, bytes] = {
    "nothing": b"",
    "a truncated object": b'{"a": ',
    "what is not UTF-8": b"\xff\xfe\x00",
    "half of a surrogate pair": b'{"type": "\\ud800", "id": "\\ud800", "action": "\\ud800"}',
    "a NUL": b'{"type": "\\u0000", "id": "\\u0000"}',
    "NaN": b'{"a": NaN}',
    "an endless number": b'{"id": ' + b"9" * 5000 + b"}",
    "a large exponent": b'{"id": 1e999}',
    "a number": b"7",
    "a text": b'"x"',
    "null": b"null",
    "an empty list": b"[]",
    "a list": b'[{"type": "x"}]',
    "an empty object": b"{}",
    "the same name twice": b'{"type": "a", "type": "b"}',
    "deep lists": b'{"a": ' + b"[" * 100_000 + b"]" * 100_000 + b"}",
    "deep objects": b'{"a":' * 50_000 + b"1" + b"}" * 50_000,
    "a long text": b'{"type": "' + b"x" * 1_000_000 + b'", "id": "' + b"x" * 1_000_000 + b'"}',
    "a form": b"payload=%7B%7D&payload=%7B%7D",
    "a broken form": b"payload=%FF%FE&&&=",
    "a large form": b"&".join(b"a%d=1" % number for number in range(10_000)),
    "binary": bytes(range(256)),
}
"""What may come in the place of a body."""

STRANGE: list[Any] = [None, True, -1, 1.5, "", "a b", "x" * 1000, "é\u2028", [], [[]], {}, {"id": {}, "type": []}]
"""What may stand in the place of any part of a body."""


@dataclass(frozen=True, slots=True)
class Sample:
    """A delivery as the sender sends it.

    Args:
        event: in the sender's words, as `headers_for` takes it.
        body: what is sent.
        type: the type of the event that comes of it; not looked at unless it is given.
        secret: what it is signed with.
    """

    event: str
    body: bytes
    type: str | None = None
    secret: bytes = b"a secret of this test"


def assert_parser_conforms(parser: Parser, samples: Iterable[Sample]) -> None:
    """Return if `parser` does what is asked of every parser.

    It verifies what is signed and nothing else; identifies and parses the samples, twice the same; and lets nothing
    but `Unparseable` out, whatever comes in.

    Args:
        samples: some of what the sender sends, at least one.

    Raises:
        AssertionError: it does not, and in which case.

    Example:
        def test_it_conforms() -> None:
            assert_parser_conforms(acme.parser, [Sample("order", b'{"id": "1", "kind": "order.paid"}')])
    """
    given = list(samples)
    _require(bool(given), "there is no sample")
    for name in REQUIRED:
        _require(hasattr(parser, name), f"it has no {name}")
    types = parser.content_types
    _require(bool(types) and all(each == each.lower() and "/" in each for each in types), "content_types: lower case")
    for sample in given:
        _check_sample(parser, sample)
        _check_proof(parser.scheme, parser, sample)
        for what, headers, body in _hostile(parser, sample):
            _check_survives(parser, what, headers, body)


def _check_sample(parser: Parser, sample: Sample) -> None:
    headers = parser.headers_for(sample.event, "delivery-1", sample.body)
    media = headers.get("Content-Type", "").partition(";")[0].lower()
    _require(media in parser.content_types, f"headers_for sends {media!r}, which is not among content_types")
    signed = headers | parser.scheme.sign(sample.secret, sample.body, headers)
    first, again = (
        _read(parser, parser.scheme.verify(Received(as_headers(signed), sample.body), [b"another", sample.secret]))
        for _ in range(2)
    )
    _require(first == again, "it reads the same delivery in two ways: it must be pure")
    identity, events = first
    _require(sample.type is None or [type_ for type_, *_ in events] == [sample.type], f"{sample.event}: it is {events}")
    _require(bool(identity.type), f"{sample.event} has no type")


def _check_proof(scheme: Scheme, parser: Parser, sample: Sample) -> None:
    """Nobody gets in who does not know the secret."""
    body, secret = sample.body, sample.secret
    headers = parser.headers_for(sample.event, "delivery-1", body)
    proof = scheme.sign(secret, body, headers)
    _refuses(scheme, "no proof", as_headers(headers), body, secret)
    for name, value in proof.items():
        rest = {key: each for key, each in (headers | proof).items() if key != name}
        altered = {"without its last character": value[:-1], "with one more": f"{value}0", "empty": ""}
        if value[:-1]:
            altered["in part"] = value[: len(value) // 2]
        for how, changed in altered.items():
            _refuses(scheme, f"{name} {how}", as_headers(rest | {name: changed}), body, secret)
        raw = name.lower().encode()
        for how, values in {
            "twice": [value.encode("latin-1")] * 2, "in other bytes": [bytes(range(128, 256))], "large": [b"=" * 9999],
        }.items():  # fmt: skip
            _refuses(
                scheme, f"{name} {how}", Headers([*as_headers(rest), *((raw, each) for each in values)]), body, secret
            )
    _refuses(scheme, "no secret", as_headers(headers | proof), body)
    _refuses(scheme, "another secret", as_headers(headers | proof), body, b"another")
    if scheme.sign(secret, b"", headers) != scheme.sign(secret, b"another", headers):
        _refuses(scheme, "another body", as_headers(headers | proof), body + b" ", secret)


def _refuses(scheme: Scheme, what: str, headers: Headers, body: bytes, *secrets: bytes) -> None:
    try:
        scheme.verify(Received(headers, body), secrets)
    except Rejected:
        return
    except Exception as error:
        raise AssertionError(f"{what}: its scheme raises {error!r}, and not Rejected") from error
    raise AssertionError(f"{what}: its scheme lets it in")


def _hostile(parser: Parser, sample: Sample) -> Iterator[tuple[str, list[tuple[bytes, bytes]], bytes]]:
    headers = parser.headers_for(sample.event, "delivery-1", sample.body)
    usual = list(as_headers(headers))
    for what, body in HOSTILE.items():
        for media in sorted(parser.content_types):
            yield f"{what} as {media}", list(as_headers(headers | {"Content-Type": media})), body
    for number, (name, value) in enumerate(usual):
        rest = [*usual[:number], *usual[number + 1 :]]
        shown = name.decode()
        yield f"no {shown}", rest, sample.body
        for how in (b"", b"a b", b"\xff\x00\xfe", b"x" * 9999, value + b", " + value):
            yield f"{shown} {how[:9]!r}", [*rest, (name, how)], sample.body
        yield f"{shown} twice", [*usual, (name, value)], sample.body
    try:
        told = json.loads(sample.body)
    except ValueError:
        return
    for number, put in enumerate(_spots(told)):
        if number >= SPOTS:
            return
        for strange in STRANGE:
            yield f"{strange!r:.20} in place {number}", usual, json.dumps(put(strange)).encode()


def _spots(told: Any) -> Iterator[Callable[[Any], Any]]:
    """For each place in `told`, what makes a copy that has something else there."""
    yield lambda strange: strange
    inner = told.items() if isinstance(told, Mapping) else enumerate(told) if isinstance(told, list) else ()
    for name, value in inner:
        for put in _spots(value):
            yield partial(_put, told, name, put)


def _put(told: Any, name: Any, put: Callable[[Any], Any], strange: Any) -> Any:
    """A copy of `told` in which what `put` makes of `strange` stands at `name`."""
    copied = told.copy()
    copied[name] = put(strange)
    return copied


def _check_survives(parser: Parser, what: str, headers: list[tuple[bytes, bytes]], body: bytes) -> None:
    delivery = Unsigned().verify(Received(Headers(headers), body), ())
    try:
        _read(parser, delivery)
    except (Unparseable, Rejected):
        return
    except AssertionError as error:
        raise AssertionError(f"{what}: {error}") from error
    except Exception as error:
        raise AssertionError(f"{what}: it raises {error!r}, and not Unparseable") from error


def _read(parser: Parser, delivery: Verified) -> tuple[Identity, list[tuple[Any, ...]]]:
    """What the parser makes of a delivery, fit to be compared."""
    identity = parser.identify(delivery)
    for what in (identity.key, identity.type):
        _require(what.isprintable() and len(what) <= LONGEST, f"{what[:50]!r} is no key or type")
    parsed = parser.parse(delivery)
    if isinstance(parsed, Pong):
        return identity, [("pong", parsed)]
    told: list[tuple[Any, ...]] = []
    for each in parsed:
        if isinstance(each, Event):
            _require(each.type.isprintable() and 0 < len(each.type) <= LONGEST, f"{each.type[:50]!r} is no type")
            if each.raw is not delivery.body:  # which is decoded when a job looks at it
                codec.decode(each.raw)
            told.append((each.type, each.key, dict(each.fields), each.envelope()))
        else:
            _require(isinstance(each, Trigger), f"parse returns {type(each).__name__}, neither an Event nor a Trigger")
            told.append(("trigger", each))
    return identity, told


def _require(holds: bool, what: str) -> None:
    if not holds:
        raise AssertionError(what)
