"""GitHub: repository, organisation and App webhooks.

Source: https://docs.github.com/en/webhooks (signatures: "Validating webhook deliveries"; headers: "Webhook
events and payloads"). GitHub signs the body alone, so a captured request can be sent again with another delivery
id; what a job does should bear being done twice for the same commit.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cache
from typing import Any
from urllib.parse import parse_qs

import msgspec

from hookline.errors import Unparseable
from hookline.events import Event, Identity, Pattern, Pong
from hookline.ingress.schemes import Verified
from hookline.ingress.signatures import Hmac

FORM = "application/x-www-form-urlencoded"
NAME = re.compile(r"[A-Za-z0-9_-]{1,100}")
KEY = re.compile(r"[!-~]{1,200}")
NOBODY = "0" * 40


class _Peek(msgspec.Struct):
    """The few fields that filters need; of any type, since a strange one must not lose the delivery."""

    action: Any = None
    ref: Any = None
    after: Any = None
    deleted: Any = None
    number: Any = None
    sha: Any = None
    repository: msgspec.Raw = msgspec.Raw()
    organization: msgspec.Raw = msgspec.Raw()
    sender: msgspec.Raw = msgspec.Raw()
    issue: msgspec.Raw = msgspec.Raw()
    pull_request: msgspec.Raw = msgspec.Raw()
    check_suite: msgspec.Raw = msgspec.Raw()
    check_run: msgspec.Raw = msgspec.Raw()


class _Named(msgspec.Struct):
    """What is worth knowing of an object within the payload."""

    full_name: Any = None
    login: Any = None
    number: Any = None
    head_sha: Any = None
    head: Any = None


_peek = msgspec.json.Decoder(_Peek)
_named = msgspec.json.Decoder(_Named)


class GitHub:
    """The parser of GitHub's webhooks."""

    scheme = Hmac("X-Hub-Signature-256", prefix="sha256=")
    content_types = frozenset({"application/json", FORM})

    def identify(self, delivery: Verified) -> Identity:
        """The key is the guid, which a redelivery repeats; the type is `github.<event>[.<action>]`."""
        guid, event = delivery.headers.text("X-GitHub-Delivery"), _event(delivery)
        if guid is None or not KEY.fullmatch(guid):
            raise Unparseable("no usable X-GitHub-Delivery header")
        try:
            action = _read(delivery)[1].action
        except Unparseable:  # as `parse` says, and its guid is known all the same
            action = None
        return Identity(guid, _type(event, action))

    def parse(self, delivery: Verified) -> Pong | Iterable[Event]:
        """One event, whose data is the payload as it came; a ping is only answered."""
        event = _event(delivery)
        payload, peek = _read(delivery)
        if event == "ping":
            return Pong()
        fields = _fields(peek)
        key = fields.get("repository") or fields.get("organization") or ""
        return [Event.of_json(_type(event, peek.action), payload, key=key, fields=fields)]

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


def _type(event: str, action: object) -> str:
    return f"github.{event}.{action}" if isinstance(action, str) and NAME.fullmatch(action) else f"github.{event}"


def _read(delivery: Verified) -> tuple[bytes, _Peek]:
    """The JSON text and what is worth knowing of it, read once for each delivery."""
    if delivery.read is None:
        payload = _payload(delivery)
        delivery.read = payload, _peeked(payload)
    found: tuple[bytes, _Peek] = delivery.read
    return found


def _payload(delivery: Verified) -> bytes:
    """The JSON text, which a form carries in its one field."""
    media = (delivery.headers.text("Content-Type") or "").partition(";")[0].strip().lower()
    if media != FORM:
        return delivery.body
    try:
        form = parse_qs(delivery.body.decode("ascii"), strict_parsing=True, max_num_fields=10, errors="strict")
    except ValueError:
        raise Unparseable("the body is not a form") from None
    if len(form.get("payload", ())) != 1:
        raise Unparseable("the form has no single field `payload`")
    return form["payload"][0].encode()


def _peeked(payload: bytes) -> _Peek:
    try:
        str(payload, "utf-8")  # msgspec does not look into the text that it skips
        return _peek.decode(payload)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise Unparseable(f"the payload is not a JSON object: {str(error)[:200]}") from None


def _fields(peek: _Peek) -> dict[str, Any]:
    repository, organization, sender = (_look(peek.repository), _look(peek.organization), _look(peek.sender))
    subject = _look(peek.pull_request or peek.issue)
    check = _look(peek.check_suite or peek.check_run)
    ref = peek.ref if isinstance(peek.ref, str) else ""
    head = subject.head if isinstance(subject.head, dict) else {}
    found = {
        "repository": repository.full_name,
        "organization": organization.login,
        "sender": sender.login,
        "action": peek.action,
        "ref": ref or None,
        "branch": ref.removeprefix("refs/heads/") if ref.startswith("refs/heads/") else None,
        "tag": ref.removeprefix("refs/tags/") if ref.startswith("refs/tags/") else None,
        "number": peek.number if peek.number is not None else subject.number,
        "sha": check.head_sha or head.get("sha") or peek.after or peek.sha,
        "deleted": peek.deleted is True or peek.after == NOBODY or None,
    }
    return {name: value for name, value in found.items() if isinstance(value, str | int)}


def _look(raw: msgspec.Raw) -> _Named:
    if not raw:
        return _Named()
    try:
        return _named.decode(raw)
    except (msgspec.MsgspecError, RecursionError):
        return _Named()


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
