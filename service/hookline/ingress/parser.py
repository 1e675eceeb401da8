"""The parser: a plug-in that knows one kind of sender, found by its entry point."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from importlib.metadata import entry_points
from typing import Protocol, runtime_checkable

from hookline.errors import ConfigurationError, Unparseable
from hookline.events import Event, Identity, Pong, Trigger
from hookline.ingress.schemes import Headers, Scheme, Verified

GROUP = "hookline.parsers"
LONGEST = 500
"""Characters of a key or a type, at most."""

REQUIRED = ("scheme", "content_types", "identify", "parse", "headers_for")


class Parser(Protocol):
    """Turns a sender's deliveries into events; pure: no I/O, no clock, no memory of what came before.

    Attributes:
        scheme: how a delivery proves who sent it.
        content_types: the media types, in lower case, that the sender uses; others are refused.

    One whose sender shows people what it is answered says `silent = True`: it gets an empty 200.
    """

    scheme: Scheme
    content_types: frozenset[str]

    def identify(self, delivery: Verified) -> Identity:
        """The sender's id of the delivery, and its event type.

        An empty key says that the sender has none, so each delivery is a new one. Raises `Unparseable`.
        """

    def parse(self, delivery: Verified) -> Pong | Iterable[Event | Trigger]:
        """What happened, or what is asked for; raises `Unparseable`, and the delivery is quarantined."""

    def headers_for(self, event: str, delivery: str, body: bytes) -> dict[str, str]:
        """What a sender adds besides its proof, when `hookline send` stands in for it."""


@runtime_checkable
class Welcoming(Protocol):
    """A parser whose sender asks first, by `OPTIONS`, whether it may send."""

    def welcome(self, headers: Headers) -> dict[str, str]:
        """The headers that answer it."""


def named(identity: Identity) -> Identity:
    """`identity`, if its words can be stored and shown; raises `Unparseable`."""
    for what in (identity.key, identity.type):
        _check_word(what)
    return identity


def typed(event: Event) -> Event:
    """`event`, if its type can be stored and shown; raises `Unparseable`."""
    _check_word(event.type)
    return event


def _check_word(word: str) -> None:
    if not word.isprintable() or len(word) > LONGEST:
        raise Unparseable(f"a key or a type is up to {LONGEST} printable characters, not {word[:50]!r}")


@cache
def find(name: str) -> Parser:
    """The installed parser called `name`.

    Raises:
        ConfigurationError: there is none, or it does not load.
    """
    points = entry_points(group=GROUP)
    found = {point.name: point for point in points}
    values = {point.value for point in points if point.name == name}
    if len(values) > 1:
        whose = " and as ".join(sorted(values))
        raise ConfigurationError(f"parser {name!r} is registered as {whose}: uninstall one of them")
    if name not in found:
        raise ConfigurationError(
            f"there is no parser {name!r}, only {', '.join(sorted(found))}; "
            "one that was just added needs its distribution installed again"
        )
    try:
        parser: Parser = found[name].load()
    except Exception as error:
        raise ConfigurationError(f"parser {name} ({found[name].value}) does not load: {error!r}") from error
    if missing := [each for each in REQUIRED if not hasattr(parser, each)]:
        raise ConfigurationError(f"parser {name} ({found[name].value}) has no {', '.join(missing)}")
    return parser
