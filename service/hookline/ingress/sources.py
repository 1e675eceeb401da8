"""Sources: the endpoints that a deployment has switched on, each with its parser and its secrets."""

from __future__ import annotations

from dataclasses import dataclass

from hookline.errors import ConfigurationError
from hookline.ingress.parser import Parser, find
from hookline.ingress.schemes import Scheme, Unsigned
from hookline.ingress.secrets import active
from hookline.settings import Settings, SourceSettings


@dataclass(frozen=True, slots=True)
class Source:
    """A configured endpoint: `/webhooks/{name}`.

    Args:
        wait: seconds that its sender may wait for the outcome of the runs that it starts.
    """

    name: str
    parser: Parser
    scheme: Scheme
    secrets: tuple[bytes, ...]
    wait: float = 0.0

    @property
    def is_silent(self) -> bool:
        """Whether the sender shows people what it is answered, so that it is answered nothing."""
        return bool(getattr(self.parser, "silent", False))


def configured(settings: Settings) -> dict[str, Source]:
    """The sources that the settings switch on, by name; raises `ConfigurationError`."""
    return {each.name: _source(each) for each in settings.sources}


def _source(given: SourceSettings) -> Source:
    parser = find(given.parser)
    scheme = Unsigned() if given.unsigned else parser.scheme
    secrets = active(given)
    for number, secret in enumerate(secrets, 1):
        try:
            scheme.check(secret)
        except ValueError as error:
            raise ConfigurationError(
                f"source {given.name}: secret {number} of {len(secrets)} is of no use: {error}"
            ) from None
    return Source(given.name, parser, scheme, secrets, given.wait)
