"""Acme: orders, signed with an HMAC of the body in `X-Acme-Signature`."""

from collections.abc import Iterable

import msgspec

from hookline.parsing import Event, Hmac, Identity, Unparseable, Verified


class Order(msgspec.Struct):
    id: str
    kind: str
    customer: str = ""


class Acme:
    scheme = Hmac("X-Acme-Signature", prefix="sha256=")
    content_types = frozenset({"application/json"})

    def identify(self, delivery: Verified) -> Identity:
        order = self._order(delivery)
        return Identity(f"{order.id}:{order.kind}", f"acme.order.{order.kind}")

    def parse(self, delivery: Verified) -> Iterable[Event]:
        order = self._order(delivery)
        fields = {"id": order.id, "customer": order.customer}
        return [Event.of_json(f"acme.order.{order.kind}", delivery.body, key=order.id, fields=fields)]

    def headers_for(self, event: str, delivery: str, body: bytes) -> dict[str, str]:
        return {"Content-Type": "application/json"}

    def _order(self, delivery: Verified) -> Order:
        try:
            order = msgspec.json.decode(delivery.body, type=Order)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            raise Unparseable(f"this is no order: {error}") from None
        if not (order.id.isalnum() and len(order.id) < 100 and order.kind in ("placed", "paid", "shipped")):
            raise Unparseable("an order has an id, and is placed, paid or shipped")
        return order


parser = Acme()
