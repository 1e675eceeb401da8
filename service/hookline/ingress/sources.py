"""Sources: the endpoints that a deployment has switched on, each with its parser and its secrets."""

from __future__ import annotations

from dataclasses import dataclass

from hookline.ingress.parser import Parser, find
from hookline.ingress.schemes import Scheme, Unsigned
from hookline.settings import Settings


@dataclass(frozen=True, slots=True)
class Source:
    """A configured endpoint: `/webhooks/{name}`."""

    name: str
    parser: Parser
    scheme: Scheme
    secrets: tuple[bytes, ...]


def configured(settings: Settings) -> dict[str, Source]:
    """The sources that the settings switch on, by name; raises `ConfigurationError`."""
    return {
        each.name: Source(
            name=each.name,
            parser=(parser := find(each.parser)),
            scheme=Unsigned() if each.unsigned else parser.scheme,
            secrets=tuple(secret.get_secret_value().encode() for secret in each.secrets),
        )
        for each in settings.sources
    }
