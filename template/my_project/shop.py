"""The webhooks of the shop: orders, signed with an HMAC of the body in `X-Shop-Signature`."""

import json
from collections.abc import Iterable
from typing import Any

from hookline.parsing import Event, Hmac, Identity, Pattern, Unparseable, Verified

KINDS = ("placed", "paid", "returned")


def order(*kinds: str) -> Pattern:
    """Orders that were placed, paid or returned: `on=shop.order("paid")`."""
    return Pattern([f"shop.order.{kind}" for kind in kinds])


class Shop:
    scheme = Hmac("X-Shop-Signature", prefix="sha256=")
    content_types = frozenset({"application/json"})

    def identify(self, delivery: Verified) -> Identity:
        told = read(delivery.body)
        return Identity(f"{told['id']}:{told['kind']}", f"shop.order.{told['kind']}")

    def parse(self, delivery: Verified) -> Iterable[Event]:
        told = read(delivery.body)
        fields = {"customer": told["customer"]}
        return [Event.of_json(f"shop.order.{told['kind']}", delivery.body, key=told["id"], fields=fields)]

    def headers_for(self, event: str, delivery: str, body: bytes) -> dict[str, str]:
        return {"Content-Type": "application/json"}


def read(body: bytes) -> dict[str, Any]:
    """What the shop tells of an order; whatever else comes in is `Unparseable`, and kept to be looked at."""
    try:
        told = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise Unparseable(f"this is not JSON: {error}") from None
    if not isinstance(told, dict) or told.get("kind") not in KINDS:
        raise Unparseable(f"an order is {', '.join(KINDS)}")
    for name in ("id", "customer"):
        if not isinstance(told.get(name), str) or not told[name].isalnum() or len(told[name]) > 100:
            raise Unparseable(f"an order has an {name}")
    return told


parser = Shop()
