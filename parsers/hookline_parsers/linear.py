"""Linear: what happens to issues, comments, projects and cycles.

Source: https://linear.app/developers/webhooks (signature, headers, and the minute in which a delivery is fresh).
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from hookline.errors import Rejected, Unparseable
from hookline.events import Event, Identity, Pattern
from hookline.ingress.schemes import Verified
from hookline.ingress.signatures import Fresh, Hmac
from hookline_parsers.payload import Names, at, fields, key_of, name_of, names, payload, picked, with_action, words
from hookline_parsers.sender import Sender

MINUTE = 60.0


def _moment(delivery: Verified) -> float:
    try:
        moment = payload(delivery).get("webhookTimestamp")
    except Unparseable:
        raise Rejected("malformed_timestamp") from None
    if not isinstance(moment, int) or isinstance(moment, bool) or abs(moment) > 1e15:
        raise Rejected("missing_timestamp")
    return moment / 1000


class Linear:
    """The parser of Linear's webhooks."""

    scheme = Fresh(Hmac("Linear-Signature"), _moment, tolerance=MINUTE)
    content_types = frozenset({"application/json"})

    def identify(self, delivery: Verified) -> Identity:
        """The key is the delivery's id; the type is `linear.<thing>.<action>`, such as `linear.issue.create`."""
        return Identity(key_of(delivery.headers.text("Linear-Delivery")), _type(delivery))

    def parse(self, delivery: Verified) -> Iterable[Event]:
        """One event, whose data is the payload as it came."""
        body = payload(delivery)
        data = body.get("data")
        told = fields(
            organization=body.get("organizationId"),
            action=body.get("action"),
            sender=at(body, "actor", "name"),
            id=at(data, "id"),
            identifier=at(data, "identifier"),
            number=at(data, "number"),
            team=at(data, "team", "key"),
            state=at(data, "state", "name"),
        )
        return [Event.of_json(_type(delivery), payload(delivery), key=str(told.get("id", "")), fields=told)]

    def headers_for(self, event: str, delivery: str, body: bytes) -> dict[str, str]:  # noqa: ARG002 - not needed
        """As Linear sends them."""
        return {
            "Content-Type": "application/json; charset=utf-8",
            "User-Agent": "Linear-Webhook",
            "Linear-Delivery": delivery,
            "Linear-Event": event,
        }


parser = Linear()


def _type(delivery: Verified) -> str:
    body = payload(delivery)
    return with_action(f"linear.{_snake(name_of(body.get('type')))}", body.get("action"))


def _snake(name: str) -> str:
    """`IssueLabel` is `issue_label`."""
    return words(re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name))


def event(name: Names = None, *, actions: Names = None, **filters: Names) -> Pattern:
    """Linear's events by the thing that they are about, such as `Issue` or `issue_label`, or all.

    Args:
        actions: what happened to it: `create`, `update`, `remove`.
        filters: by field (`team`, `state`, `identifier`, `number`, `sender`) or by a dotted path into the payload, a
            glob or several.

    Example:
        >>> event("Issue", actions="create", team="ENG").matches(
        ...     Event("linear.issue.create", fields={"team": "ENG"}))
        True
    """
    things = [_snake(each) for each in names(name)] or ["*"]
    return picked("linear", [f"{thing}.{action}" for thing in things for action in names(actions) or ["*"]], filters)


linear = Sender(parser, event)
