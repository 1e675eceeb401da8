"""PagerDuty: what happens to incidents and services, by its webhooks of version 3.

Source: https://developer.pagerduty.com/docs/webhooks-overview and
https://developer.pagerduty.com/docs/verifying-webhook-signatures. While a secret is replaced, one header carries
several `v1`.
"""

from __future__ import annotations

from collections.abc import Iterable

from hookline.events import Event, Identity, Pattern, Pong
from hookline.ingress.schemes import Verified
from hookline.ingress.signatures import Hmac
from hookline_parsers.payload import Names, at, fields, key_of, name_of, payload, picked
from hookline_parsers.sender import Sender


class PagerDuty:
    """The parser of PagerDuty's webhooks."""

    scheme = Hmac("X-PagerDuty-Signature", prefix="v1=", separator=",")
    content_types = frozenset({"application/json"})

    def identify(self, delivery: Verified) -> Identity:
        """The key is the webhook's id, else the event's; the type is `pagerduty.<type>`."""
        key = delivery.headers.text("X-Webhook-Id") or at(payload(delivery), "event", "id")
        return Identity(key_of(key), _type(delivery))

    def parse(self, delivery: Verified) -> Pong | Iterable[Event]:
        """One event, whose data is the payload as it came; the test of a subscription is only answered."""
        type_ = _type(delivery)
        if type_ == "pagerduty.pagey.ping":
            return Pong()
        happened = at(payload(delivery), "event")
        told = fields(
            resource=at(happened, "resource_type"),
            sender=at(happened, "agent", "summary"),
            id=at(happened, "data", "id") or at(happened, "data", "incident", "id"),
            number=at(happened, "data", "number"),
            status=at(happened, "data", "status"),
            urgency=at(happened, "data", "urgency"),
            priority=at(happened, "data", "priority", "summary"),
            service=at(happened, "data", "service", "summary"),
        )
        return [Event.of_json(type_, payload(delivery), key=str(told.get("id", "")), fields=told)]

    def headers_for(self, event: str, delivery: str, body: bytes) -> dict[str, str]:  # noqa: ARG002 - in the body
        """As PagerDuty sends them."""
        return {"Content-Type": "application/json", "User-Agent": "PagerDuty-Webhook/V3.0", "X-Webhook-Id": delivery}


parser = PagerDuty()


def _type(delivery: Verified) -> str:
    return "pagerduty." + name_of(at(payload(delivery), "event", "event_type"))


def event(name: Names = None, **filters: Names) -> Pattern:
    """PagerDuty's events by `name`, such as `incident.triggered`, or all.

    Args:
        filters: by field (`service`, `urgency`, `priority`, `status`, `number`) or by a dotted path into the payload, a
            glob or several.

    Example:
        >>> event("incident.triggered", urgency="high").matches(
        ...     Event("pagerduty.incident.triggered", fields={"urgency": "high"}))
        True
    """
    return picked("pagerduty", name, filters)


pagerduty = Sender(parser, event)
