"""CloudEvents: events of any sender over HTTP, structured, binary or in batches.

Source: https://github.com/cloudevents/spec, "HTTP Protocol Binding" 1.0.2 (modes), "JSON Event Format" and "HTTP 1.1
Web Hooks for Event Delivery" (the handshake by OPTIONS). It signs nothing: the sender has the secret as a bearer token.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable
from typing import Any
from urllib.parse import unquote

import msgspec

from hookline.codec import Undecodable
from hookline.errors import Unparseable
from hookline.events import Event, Identity, Pattern
from hookline.ingress.schemes import Bearer, Headers, Verified
from hookline.peek import Items, Peek, check
from hookline_parsers.payload import KEY, Names, decoded, fields, name_of, picked

STRUCTURED = "application/cloudevents+json"
BATCH = "application/cloudevents-batch+json"
PREFIX = "ce-"
ATTRIBUTES = ("specversion", "id", "source", "type", "subject", "time", "datacontenttype", "dataschema")


class CloudEvents:
    """The parser of CloudEvents."""

    scheme = Bearer()
    content_types = frozenset({STRUCTURED, BATCH, "application/json", "application/xml", "application/octet-stream",
                               "text/plain", "text/xml"})  # fmt: skip

    def identify(self, delivery: Verified) -> Identity:
        """The key is the event's source and id, which together name it; of a batch, a digest of all of theirs."""
        events = _events(delivery)
        pairs = [f"{each['source']}#{each['id']}" for each in events]
        if len(events) == 1:
            return Identity(pairs[0] if KEY.fullmatch(pairs[0]) else _digest(pairs), _type(events[0]))
        return Identity(_digest(pairs), "cloudevents")

    def parse(self, delivery: Verified) -> Iterable[Event]:
        """Each event, its data the event as the JSON format writes it, whatever it came in."""
        told = [(each, fields(**{name: each.get(name) for name in ATTRIBUTES})) for each in _events(delivery)]
        return [
            Event.of_json(_type(each), each, key=found.get("subject") or found.get("source", ""), fields=found)
            for each, found in told
        ]

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


def _events(delivery: Verified) -> list[Peek]:
    """The events, each as the JSON format writes it."""
    if delivery.read is None:
        media = (delivery.headers.text("Content-Type") or "").partition(";")[0].strip().lower()
        if media == BATCH:
            found = _batch(delivery.body)
        elif media == STRUCTURED:
            found = [decoded(delivery.body)]
        else:
            found = [_binary(delivery, media)]
        for each in found:
            _check(each)
        delivery.read = found
    events: list[Peek] = delivery.read
    return events


def _batch(body: bytes) -> list[Peek]:
    try:
        check(body)
        found = list(Items(body))
    except Undecodable as error:
        raise Unparseable(f"the batch is not JSON: {str(error)[:200]}") from None
    if not found or not all(isinstance(each, Peek) for each in found):
        raise Unparseable("the batch is not a JSON array of events")
    return found


def _binary(delivery: Verified, media: str) -> Peek:
    told: dict[str, Any] = {
        name.decode("latin-1").removeprefix(PREFIX): unquote(value.decode("latin-1"))
        for name, value in delivery.headers
        if name.startswith(PREFIX.encode())
    }
    told["datacontenttype"] = media
    if media == "application/json" and delivery.body:
        try:
            check(delivery.body)
        except Undecodable as error:
            raise Unparseable(f"the data is not JSON: {str(error)[:200]}") from None
        told["data"] = msgspec.Raw(delivery.body)
    elif delivery.body:
        told["data_base64"] = base64.b64encode(delivery.body).decode("ascii")
    return Peek(msgspec.json.encode(told))


def _check(event: Peek) -> None:
    if missing := [each for each in ("id", "source", "type", "specversion")
                   if not isinstance(event.get(each), str) or not event[each]]:  # fmt: skip
        raise Unparseable(f"the event has no {' and no '.join(missing)}")
    if not event["specversion"].startswith("1."):
        raise Unparseable(f"CloudEvents of version {event['specversion'][:20]!r} are not known, only 1.0")


def _type(event: Peek) -> str:
    return f"cloudevents.{name_of(event['type'])}"


def _digest(pairs: list[str]) -> str:
    return hashlib.sha256("\n".join(pairs).encode("utf-8", "surrogatepass")).hexdigest()


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
