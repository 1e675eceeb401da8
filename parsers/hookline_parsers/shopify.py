"""Shopify: what happens in a shop.

Source: https://shopify.dev/docs/apps/build/webhooks/subscribe/https (signature, headers). Shopify signs the body alone.
"""

from __future__ import annotations

from collections.abc import Iterable

from hookline.events import Event, Identity, Pattern
from hookline.ingress.schemes import Verified
from hookline.ingress.signatures import Hmac
from hookline_parsers.payload import Names, fields, key_of, name_of, names, payload, picked
from hookline_parsers.sender import Sender


class Shopify:
    """The parser of Shopify's webhooks."""

    scheme = Hmac("X-Shopify-Hmac-SHA256", encoding="base64")
    content_types = frozenset({"application/json"})

    def identify(self, delivery: Verified) -> Identity:
        """The key is the webhook's id, which every attempt repeats; the type is the topic, with dots for slashes."""
        return Identity(key_of(delivery.headers.text("X-Shopify-Webhook-Id")), _type(delivery))

    def parse(self, delivery: Verified) -> Iterable[Event]:
        """One event about the shop, whose data is the payload as it came."""
        body, header = payload(delivery), delivery.headers.text
        told = fields(
            shop=header("X-Shopify-Shop-Domain"),
            topic=header("X-Shopify-Topic"),
            api_version=header("X-Shopify-API-Version"),
            event=header("X-Shopify-Event-Id"),
            id=body.get("id"),
            name=body.get("name"),
        )
        return [Event.of_json(_type(delivery), payload(delivery), key=str(told.get("shop", "")), fields=told)]

    def headers_for(self, event: str, delivery: str, body: bytes) -> dict[str, str]:  # noqa: ARG002 - not needed
        """As Shopify sends them."""
        return {
            "Content-Type": "application/json",
            "X-Shopify-Topic": event,
            "X-Shopify-Webhook-Id": delivery,
            "X-Shopify-Shop-Domain": "example.myshopify.com",
        }


parser = Shopify()


def _type(delivery: Verified) -> str:
    return "shopify." + name_of(delivery.headers.text("X-Shopify-Topic")).replace("/", ".")


def event(topic: Names = None, **filters: Names) -> Pattern:
    """Shopify's events by `topic`, such as `orders/create`, or all.

    Args:
        filters: by field (`shop`, `id`, `name`) or by a dotted path into the payload, a glob or several.

    Example:
        >>> event("orders/create").matches(Event("shopify.orders.create"))
        True
    """
    return picked("shopify", [each.replace("/", ".") for each in names(topic)], filters)


shopify = Sender(parser, event)
