"""What the settings say of whom to ask: for each source its provider, and when."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

from hookline.errors import ConfigurationError
from hookline.ingress.intake import Intake
from hookline.ingress.reconcilers import github, stripe
from hookline.ingress.reconcilers.credentials import Credentials, GitHubApp, Token, read_key
from hookline.ingress.reconcilers.github import GitHub
from hookline.ingress.reconcilers.provider import Provider
from hookline.ingress.reconcilers.stripe import Stripe
from hookline.jobs.schedule import Schedule
from hookline.settings import Settings

EVERY = "@every 10m"
JITTER = 60.0
"""Seconds over which those are spread who ask a provider at the same minute."""

HERE = ("localhost", "127.0.0.1", "::1")


class Reconciled(NamedTuple):
    """A source, whom to ask about it, and when."""

    source: str
    provider: Provider
    schedule: Schedule


def configured(settings: Settings, intake: Intake) -> list[Reconciled]:
    """Every source whose provider can be asked; raises `ConfigurationError`."""
    found = []
    for each in settings.sources:
        if each.reconcile:
            said = _Said(each.name, {name: value.get_secret_value() for name, value in each.reconcile.items()})
            found.append(Reconciled(each.name, _provider(said, each.parser, intake), said.schedule()))
    return found


class _Said:
    """What the variables of one source say: `""` for the one that is `HOOKLINE_<SOURCE>_RECONCILE` itself."""

    def __init__(self, source: str, said: Mapping[str, str]) -> None:
        self._variable = f"HOOKLINE_{source.upper()}_RECONCILE"
        self._said = said

    def variable(self, name: str = "") -> str:
        return f"{self._variable}_{name}" if name else self._variable

    def get(self, name: str) -> str | None:
        return self._said.get(name, "").strip() or None

    def wrong(self, name: str, told: str) -> ConfigurationError:
        return ConfigurationError(f"{self.variable(name)}{told}")

    def secret(self, name: str) -> str | None:
        """What is to be sent in a header, of which nothing is told if it cannot be."""
        found = self.get(name)
        if found is not None and not (found.isascii() and found.isprintable() and " " not in found):
            raise self.wrong(name, " has characters that no token has")
        return found

    def url(self, default: str) -> str:
        found = self.get("URL") or default
        split = urlsplit(found)
        if not split.hostname or split.username or (split.scheme != "https" and split.hostname not in HERE):
            raise self.wrong("URL", " is the https address of the provider's API, without a name and password")
        return found

    def schedule(self) -> Schedule:
        try:
            return Schedule(self.get("SCHEDULE") or EVERY, input={}, jitter=JITTER)
        except ConfigurationError as error:
            raise self.wrong("SCHEDULE", f": {error}") from None

    def none_of(self, *names: str) -> None:
        """Return if none of these is said, which mean nothing here."""
        for name in names:
            if self.get(name):
                raise self.wrong(name, " means nothing here: leave it out")


def _provider(said: _Said, parser: str, intake: Intake) -> Provider:
    told = {"github": github.HOOK_TOLD, "stripe": stripe.ENDPOINT_TOLD}.get(parser)
    if told is None:
        raise said.wrong("", f": nobody can be asked about a source of parser {parser!r}, only of github and stripe")
    lists = tuple(dict.fromkeys(each.strip() for each in (said.get("") or "").split(",")))
    pattern = github.HOOK if parser == "github" else stripe.ENDPOINT
    if wrong := [each for each in lists if not pattern.fullmatch(each)]:
        raise said.wrong("", f" is {told}, or several, separated by commas, not {wrong[0][:80]!r}")
    if parser == "github":
        return GitHub(said.url(github.URL), lists, _credentials(said, lists))
    said.none_of("APP_ID", "APP_KEY_FILE")
    token = said.secret("TOKEN")
    if token is None:
        raise said.wrong("TOKEN", " is needed: a restricted key that may read Events and Webhook Endpoints")
    return Stripe(said.url(stripe.URL), lists, token, intake)


def _credentials(said: _Said, lists: tuple[str, ...]) -> Credentials:
    token, id_, key = said.secret("TOKEN"), said.get("APP_ID"), said.get("APP_KEY_FILE")
    if id_ and key and not token:
        return GitHubApp(id_, read_key(said.variable("APP_KEY_FILE"), Path(key)))
    if "app" in lists:
        raise said.wrong("APP_ID", f" and {said.variable('APP_KEY_FILE')} are needed for an App's own webhook")
    if not token or id_ or key:
        names = f"{said.variable('APP_ID')} with {said.variable('APP_KEY_FILE')}"
        raise said.wrong("TOKEN", f" or {names} is needed, and not both")
    return Token(token)
