"""GitLab: project, group and system webhooks.

Source: https://docs.gitlab.com/user/project/integrations/webhooks/ (headers, the secret token, the signing token, which
follows Standard Webhooks) and https://docs.gitlab.com/user/project/integrations/webhook_events/. A secret token only
proves that the sender knows it; a signing token proves the body, too.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from hookline.events import Event, Identity, Pattern
from hookline.ingress.schemes import AnyOf, Token, Verified
from hookline.ingress.standard import StandardWebhooks
from hookline.peek import Peek
from hookline_parsers.payload import Names, at, fields, key_of, name_of, names, payload, picked, with_action, words

NOBODY = "0" * 40


class GitLab:
    """The parser of GitLab's webhooks."""

    scheme = AnyOf(StandardWebhooks(), Token("X-Gitlab-Token"))
    content_types = frozenset({"application/json"})

    def identify(self, delivery: Verified) -> Identity:
        """The key is the `Idempotency-Key`, which every attempt repeats; a GitLab before 17.4 has none."""
        key = delivery.headers.text("Idempotency-Key") or delivery.headers.text("webhook-id")
        return Identity("" if key is None else key_of(key), _type(delivery))

    def parse(self, delivery: Verified) -> Iterable[Event]:
        """One event of type `gitlab.<kind>[.<action>]`, whose data is the payload as it came."""
        told = _fields(payload(delivery))
        key = told.get("repository") or told.get("group") or ""
        return [Event.of_json(_type(delivery), payload(delivery), key=str(key), fields=told)]

    def headers_for(self, event: str, delivery: str, body: bytes) -> dict[str, str]:  # noqa: ARG002 - not needed
        """As GitLab sends them."""
        return {
            "Content-Type": "application/json",
            "User-Agent": "GitLab/hookline",
            "X-Gitlab-Event": f"{event.replace('_', ' ').title()} Hook",
            "Idempotency-Key": delivery,
            "webhook-id": delivery,
        }


parser = GitLab()


def _type(delivery: Verified) -> str:
    body = payload(delivery)
    kind = body.get("object_kind") or body.get("event_name")
    if kind is None:  # some system hooks say it in the header alone
        kind = words((delivery.headers.text("X-Gitlab-Event") or "").removesuffix(" Hook"))
    action = at(body, "object_attributes", "action") or body.get("action")
    return with_action(f"gitlab.{name_of(kind)}", action)


def _fields(body: Peek) -> dict[str, Any]:
    about = at(body, "object_attributes")
    ref = body.get("ref") or at(about, "ref")
    ref = ref if isinstance(ref, str) else ""
    is_tag = body.get("object_kind") == "tag_push" or at(about, "tag") is True
    short = ref.removeprefix("refs/heads/").removeprefix("refs/tags/")
    return fields(
        repository=at(body, "project", "path_with_namespace") or at(body, "repository", "full_name"),
        group=at(body, "group", "full_path") or body.get("group_path") or body.get("full_path"),
        sender=body.get("user_username") or at(body, "user", "username"),
        action=at(about, "action") or body.get("action"),
        ref=ref,
        branch=None if is_tag else short or at(about, "source_branch"),
        tag=short if is_tag else None,
        target=at(about, "target_branch"),
        number=at(about, "iid"),
        status=at(about, "status") or body.get("build_status") or body.get("status"),
        sha=body.get("checkout_sha") or body.get("after") or at(about, "last_commit", "id") or at(about, "sha"),
        deleted=body.get("after") == NOBODY or None,
    )


def event(name: Names = None, **filters: Names) -> Pattern:
    """GitLab's events by their kind, such as `pipeline` or `merge_request.open`, or all.

    Args:
        filters: by field (`repository`, `sender`, `branch`, `tag`, `target`, `status`, `number`, `sha`) or by a dotted
            path into the payload, a glob or several.

    Example:
        >>> event("pipeline", status="failed").matches(Event("gitlab.pipeline", fields={"status": "failed"}))
        True
    """
    return picked("gitlab", name, filters)


def push(*, branches: Names = None, repository: Names = None) -> Pattern:
    """Pushes to any of `branches`, else to whatever; never the deletion of one."""
    return Pattern(
        ["gitlab.push"],
        {name: names(globs) for name, globs in (("branch", branches), ("repository", repository)) if globs is not None},
        when=lambda pushed: "deleted" not in pushed.fields,
    )


def merge_request(*, actions: Names = None, target: Names = None, repository: Names = None) -> Pattern:
    """Merge requests, of which `actions`, such as `open`, `update` or `merge`, happened."""
    wanted = [f"merge_request.{action}" for action in names(actions)] or ["merge_request"]
    return picked("gitlab", wanted, {"target": target, "repository": repository})
