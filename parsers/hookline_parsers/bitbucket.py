"""Bitbucket: repository and workspace webhooks of Bitbucket Cloud.

Source: https://support.atlassian.com/bitbucket-cloud/docs/manage-webhooks/ (signature) and
https://support.atlassian.com/bitbucket-cloud/docs/event-payloads/ (headers). Bitbucket signs the body alone.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from hookline.events import Event, Identity, Pattern, Pong
from hookline.ingress.schemes import Verified
from hookline.ingress.signatures import Hmac
from hookline.peek import Peek
from hookline_parsers.payload import Names, at, fields, key_of, name_of, names, payload, picked
from hookline_parsers.sender import Sender


class Bitbucket:
    """The parser of Bitbucket's webhooks."""

    scheme = Hmac("X-Hub-Signature", prefix="sha256=")
    content_types = frozenset({"application/json"})

    def identify(self, delivery: Verified) -> Identity:
        """The key is the request's UUID; the type is `bitbucket.<event>`, with dots for colons."""
        given = delivery.headers.text("X-Request-UUID") or delivery.headers.text("X-Request-Id")
        return Identity(key_of(given), _type(delivery))

    def parse(self, delivery: Verified) -> Pong | Iterable[Event]:
        """One event, whose data is the payload as it came; the test of a connection is only answered."""
        type_ = _type(delivery)
        if type_ == "bitbucket.diagnostics.ping":
            return Pong()
        told = _fields(payload(delivery))
        return [Event.of_json(type_, payload(delivery), key=str(told.get("repository", "")), fields=told)]

    def headers_for(self, event: str, delivery: str, body: bytes) -> dict[str, str]:  # noqa: ARG002 - not needed
        """As Bitbucket sends them."""
        return {
            "Content-Type": "application/json",
            "User-Agent": "Bitbucket-Webhooks/2.0 (hookline)",
            "X-Event-Key": event,
            "X-Request-UUID": delivery,
            "X-Hook-UUID": "00000000-0000-0000-0000-000000000000",
            "X-Attempt-Number": "1",
        }


parser = Bitbucket()


def _type(delivery: Verified) -> str:
    return "bitbucket." + name_of(delivery.headers.text("X-Event-Key")).replace(":", ".")


def _fields(body: Peek) -> dict[str, Any]:
    change = at(body, "push", "changes", 0)
    moved = at(change, "new") or at(change, "old")
    request = body.get("pullrequest")
    is_tag = at(moved, "type") == "tag"
    return fields(
        repository=at(body, "repository", "full_name"),
        sender=at(body, "actor", "nickname") or at(body, "actor", "display_name"),
        branch=at(request, "source", "branch", "name") or (None if is_tag else at(moved, "name")),
        tag=at(moved, "name") if is_tag else None,
        target=at(request, "destination", "branch", "name"),
        number=at(request, "id") or at(body, "issue", "id"),
        sha=at(moved, "target", "hash") or at(request, "source", "commit", "hash"),
        status=at(body, "commit_status", "state"),
        deleted=(change is not None and at(change, "new") is None) or None,
    )


def event(name: Names = None, **filters: Names) -> Pattern:
    """Bitbucket's events by `name`, such as `repo:push` or `pullrequest:created`, or all.

    Args:
        filters: by field (`repository`, `sender`, `branch`, `tag`, `target`, `number`, `sha`, `status`) or by a dotted
            path into the payload, a glob or several.

    Example:
        >>> event("repo:push", branch="main").matches(Event("bitbucket.repo.push", fields={"branch": "main"}))
        True
    """
    return picked("bitbucket", [each.replace(":", ".") for each in names(name)], filters)


bitbucket = Sender(parser, event)
