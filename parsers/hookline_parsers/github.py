"""GitHub: repository, organisation and App webhooks.

Source: https://docs.github.com/en/webhooks (signatures: "Validating webhook deliveries"; headers: "Webhook
events and payloads"). GitHub signs the body alone, so a captured request can be sent again with another delivery
id; what a job does should bear being done twice for the same commit.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cache
from typing import Any

from hookline.errors import Unparseable
from hookline.events import Event, Identity, Pattern, Pong
from hookline.ingress.schemes import Verified
from hookline.ingress.signatures import Hmac
from hookline.outline import Outline
from hookline.peek import Peek
from hookline_parsers.payload import fields, form, outlined, with_action

FORM = "application/x-www-form-urlencoded"
NAME = re.compile(r"[A-Za-z0-9_-]{1,100}")
KEY = re.compile(r"[!-~]{1,200}")
NOBODY = "0" * 40
OUTLINE = Outline(
    "action", "ref", "after", "sha", "number", "deleted", "repository.full_name", "organization.login", "sender.login",
    "pull_request.number", "pull_request.head.sha", "issue.number", "check_suite.head_sha", "check_run.head_sha",
)  # fmt: skip


class GitHub:
    """The parser of GitHub's webhooks."""

    scheme = Hmac("X-Hub-Signature-256", prefix="sha256=")
    content_types = frozenset({"application/json", FORM})

    def identify(self, delivery: Verified) -> Identity:
        """The key is the guid, which a redelivery repeats; the type is `github.<event>[.<action>]`."""
        guid = delivery.headers.text("X-GitHub-Delivery")
        if guid is None or not KEY.fullmatch(guid):
            raise Unparseable("no usable X-GitHub-Delivery header")
        try:
            event, _, found = _read(delivery)
        except Unparseable:  # as `parse` says, and its guid is known all the same
            return Identity(guid, f"github.{_event(delivery)}")
        return Identity(guid, _type(event, found))

    def parse(self, delivery: Verified) -> Pong | Iterable[Event]:
        """One event, whose data is the payload as it came; a ping is only answered."""
        event, body, found = _read(delivery)
        if event == "ping":
            return Pong()
        told = _fields(found)
        key = told.get("repository") or told.get("organization") or ""
        return [Event.of_json(_type(event, found), body, key=str(key), fields=told)]

    def headers_for(self, event: str, delivery: str, body: bytes) -> dict[str, str]:
        """As GitHub sends them."""
        return {
            "Content-Type": FORM if body.startswith(b"payload=") else "application/json",
            "User-Agent": "GitHub-Hookshot/hookline",
            "X-GitHub-Event": event,
            "X-GitHub-Delivery": delivery,
        }


parser = GitHub()


def _event(delivery: Verified) -> str:
    event = delivery.headers.text("X-GitHub-Event")
    if event is None or not NAME.fullmatch(event):
        raise Unparseable("no usable X-GitHub-Event header")
    return event


def _type(event: str, found: Mapping[str, Any]) -> str:
    return with_action(f"github.{event}", found.get("action"))


def _read(delivery: Verified) -> tuple[str, Peek, Mapping[str, Any]]:
    """The event, the payload, and what is at `OUTLINE`, read once for each delivery; a form has it in a field."""
    if delivery.read is None:
        event = _event(delivery)
        media = (delivery.headers.text("Content-Type") or "").partition(";")[0].strip().lower()
        raw = form(delivery.body).get("payload", b"") if media == FORM else delivery.body
        delivery.read = (event, *outlined(raw, OUTLINE))
    read: tuple[str, Peek, Mapping[str, Any]] = delivery.read
    return read


def _fields(found: Mapping[str, Any]) -> dict[str, Any]:
    at = found.get
    given, after, number = at("ref"), at("after"), at("number")
    ref = given if isinstance(given, str) else ""
    return fields(
        repository=at("repository.full_name"),
        organization=at("organization.login"),
        sender=at("sender.login"),
        action=at("action"),
        ref=ref,
        branch=ref.removeprefix("refs/heads/") if ref.startswith("refs/heads/") else None,
        tag=ref.removeprefix("refs/tags/") if ref.startswith("refs/tags/") else None,
        number=(at("pull_request.number") or at("issue.number")) if number is None else number,
        sha=at("check_suite.head_sha") or at("check_run.head_sha") or at("pull_request.head.sha") or after or at("sha"),
        deleted=at("deleted") is True or after == NOBODY or None,
    )


Names = str | Iterable[str] | None
"""A glob, or several, of which one must match."""


def event(
    name: str,
    *,
    actions: Names = None,
    repository: Names = None,
    when: Callable[[Event], bool] | None = None,
    **filters: Names,
) -> Pattern:
    """Events of GitHub's by `name`, such as `release`.

    Args:
        actions: what happened to it, such as `published`.
        repository: `owner/name`.
        when: a last word, for what globs cannot say.
        filters: further fields: `branch`, `sender`, `number`, `sha`, or a dotted path into the payload.

    Example:
        >>> event("release", actions="published", repository="octo/*").matches(
        ...     Event("github.release.published", fields={"repository": "octo/site"}))
        True
    """
    types = [f"github.{name}.{action}" for action in _names(actions)] or [f"github.{name}"]
    wanted: dict[str, Names] = {"repository": repository, **filters}
    return Pattern(types, {field: _names(globs) for field, globs in wanted.items() if globs is not None}, when)


