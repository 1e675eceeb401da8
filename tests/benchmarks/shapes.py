"""Shapes: what a large delivery may look like, ordinary and hostile, and what carries it for each bundled parser."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from urllib.parse import quote_plus

from tests.senders import SENDERS, Sender

from hookline.ingress.parser import find
from hookline.peek import INTRICATE

FORM = "application/x-www-form-urlencoded"
BATCH = "application/cloudevents-batch+json"

_COMMIT = json.dumps({
    "id": "9fceb02d0ae598e95dc970b74767f19372d61af8", "message": "Fix \"it\"\n\nand more", "distinct": True,
    "author": {"name": "Mona", "email": "mona@example.com", "username": "mona"},
    "added": [f"src/package/module_{number}.py" for number in range(10)], "removed": [], "modified": ["docs/x.md"],
}).encode()  # fmt: skip


def _filled(part: bytes, most: int, size: int) -> bytes:
    """A list of `part`, as often as that is still read, and one text up to `size`."""
    listed = part * min(most, size // len(part))
    return b"[" + listed + b'"' + b"x" * (size - len(listed)) + b'"]'


SHAPES: dict[str, Callable[[int], bytes]] = {
    "ordinary": lambda size: b"[" + b",".join([_COMMIT] * (size // (len(_COMMIT) + 1))) + b"]",
    "one text": lambda size: b'"' + b"x" * size + b'"',
    "deep": lambda size: _filled(b"[" * 400 + b"]" * 400 + b",", INTRICATE[b"["] // 400 - 9, size),
    "too deep": lambda size: b"[" * (size // 2) + b"]" * (size // 2),
    "tiny names": lambda size: b"{" + b",".join(b'"%07d":%d' % (n, n % 10) for n in range(size // 12)) + b"}",
    "tiny objects": lambda size: _filled(b"{},", INTRICATE[b"{"] - 9, size),
    "items": lambda size: _filled(b"1234567,", INTRICATE[b","] - 99, size),
    "too many items": lambda size: b"[" + b"1," * (size // 2) + b"1]",
    "one number": lambda size: b"9" * size,
    "numbers": lambda size: b"[" + b",".join([b"9" * 5000] * (size // 5001)) + b"]",
    "escapes": lambda size: b'"' + b"\\u00e9" * min(size // 6, INTRICATE[b"\\"] - 9) + b'"',
    "emoji": lambda size: b'"' + "\U0001f600".encode() * (size // 4) + b'"',
    "spaces": lambda size: b"[" + b" " * size + b"]",
    "the same name": lambda size: b"{" + b'"a":12345678,' * (size // 13) + b'"a":1}',
    "no UTF-8 at its end": lambda size: b'"' + b"x" * size + b'\xff"',
    "no JSON at its end": lambda size: b'"' + b"x" * size + b'" "',
}
"""By name, what makes a value of JSON of about so many bytes."""


@dataclass(frozen=True)
class Large:
    """A large delivery.

    Args:
        carrier: whose, and in which way.
    """

    carrier: str
    shape: str
    sender: Sender
    headers: dict[str, str]
    body: bytes

    def signed(self, delivery: str) -> dict[str, str]:
        """The headers that it is sent with."""
        parser = find(self.sender.parser)
        headers = parser.headers_for(self.sender.event, delivery, self.body) | self.sender.headers | self.headers
        if "ce-id" in headers:
            headers["ce-id"] = delivery
        return headers | parser.scheme.sign(self.sender.secret.encode(), self.body, headers)


_EVENT = next(each for each in SENDERS if b"specversion" in each.body)
_BINARY = next(each for each in SENDERS if each.parser == "cloudevents" and each is not _EVENT)
_PLAIN = {
    each.parser: each for each in reversed(SENDERS) if each.body.startswith(b"{") and each.parser != "cloudevents"
}

CARRIERS: tuple[str, ...] = (
    *_PLAIN, "github, form", "slack, form", "cloudevents", "cloudevents, batch", "cloudevents, binary",
    "cloudevents, octets",
)  # fmt: skip


def large(carrier: str, shape: str, size: int) -> Large:
    """What `carrier` sends in `shape`, of about `size` bytes."""
    make, (parser, _, how) = SHAPES[shape], carrier.partition(", ")
    match how:
        case "form":
            written = b"payload=" + quote_plus(_with(_PLAIN[parser], make(size // 2))).encode()[: size * 6 // 5]
            return Large(carrier, shape, _PLAIN[parser], {"Content-Type": FORM}, written)
        case "batch":
            return Large(carrier, shape, _EVENT, {"Content-Type": BATCH}, b"[" + _with(_EVENT, make(size)) + b"]")
        case "binary":
            return Large(carrier, shape, _BINARY, {}, make(size))
        case "octets":
            return Large(carrier, shape, _BINARY, {"Content-Type": "application/octet-stream"}, make(size))
    sender = _PLAIN.get(parser, _EVENT)
    return Large(carrier, shape, sender, {}, _with(sender, make(size)))


def all_percent(size: int) -> Large:
    """A push as a form, of which every byte is encoded."""
    written = b"".join(b"%%%02X" % byte for byte in _with(_PLAIN["github"], SHAPES["ordinary"](size // 3)))
    return Large("github, form", "all percent", _PLAIN["github"], {"Content-Type": FORM}, b"payload=" + written)


def batch(count: int, size: int) -> Large:
    """A batch of so many events."""
    told = json.loads(_EVENT.body) | {"data": "x" * max(0, size // count - 150)}
    listed = b",".join(json.dumps(told | {"id": str(number)}).encode() for number in range(count))
    return Large("cloudevents, batch", f"{count} events", _EVENT, {"Content-Type": BATCH}, b"[" + listed + b"]")


def deliveries(size: int) -> Iterator[Large]:
    """Of each carrier each shape, and those that only one of them has."""
    for shape in SHAPES:
        for carrier in CARRIERS:
            yield large(carrier, shape, size)
    yield all_percent(size)
    yield batch(10_000, size)
    yield batch(100_000, size)


def _with(sender: Sender, value: bytes) -> bytes:
    """What `sender` sends, with `value` beside it; the moment is that of sending."""
    return json.dumps(json.loads(sender.sent) | {"more": "@"}).encode().replace(b'"@"', value)
