"""CloudEvents: events of any sender over HTTP, structured, binary or in batches.

Source: https://github.com/cloudevents/spec, "HTTP Protocol Binding" 1.0.2 (modes), "JSON Event Format" and "HTTP 1.1
Web Hooks for Event Delivery" (the handshake by OPTIONS). It signs nothing: the sender has the secret as a bearer token.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable
from urllib.parse import unquote

import msgspec
from msgspec import Struct

from hookline.codec import Undecodable
from hookline.errors import Unparseable
from hookline.events import Event, Identity, Pattern
from hookline.ingress.schemes import Bearer, Headers, Verified
from hookline.peek import Items, Peek, check
from hookline_parsers.payload import KEY, PART, Names, decoded, fields, name_of, picked
from hookline_parsers.sender import Sender

STRUCTURED = "application/cloudevents+json"
BATCH = "application/cloudevents-batch+json"
PREFIX = "ce-"
ATTRIBUTES = ("specversion", "id", "source", "type", "subject", "time", "datacontenttype", "dataschema")
MOST_EVENTS = 10_000
"""Of a batch, at most."""


class CloudEvents:
    """The parser of CloudEvents."""

    scheme = Bearer()
    content_types = frozenset({STRUCTURED, BATCH, "application/json", "application/xml", "application/octet-stream",
                               "text/plain", "text/xml"})  # fmt: skip

    def identify(self, delivery: Verified) -> Identity:
        """The key is the event's source and id, which together name it; of a batch, a digest of all of theirs."""
        found = _read(delivery)
        if found.count > 1:
            return Identity(found.key, "cloudevents")
        return Identity(found.key, found.named()[0].type)

    def parse(self, delivery: Verified) -> Iterable[Event]:
        """Each event, its data the event as the JSON format writes it, whatever it came in."""
        return _read(delivery).named()

    def headers_for(self, event: str, delivery: str, body: bytes) -> dict[str, str]:
        """As a sender in binary mode does, unless the body is an event already."""
        if b'"specversion"' in body:
            return {"Content-Type": BATCH if body.lstrip().startswith(b"[") else STRUCTURED}
        about = {"specversion": "1.0", "id": delivery, "source": "hookline", "type": event}
        return {"Content-Type": "application/json"} | {f"{PREFIX}{name}": value for name, value in about.items()}

    def welcome(self, headers: Headers) -> dict[str, str]:
        """Whoever asks may send, since what is sent must prove itself: the handshake keeps nobody out."""
        origin = headers.text("WebHook-Request-Origin")
        return {} if origin is None else {"WebHook-Allowed-Origin": origin, "WebHook-Allowed-Rate": "*"}


parser = CloudEvents()


class _Read(Struct):
    """What is kept of the events, which is little: there may be many."""

    key: str
    count: int
    events: list[Event]
    unnamed: Unparseable | None

    def named(self) -> list[Event]:
        if self.unnamed is not None:
            raise self.unnamed
        return self.events


def _read(delivery: Verified) -> _Read:
    if delivery.read is None:
        delivery.read = _made(_events(delivery))
    found: _Read = delivery.read
    return found


def _made(peeks: Iterable[Peek]) -> _Read:
    digest, pair, count = hashlib.sha256(), "", 0
    events: list[Event] = []
    unnamed = None
    for count, each in enumerate(peeks, 1):
        _check(each)
        pair = f"{each['source']}#{each['id']}"
        digest.update(b"\n" * (count > 1) + pair.encode("utf-8", "surrogatepass"))
        try:
            events.append(_event(each))
        except Unparseable as error:
            unnamed = unnamed or error
    key = pair if count == 1 and KEY.fullmatch(pair) else digest.hexdigest()
    return _Read(key, count, events, unnamed)


def _event(found: Peek) -> Event:
    told = fields(**{name: found.get(name) for name in ATTRIBUTES})
    type_ = f"cloudevents.{name_of(found['type'])}"
    return Event.of_json(type_, bytes(found.raw), key=told.get("subject") or told.get("source", ""), fields=told)


def _events(delivery: Verified) -> Iterable[Peek]:
    """The events, each as the JSON format writes it."""
    media = (delivery.headers.text("Content-Type") or "").partition(";")[0].strip().lower()
    if media == BATCH:
        return _batch(delivery.body)
    return [decoded(delivery.body) if media == STRUCTURED else _binary(delivery, media)]


def _batch(body: bytes) -> Iterable[Peek]:
    try:
        check(body)
        items = Items(body)
        count = items.objects()
    except Undecodable as error:
        raise Unparseable(f"the batch is not JSON: {str(error)[:200]}") from None
    if not count:
        raise Unparseable("the batch is not a JSON array of events")
    if count > MOST_EVENTS:
        raise Unparseable(f"the batch has {count} events, and at most {MOST_EVENTS} are taken: send smaller ones")
    return items


def _binary(delivery: Verified, media: str) -> Peek:
    told = {
        name.decode("latin-1").removeprefix(PREFIX): unquote(value.decode("latin-1"))
        for name, value in delivery.headers
        if name.startswith(PREFIX.encode())
    }
    told["datacontenttype"] = media
    body = delivery.body
    data: tuple[bytes, ...] = ()
    if media == "application/json" and body:
        try:
            check(body)
        except Undecodable as error:
            raise Unparseable(f"the data is not JSON: {str(error)[:200]}") from None
        told.pop("data", None)
        data = b',"data":', body
    elif body:
        told.pop("data_base64", None)
        encoded = (base64.b64encode(body[start : start + 3 * PART]) for start in range(0, len(body), 3 * PART))
        data = b',"data_base64":"', *encoded, b'"'
    return Peek(b"".join((msgspec.json.encode(told)[:-1], *data, b"}")))


def _check(event: Peek) -> None:
    if missing := [each for each in ("id", "source", "type", "specversion")
                   if not isinstance(event.get(each), str) or not event[each]]:  # fmt: skip
        raise Unparseable(f"the event has no {' and no '.join(missing)}")
    if not event["specversion"].startswith("1."):
        raise Unparseable(f"CloudEvents of version {event['specversion'][:20]!r} are not known, only 1.0")


def event(type: Names = None, **filters: Names) -> Pattern:  # noqa: A002 - the specification's word
    """CloudEvents by `type`, such as `com.example.order.created`, or all.

    Args:
        filters: by attribute (`source`, `subject`, an extension) or by a dotted path into the event, such as
            `data.status`, a glob or several.

    Example:
        >>> event("com.example.order.*", source="/shop").matches(
        ...     Event("cloudevents.com.example.order.created", fields={"source": "/shop"}))
        True
    """
    return picked("cloudevents", type, filters)


cloudevents = Sender(parser, event)
