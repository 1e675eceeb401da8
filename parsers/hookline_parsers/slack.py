"""Slack: the Events API, slash commands, and what people press in messages and dialogues.

Source: https://docs.slack.dev/authentication/verifying-requests-from-slack (signature),
https://docs.slack.dev/apis/events-api (events, `url_verification`), https://docs.slack.dev/interactivity (forms).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from hookline import codec
from hookline.events import Event, Identity, Pattern, Pong
from hookline.ingress.schemes import Verified
from hookline.ingress.signatures import Fresh, Hmac
from hookline.peek import Peek
from hookline_parsers.payload import Names, at, decoded, fields, form, key_of, name_of, payload, picked, with_action

FORM = "application/x-www-form-urlencoded"
STAMP = "X-Slack-Request-Timestamp"

Read = Peek | dict[str, str]


class Slack:
    """The parser of Slack's requests.

    People see what Slack is answered to a slash command or a button, so it is answered with an empty 200.
    """

    scheme = Fresh(Hmac("X-Slack-Signature", prefix="v0=", signed=f"v0:{{{STAMP}}}:{{body}}"), STAMP)
    content_types = frozenset({"application/json", FORM})
    silent = True

    def identify(self, delivery: Verified) -> Identity:
        """The key is the event's id, which every attempt repeats, or the trigger's of a command or a press."""
        body = _read(delivery)
        if body.get("type") == "url_verification":
            return Identity("", "slack.url_verification")
        key = body.get("event_id") or body.get("trigger_id") or at(body, "view", "id")
        return Identity("" if key is None else key_of(key), _type(body))

    def parse(self, delivery: Verified) -> Pong | Iterable[Event]:
        """One event, whose data is what Slack sent, a form as an object; the check of a URL is answered."""
        body = _read(delivery)
        if body.get("type") == "url_verification":
            challenge = body.get("challenge")
            return Pong({"challenge": challenge if isinstance(challenge, str) else None})
        told = _fields(body)
        raw = body if isinstance(body, Peek) else codec.encode(body)
        return [Event.of_json(_type(body), raw, key=str(told.get("channel", "")), fields=told)]

    def headers_for(self, event: str, delivery: str, body: bytes) -> dict[str, str]:  # noqa: ARG002 - in the body
        """As Slack sends them."""
        is_json = body.lstrip()[:1] in (b"{", b"[")
        return {"Content-Type": "application/json" if is_json else FORM, "User-Agent": "Slackbot 1.0 (hookline)"}


parser = Slack()


def _is_form(delivery: Verified) -> bool:
    return (delivery.headers.text("Content-Type") or "").partition(";")[0].strip().lower() == FORM


def _read(delivery: Verified) -> Read:
    if delivery.read is None and _is_form(delivery):
        delivery.read = _form(delivery.body)
    found: Read = payload(delivery)
    return found


def _form(body: bytes) -> Read:
    """A slash command's fields, or the JSON object in the one field of everything else."""
    found = form(body)
    if "payload" in found:
        return decoded(found["payload"])
    return {name: value.decode("utf-8", "replace") for name, value in found.items()}


def _type(body: Read) -> str:
    if body.get("type") == "event_callback":
        return with_action(f"slack.{name_of(at(body, 'event', 'type'))}", at(body, "event", "subtype"))
    if "command" in body and "type" not in body:
        return "slack.command"
    return f"slack.{name_of(body.get('type'))}"


def _fields(body: Read) -> dict[str, Any]:
    event_, action = body.get("event"), at(body, "actions", 0)
    return fields(
        team=body.get("team_id") or at(body, "team", "id"),
        channel=at(event_, "channel") or body.get("channel_id") or at(body, "channel", "id"),
        user=at(event_, "user") or body.get("user_id") or at(body, "user", "id"),
        text=at(event_, "text") or body.get("text"),
        command=body.get("command"),
        action=at(action, "action_id") or body.get("callback_id") or at(body, "view", "callback_id"),
        value=at(action, "value"),
        ts=at(event_, "ts"),
        thread=at(event_, "thread_ts"),
    )


def event(name: Names = None, **filters: Names) -> Pattern:
    """Slack's events by `name`, such as `app_mention`, `message` or `block_actions`, or all.

    Args:
        filters: by field (`team`, `channel`, `user`, `text`, `action`, `value`) or by a dotted path into what was sent,
            a glob or several.

    Example:
        >>> event("app_mention", channel="C024BE91L").matches(
        ...     Event("slack.app_mention", fields={"channel": "C024BE91L"}))
        True
    """
    return picked("slack", name, filters)


def command(name: Names = None, **filters: Names) -> Pattern:
    """Slash commands by `name`, such as `/deploy`, or all; `filters` as of `event`."""
    return picked("slack", "command", {"command": name, **filters})
