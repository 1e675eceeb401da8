"""Standard Webhooks: every sender that follows the standard, and those that send through Svix.

Source: https://www.standardwebhooks.com (headers, signatures, `{type, timestamp, data}`) and
https://docs.svix.com/receiving/verifying-payloads/how-manual.
"""

from __future__ import annotations

from collections.abc import Iterable

from hookline.events import Event, Identity, Pattern
from hookline.ingress.schemes import Verified
from hookline.ingress.standard import StandardWebhooks
from hookline_parsers.payload import Names, at, fields, key_of, name_of, payload, picked
from hookline_parsers.sender import Sender


class Standard:
    """The parser of webhooks whose headers begin with `family`."""

    content_types = frozenset({"application/json"})

    def __init__(self, family: str) -> None:
        self._family = family
        self.scheme = StandardWebhooks(family)

    def identify(self, delivery: Verified) -> Identity:
        """The key is the message's id, which every attempt repeats; the type is `<family>.<type>`."""
        return Identity(key_of(delivery.headers.text(f"{self._family}-id")), self._type(delivery))

    def parse(self, delivery: Verified) -> Iterable[Event]:
        """One event, whose data is the payload as it came."""
        body = payload(delivery)
        id_ = at(body, "data", "id")
        told = fields(id=id_, timestamp=body.get("timestamp"))
        return [Event.of_json(self._type(delivery), payload(delivery), key=str(told.get("id", "")), fields=told)]

    def headers_for(self, event: str, delivery: str, body: bytes) -> dict[str, str]:  # noqa: ARG002 - in the body
        """As such a sender sends them."""
        return {"Content-Type": "application/json", f"{self._family}-id": delivery}

    def _type(self, delivery: Verified) -> str:
        """A sender need not say what happened."""
        body = payload(delivery)
        given = body.get("type") or body.get("eventType") or body.get("event_type")
        return self._family if given is None else f"{self._family}.{name_of(given)}"


parser = Standard("webhook")
svix = Standard("svix")


def event(name: Names = None, *, family: str = "webhook", **filters: Names) -> Pattern:
    """Events by `name`, such as `invoice.paid`, or all.

    Args:
        family: `webhook`, or `svix` of a source with that parser.
        filters: by field (`id`) or by a dotted path into the payload, such as `data.status`, a glob or several.

    Example:
        >>> event("invoice.paid").matches(Event("webhook.invoice.paid"))
        True
    """
    return picked(family, name, filters)


standard_webhooks = Sender(parser, event)
