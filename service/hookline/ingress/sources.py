"""Sources: the endpoints that a deployment has switched on, each with its parser and its secrets."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from hookline.app import App
from hookline.errors import ConfigurationError, Unsealable
from hookline.ingress.parser import Parser, find
from hookline.ingress.quota import Quota
from hookline.ingress.schemes import Scheme, Unsigned
from hookline.ingress.secrets import active
from hookline.sealing import Seal
from hookline.settings import Settings
from hookline.source_settings import Origin, SourceLimits, SourceSettings, read_options, variable_of
from hookline.store.sources import KeptSource, about


@dataclass(frozen=True, slots=True)
class Source:
    """A configured endpoint: `/webhooks/{name}`.

    Args:
        wait: seconds that its sender may wait for the outcome of the runs that it starts.
        quota: what it takes in at once, and over time.
        declared: what the settings or the code say of it; `None` if it is kept in Postgres.
    """

    name: str
    parser: Parser
    scheme: Scheme
    secrets: tuple[bytes, ...] = field(repr=False)
    wait: float = 0.0
    quota: Quota = field(default_factory=lambda: Quota(SourceLimits()))
    declared: SourceSettings | None = None

    @property
    def origin(self) -> Origin:
        """Where it is declared."""
        return "api" if self.declared is None else self.declared.origin

    @property
    def is_silent(self) -> bool:
        """Whether the sender shows people what it is answered, so that it is answered nothing."""
        return bool(getattr(self.parser, "silent", False))


def configured(settings: Settings, app: App) -> dict[str, Source]:
    """The sources that the settings and the code switch on, by name; raises `ConfigurationError`."""
    declared = {each.name: each for each in settings.sources}
    for name, given in app.sources.items():
        if name in declared:
            raise ConfigurationError(
                f"source {name} is declared in code and in the settings, by {variable_of(name, '…')}: keep one of them"
            )
        declared[name] = given
    return {name: _source(each) for name, each in declared.items()}


def _source(given: SourceSettings) -> Source:
    parser = find(given.parser)
    scheme = Unsigned() if given.unsigned else parser.scheme
    secrets = active(given)
    try:
        check(scheme, secrets)
    except ValueError as error:
        raise ConfigurationError(f"source {given.name}: {error}") from None
    return Source(given.name, parser, scheme, secrets, given.wait, Quota(given.limits), given)


def check(scheme: Scheme, secrets: Sequence[bytes]) -> None:
    """Return if each of `secrets` can prove something; raises `ValueError`, which says which cannot, and why."""
    for number, secret in enumerate(secrets, 1):
        try:
            scheme.check(secret)
        except ValueError as error:
            raise ValueError(f"secret {number} of {len(secrets)} is of no use: {error}") from None


def opened(kept: KeptSource, seal: Seal) -> Source:
    """The source that is kept in Postgres.

    Raises:
        ConfigurationError: it cannot be used here, because of its parser or because a secret cannot be decrypted.
    """
    parser = find(kept.parser)
    wait, limits = read_options(kept.options, str)
    if not kept.secrets and not kept.unsigned:
        raise ConfigurationError("no secret of it is active any more")
    secrets = []
    for each in kept.secrets:
        try:
            secrets.append(seal.open(each.sealed, about(kept.name, each.id)))
        except Unsealable as error:
            raise ConfigurationError(f"secret {each.id} cannot be decrypted: {error}") from None
    scheme = Unsigned() if kept.unsigned else parser.scheme
    return Source(kept.name, parser, scheme, tuple(secrets), wait, Quota(limits))
