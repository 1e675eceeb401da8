"""Slack: the Events API, slash commands, and what people press in messages and dialogues.

Source: https://docs.slack.dev/authentication/verifying-requests-from-slack (signature),
https://docs.slack.dev/apis/events-api (events, `url_verification`), https://docs.slack.dev/interactivity (forms).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any
from urllib.parse import parse_qs

from hookline import codec
from hookline.errors import Unparseable
from hookline.events import Event, Identity, Pattern, Pong
from hookline.ingress.schemes import Verified
from hookline.ingress.signatures import Fresh, Hmac
from hookline_parsers.payload import Names, at, decoded, fields, key_of, name_of, payload, picked, with_action

FORM = "application/x-www-form-urlencoded"
STAMP = "X-Slack-Request-Timestamp"


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
            return Pong({"challenge": body.get("challenge")})
        told = _fields(body)
        raw = codec.encode(body) if _is_form(delivery) else delivery.body
        return [Event.of_json(_type(body), raw, key=str(told.get("channel", "")), fields=told)]

    def headers_for(self, event: str, delivery: str, body: bytes) -> dict[str, str]:  # noqa: ARG002 - in the body
        """As Slack sends them."""
        is_json = body.lstrip()[:1] in (b"{", b"[")
        return {"Content-Type": "application/json" if is_json else FORM, "User-Agent": "Slackbot 1.0 (hookline)"}


parser = Slack()


def _is_form(delivery: Verified) -> bool:
    return (delivery.headers.text("Content-Type") or "").partition(";")[0].strip().lower() == FORM


def _read(delivery: Verified) -> dict[str, Any]:
    if delivery.read is None and _is_form(delivery):
        delivery.read = _form(delivery.body)
    return payload(delivery)


def _form(body: bytes) -> dict[str, Any]:
    """A slash command's fields, or the JSON object in the one field of everything else."""
    try:
        found = parse_qs(body.decode("ascii"), keep_blank_values=True, strict_parsing=True, max_num_fields=50)
    except ValueError:
        raise Unparseable("the body is not a form") from None
    if "payload" in found:
        return decoded(found["payload"][0].encode("utf-8", "surrogatepass"))
    return {name: values[0] for name, values in found.items()}


def _type(body: dict[str, Any]) -> str:
    if body.get("type") == "event_callback":
        return with_action(f"slack.{name_of(at(body, 'event', 'type'))}", at(body, "event", "subtype"))
    if "command" in body and "type" not in body:
        return "slack.command"
    return f"slack.{name_of(body.get('type'))}"


def _fields(body: dict[str, Any]) -> dict[str, Any]:
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
