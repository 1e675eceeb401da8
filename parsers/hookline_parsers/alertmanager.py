"""Alertmanager: groups of alerts that fire or are resolved.

Source: https://prometheus.io/docs/alerting/latest/configuration/#webhook_config. It signs nothing: its `http_config`
sends the secret as a bearer token. It has no id of a delivery: the same group in the same state is the same delivery,
so that a reminder (`repeat_interval`) starts nothing anew.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

import msgspec

from hookline.events import Event, Identity, Pattern
from hookline.ingress.schemes import Bearer, Verified
from hookline.peek import Unread
from hookline_parsers.payload import Names, at, fields, name_of, payload, picked
from hookline_parsers.sender import Sender


class Alertmanager:
    """The parser of Alertmanager's notifications."""

    scheme = Bearer()
    content_types = frozenset({"application/json"})

    def identify(self, delivery: Verified) -> Identity:
        """The key is made from the group, its status, and which alerts are in which state since when.

        Of a great many alerts it is made from their text.
        """
        body = payload(delivery)
        alerts = body.get("alerts")
        told = sorted(
            repr([at(each, name) for name in ("fingerprint", "labels", "status", "startsAt", "endsAt")])
            for each in (alerts if isinstance(alerts, list) else ())
        )
        large = [_digest(value.raw) for value in (alerts, body.get("groupKey")) if isinstance(value, Unread)]
        state = repr([body.get("groupKey"), body.get("status"), body.get("receiver"), told, *large])
        return Identity(_digest(state.encode("utf-8", "surrogatepass")), _type(delivery))

    def parse(self, delivery: Verified) -> Iterable[Event]:
        """One event, `alertmanager.firing` or `alertmanager.resolved`, about the group."""
        body = payload(delivery)
        labels = body.get("commonLabels")
        told = fields(
            receiver=body.get("receiver"),
            status=body.get("status"),
            alertname=at(labels, "alertname"),
            severity=at(labels, "severity"),
            namespace=at(labels, "namespace"),
        )
        key = fields(group=body.get("groupKey")).get("group", "")
        return [Event.of_json(_type(delivery), payload(delivery), key=str(key), fields=told)]

    def headers_for(self, event: str, delivery: str, body: bytes) -> dict[str, str]:  # noqa: ARG002 - in the body
        """As Alertmanager sends them."""
        return {"Content-Type": "application/json", "User-Agent": "Alertmanager/hookline"}


parser = Alertmanager()


def _digest(told: bytes | msgspec.Raw) -> str:
    return hashlib.sha256(told).hexdigest()


def _type(delivery: Verified) -> str:
    return "alertmanager." + name_of(payload(delivery).get("status"))


def event(status: Names = None, **filters: Names) -> Pattern:
    """Groups of alerts that are `firing` or `resolved`, or all.

    Args:
        filters: by field (`alertname`, `severity`, `namespace`, `receiver`) or by a dotted path into the notification,
            such as `commonLabels.team`, a glob or several.

    Example:
        >>> event("firing", severity="critical").matches(
        ...     Event("alertmanager.firing", fields={"severity": "critical"}))
        True
    """
    return picked("alertmanager", status, filters)


alertmanager = Sender(parser, event)
