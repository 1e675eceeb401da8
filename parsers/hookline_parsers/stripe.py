"""Stripe: what happens in an account.

Source: https://docs.stripe.com/webhooks/signature (the header `Stripe-Signature`) and
https://docs.stripe.com/api/events/object. While a secret is rolled, Stripe signs with both, so one header carries
several `v1`.
"""

from __future__ import annotations

from collections.abc import Iterable

from hookline.events import Event, Identity, Pattern
from hookline.ingress.schemes import Verified
from hookline.ingress.signatures import Stamped
from hookline_parsers.payload import Names, at, fields, key_of, name_of, payload, picked
from hookline_parsers.sender import Sender


class Stripe:
    """The parser of Stripe's events."""

    scheme = Stamped("Stripe-Signature")
    content_types = frozenset({"application/json"})

    def identify(self, delivery: Verified) -> Identity:
        """The key is the event's id, which every attempt repeats; the type is `stripe.<type>`."""
        body = payload(delivery)
        return Identity(key_of(body.get("id")), f"stripe.{name_of(body.get('type'))}")

    def parse(self, delivery: Verified) -> Iterable[Event]:
        """One event, whose data is the event's object as Stripe writes it."""
        body = payload(delivery)
        found = at(body, "data", "object") or at(body, "related_object")
        told = fields(
            account=body.get("account"),
            api_version=body.get("api_version"),
            livemode=str(body.get("livemode")).lower(),
            object=at(found, "object") or at(found, "type"),
            id=at(found, "id"),
            customer=at(found, "customer"),
            status=at(found, "status"),
        )
        type_ = f"stripe.{name_of(body.get('type'))}"
        return [Event.of_json(type_, payload(delivery), key=str(told.get("id", "")), fields=told)]

    def headers_for(self, event: str, delivery: str, body: bytes) -> dict[str, str]:  # noqa: ARG002 - in the body
        """As Stripe sends them."""
        return {"Content-Type": "application/json; charset=utf-8", "User-Agent": "Stripe/1.0 (hookline)"}


parser = Stripe()


def event(name: Names = None, **filters: Names) -> Pattern:
    """Stripe's events by `name`, such as `invoice.paid`, or all.

    Args:
        filters: by field (`account`, `livemode`, `object`, `id`, `customer`, `status`) or by a dotted path into the
            event, a glob or several.

    Example:
        >>> event("invoice.paid", livemode="true").matches(
        ...     Event("stripe.invoice.paid", fields={"livemode": "true"}))
        True
    """
    return picked("stripe", name, filters)


stripe = Sender(parser, event)
