"""Senders: for each bundled parser what it is sent, as its provider's documents show it, and what comes of it."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

from tests.support import PUSH

from hookline.ingress.parser import find

NOW = 1_676_056_940_508
"""Milliseconds, in whose place the moment stands at which something is sent."""

PLAIN = "a secret of this test"
STANDARD_SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


@dataclass(frozen=True)
class Sender:
    """A provider at its most ordinary.

    Args:
        event: in the provider's words.
        body: what it sends.
        type: the type of the event that comes of it.
        key: what the event is about.
        fields: some of those that the event has.
        secret: what it signs with.
        headers: what it sends besides.
        silent: whether it is answered nothing.
    """

    parser: str
    event: str
    body: bytes
    type: str
    key: str
    fields: dict[str, Any]
    secret: str = PLAIN
    headers: dict[str, str] = field(default_factory=dict)
    silent: bool = False

    @property
    def sent(self) -> bytes:
        """What it sends now."""
        return self.body.replace(str(NOW).encode(), str(int(time.time() * 1000)).encode())

    def signed(self, delivery: str, body: bytes, secret: str | None = None) -> dict[str, str]:
        """The headers that it sends with `body`."""
        parser = find(self.parser)
        headers = parser.headers_for(self.event, delivery, body) | self.headers
        return headers | parser.scheme.sign((secret or self.secret).encode(), body, headers)

    @property
    def is_signed(self) -> bool:
        """Whether its proof is of the body, and not a mere token."""
        return self.parser not in ("alertmanager", "cloudevents") and (self.parser, self.secret) != ("gitlab", PLAIN)

    def __str__(self) -> str:
        return f"{self.parser}-{self.type}"


def _json(**told: Any) -> bytes:
    return json.dumps(told).encode()


SENDERS = [
    Sender("github", "push", PUSH, "github.push", "octo/site", {"branch": "main"}),
    Sender(
        "gitlab", "push",
        _json(
            object_kind="push", ref="refs/heads/main", checkout_sha="da1560886d", user_username="jsmith",
            project={"path_with_namespace": "mike/diaspora"}, commits=[],
        ),
        "gitlab.push", "mike/diaspora", {"branch": "main", "sha": "da1560886d", "sender": "jsmith"},
    ),
    Sender(
        "gitlab", "merge_request",
        _json(
            object_kind="merge_request", user={"username": "root"}, project={"path_with_namespace": "org/test"},
            object_attributes={
                "iid": 1, "action": "open", "source_branch": "feature", "target_branch": "main",
                "last_commit": {"id": "ba3e0d8f"},
            },
        ),
        "gitlab.merge_request.open", "org/test",
        {"number": 1, "branch": "feature", "target": "main", "sha": "ba3e0d8f"}, secret=STANDARD_SECRET,
    ),
    Sender(
        "bitbucket", "repo:push",
        _json(
            repository={"full_name": "team/repo"}, actor={"nickname": "emma"},
            push={"changes": [{"new": {"type": "branch", "name": "main", "target": {"hash": "709d658d"}}}]},
        ),
        "bitbucket.repo.push", "team/repo", {"branch": "main", "sha": "709d658d", "sender": "emma"},
    ),
    Sender(
        "stripe", "invoice.paid",
        _json(
            id="evt_1NG8Du2eZvKYlo2CUI79vXWy", object="event", type="invoice.paid", livemode=False,
            data={"object": {"id": "in_1", "object": "invoice", "customer": "cus_9", "status": "paid"}},
        ),
        "stripe.invoice.paid", "in_1", {"customer": "cus_9", "status": "paid", "livemode": "false"},
    ),
    Sender(
        "slack", "app_mention",
        _json(
            type="event_callback", event_id="Ev9UQ52YNA", team_id="T1H9RESGL",
            event={"type": "app_mention", "user": "U061F7AUR", "text": "hi", "channel": "C0LAN2Q65", "ts": "1.5"},
        ),
        "slack.app_mention", "C0LAN2Q65", {"user": "U061F7AUR", "team": "T1H9RESGL"}, silent=True,
    ),
    Sender(
        "slack", "command",
        urlencode({
            "command": "/deploy", "text": "main", "channel_id": "C2", "user_id": "U2", "trigger_id": "1.2.a",
        }).encode(),
        "slack.command", "C2", {"command": "/deploy", "text": "main"}, silent=True,
    ),
    Sender(
        "slack", "block_actions",
        urlencode({
            "payload": json.dumps({
                "type": "block_actions", "trigger_id": "1.2.b", "team": {"id": "T9"}, "user": {"id": "U9"},
                "channel": {"id": "C9"}, "actions": [{"action_id": "approve", "value": "7"}],
            })
        }).encode(),
        "slack.block_actions", "C9", {"action": "approve", "value": "7"}, silent=True,
    ),
    Sender(
        "shopify", "orders/create", _json(id=820982911946154508, name="#9999"), "shopify.orders.create",
        "example.myshopify.com", {"name": "#9999", "topic": "orders/create"},
    ),
    Sender(
        "linear", "Issue",
        _json(
            type="Issue", action="create", organizationId="org", actor={"name": "Ann"},
            data={"id": "2174add1", "number": 7, "team": {"key": "ENG"}, "state": {"name": "Todo"}},
            webhookTimestamp=NOW,
        ),
        "linear.issue.create", "2174add1", {"team": "ENG", "number": 7, "state": "Todo"},
    ),
    Sender(
        "pagerduty", "incident.triggered",
        _json(event={
            "id": "5ac64822-4adc-4fda-ade0-410becf0de4f", "event_type": "incident.triggered",
            "resource_type": "incident", "agent": {"summary": "Ann"},
            "data": {"id": "PGR0VU2", "number": 2, "urgency": "high", "service": {"summary": "API"}},
        }),
        "pagerduty.incident.triggered", "PGR0VU2", {"urgency": "high", "service": "API", "number": 2},
    ),
    Sender(
        "alertmanager", "firing",
        _json(
            version="4", groupKey='{}:{alertname="Down"}', status="firing", receiver="hookline",
            commonLabels={"alertname": "Down", "severity": "critical"},
            alerts=[{"status": "firing", "fingerprint": "d0b6d7c4", "startsAt": "2026-01-01T00:00:00Z"}],
        ),
        "alertmanager.firing", '{}:{alertname="Down"}', {"alertname": "Down", "severity": "critical"},
    ),
    Sender(
        "standard_webhooks", "", _json(type="user.created", timestamp="2026-01-01T00:00:00Z", data={"id": "u7"}),
        "webhook.user.created", "u7", {"timestamp": "2026-01-01T00:00:00Z"}, secret=STANDARD_SECRET,
    ),
    Sender(
        "svix", "", _json(type="user.created", data={"id": "u7"}), "svix.user.created", "u7", {},
        secret=STANDARD_SECRET,
    ),
    Sender(
        "cloudevents", "com.example.someevent",
        _json(specversion="1.0", id="A234-1234", source="/mycontext", type="com.example.someevent", subject="s"),
        "cloudevents.com.example.someevent", "s", {"source": "/mycontext", "id": "A234-1234"},
    ),
    Sender(
        "cloudevents", "com.example.someevent", b'{"n": 1}', "cloudevents.com.example.someevent", "hookline",
        {"type": "com.example.someevent", "specversion": "1.0"},
    ),
]  # fmt: skip
"""The most ordinary deliveries; those of GitLab with either of its proofs, of CloudEvents in two of its modes."""