def push(
    *,
    branches: Names = None,
    tags: Names = None,
    paths: Names = None,
    repository: Names = None,
    when: Callable[[Event], bool] | None = None,
) -> Pattern:
    """Pushes to any of `branches` or of `tags`, else to whatever; never the deletion of one, as in GitHub Actions.

    Args:
        branches: such as `main` or `release/*`.
        tags: such as `v*`.
        paths: files of which one must have changed, such as `src/**`: `*` stands for any text without a slash, `**` for
            any. A push of a tag has none, and one that tells of no commits may have changed any: both are picked.
        repository: `owner/name`.
        when: a last word, for what globs cannot say.

    Example:
        >>> push(branches=["main", "release/*"]).matches(Event("github.push", fields={"branch": "main"}))
        True
        >>> print(push(branches=["main", "release/*"], paths="src/**"))
        github.push, branch main or release/*, file src/**
    """
    return event("push", repository=repository, when=_Pushed(_given(branches), _given(tags), _given(paths), when))


def pull_request(
    *,
    actions: Names = None,
    labels: Names = None,
    branches: Names = None,
    repository: Names = None,
    when: Callable[[Event], bool] | None = None,
) -> Pattern:
    """Pull requests, of which `actions`, such as `opened` or `synchronize`, happened.

    Args:
        labels: of which it must have one.
        branches: into which it is to be merged.
        repository: `owner/name`.
        when: a last word, for what globs cannot say.
    """
    filters: dict[str, Any] = {"pull_request.labels.name": labels, "pull_request.base.ref": branches}
    return event("pull_request", actions=actions, repository=repository, when=when, **filters)


def issues(*, actions: Names = None, labels: Names = None, repository: Names = None) -> Pattern:
    """Issues, of which `actions`, such as `opened` or `labeled`, happened, and which have one of `labels`."""
    filters: dict[str, Any] = {"issue.labels.name": labels}
    return event("issues", actions=actions, repository=repository, **filters)


def check_suite(*, actions: Names = None, sha: Names = None, repository: Names = None) -> Pattern:
    """Check suites, of the commit `sha`, of which `actions`, such as `completed`, happened."""
    return event("check_suite", actions=actions, sha=sha, repository=repository)


@dataclass(frozen=True, slots=True)
class _Pushed:
    """Whether a push is wanted, and what of it is not."""

    branches: tuple[str, ...] | None
    tags: tuple[str, ...] | None
    paths: tuple[str, ...] | None
    when: Callable[[Event], bool] | None

    def __str__(self) -> str:
        wanted = (("branch", self.branches), ("tag", self.tags), ("file", self.paths))
        said = [f"{what} {' or '.join(globs)}" for what, globs in wanted if globs is not None]
        return ", ".join(said + (["when says so"] if self.when is not None else []))

    def __call__(self, pushed: Event) -> bool:
        return not self.why_not(pushed)

    def why_not(self, pushed: Event) -> str:
        """For people; empty if it is wanted."""
        fields = pushed.fields
        if "deleted" in fields:
            return "it deletes what it is pushed to"
        if self.branches is not None or self.tags is not None:
            wanted = self.tags if "tag" in fields else self.branches
            name = str(fields.get("tag") or fields.get("branch") or "")
            if not any(fnmatchcase(name, glob) for glob in wanted or ()):
                return f"{'tag' if 'tag' in fields else 'branch'} is {name!r}, not {' or '.join(wanted or ['any'])}"
        if self.paths is not None and "tag" not in fields:
            changed = {str(path) for kind in ("added", "modified", "removed") for path in _changed(pushed, kind)}
            if changed and not any(_path(glob).fullmatch(path) for path in changed for glob in self.paths):
                return f"none of {len(changed)} changed files is {' or '.join(self.paths)}"
        return "" if self.when is None or self.when(pushed) else "when says no"


def _changed(pushed: Event, kind: str) -> list[Any]:
    try:
        found = pushed.lookup(f"commits.{kind}")
    except LookupError:
        return []
    return found if isinstance(found, list) else []


@cache
def _path(glob: str) -> re.Pattern[str]:
    """A glob of paths: `**/` is any folders, `**` any text, `*` any without a slash, `?` one character but that."""
    parts = {"**/": "(?:.*/)?", "**": ".*", "*": "[^/]*", "?": "[^/]"}
    return re.compile("".join(parts.get(each) or re.escape(each) for each in re.split(r"(\*\*/|\*\*|\*|\?)", glob)))


def _given(names: Names) -> tuple[str, ...] | None:
    return None if names is None else _names(names)


def _names(given: Names) -> tuple[str, ...]:
    if given is None:
        return ()
    return (given,) if isinstance(given, str) else tuple(given)
