"""Settings: what a deployment decides, from the command line, the environment or a `.env` file."""

from __future__ import annotations

import difflib
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

from dotenv import dotenv_values
from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError, field_validator

from hookline.errors import ConfigurationError
from hookline.redaction import MOST_PATTERNS, check
from hookline.sealing import key
from hookline.source_settings import (
    OF_SOURCE,
    PREFIX,
    Network,
    SourceSettings,
    from_variables,
    read_networks,
    split_secrets,
)

HIDDEN, UNSET = "********", "(not set)"


class Settings(BaseModel):
    """Every setting of hookline; each is read from `HOOKLINE_` and its name in capitals."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    database_url: SecretStr | None = Field(None, description="Postgres; without it an embedded one is used.")
    reader_url: SecretStr | None = Field(None, description="A read replica, for the API's read-only questions.")
    app: str | None = Field(None, description="The application, as package.module:app; else all installed ones.")
    host: str = Field("127.0.0.1", description="The address to listen on.")
    port: int = Field(8000, ge=0, le=65535, description="The port to listen on.")
    api_tokens: tuple[SecretStr, ...] = Field((), description="Bearer tokens for the API, separated by commas.")
    session_life: float = Field(43_200, ge=60, le=30 * 86_400, description="Seconds that a browser stays logged in.")
    oidc_issuer: str | None = Field(None, description="The OpenID provider at which people log in.")
    oidc_client_id: str | None = Field(None, description="What the provider calls this service.")
    oidc_client_secret: SecretStr | None = Field(None, description="What proves that to the provider.")
    oidc_client_secret_file: Path | None = Field(None, description="A file with that secret.")
    oidc_name: str | None = Field(None, description="What people call the provider; else its host.")
    oidc_scopes: str = Field("openid email profile", description="What is asked of the provider.")
    oidc_viewers: tuple[str, ...] = Field((), description="Who may look: CLAIM=VALUE, separated by commas.")
    oidc_operators: tuple[str, ...] = Field((), description="Who may steer, told in the same way.")
    oidc_admins: tuple[str, ...] = Field((), description="Who may do everything, told in the same way.")
    encryption_keys: tuple[SecretStr, ...] = Field((), description="The first encrypts what rests, all decrypt it.")
    encrypt_payloads: bool = Field(False, description="Let payloads rest encrypted, by the first of those keys.")
    payload_role: Literal["viewer", "operator", "admin"] = Field(
        "operator", description="The least role that is shown payloads that rest encrypted."
    )
    redact: tuple[str, ...] = Field((), description="Fields of payloads that nobody is shown, as **.token,user.email.")
    trusted_proxies: tuple[Network, ...] = Field((), description="Networks whose X-Forwarded-For is believed.")
    data: Path | None = Field(None, description="Where the embedded Postgres keeps its data.")
    slots: int = Field(300, ge=1, le=10_000, description="Runs that one replica has in hand at once.")
    lease: float = Field(30.0, ge=1, le=3600, description="Seconds that a worker may be silent before it is dead.")
    max_losses: int = Field(5, ge=1, le=1000, description="Times that a run may lose its worker before it is paused.")
    drain: float = Field(25.0, ge=0, le=3600, description="Seconds that runs in hand have to end after SIGTERM.")
    poll: float = Field(1.0, ge=0.01, le=60, description="Seconds between two looks for due runs while idle.")
    max_body: int = Field(26_214_400, ge=1024, description="Bytes that a request's body may have.")
    body_timeout: float = Field(10.0, gt=0, description="Seconds that a body may take to arrive.")
    max_in_flight: int = Field(1000, ge=1, description="Requests with a body that are taken in at once.")
    max_in_flight_bytes: int = Field(268_435_456, ge=1024, description="Bytes of all their bodies together.")
    max_streams: int = Field(2000, ge=1, description="Streams of events that one process sends at once.")
    events_kept: int = Field(86_400, ge=60, description="Seconds that a stream can be resumed after.")
    log_lines: int = Field(1000, ge=0, le=100_000, description="Lines that are kept of what each run says.")
    logs_kept: int = Field(2_592_000, ge=60, description="Seconds that what runs say is kept.")
    intake_timeout: float = Field(5.0, gt=0, description="Seconds that Postgres has to commit a delivery.")
    log_level: Literal["debug", "info", "warning", "error"] = Field("info", description="The least that is logged.")
    log_format: Literal["json", "console"] = Field("json", description="JSON for machines, console for people.")
    statsd_host: str | None = Field(None, description="Where metrics go; without it nowhere.")
    statsd_port: int = Field(8125, ge=1, le=65535, description="The UDP port that metrics go to.")
    statsd_prefix: str = Field("hookline", description="What every metric's name begins with.")
    statsd_tags: bool = Field(False, description="Send tags in DogStatsD's form, not as parts of the name.")
    public_url: str | None = Field(None, description="Where outsiders reach the service; else its host and port.")
    definitions_commands: bool = Field(False, description="Let definitions run programs with `command`.")
    always_replay: bool = Field(False, description="Give a run back after each call, to prove that it replays.")
    url: str | None = Field(None, description="The service that the command line talks to; else the one here.")
    token: SecretStr | None = Field(None, description="The API token that the command line sends.")
    sources: tuple[SourceSettings, ...] = Field((), exclude=True)

    @property
    def here(self) -> str:
        """Where this machine reaches a service of these settings."""
        host = self.host if self.host not in ("0.0.0.0", "::") else "127.0.0.1"  # noqa: S104 - nothing listens
        return f"http://{f'[{host}]' if ':' in host else host}:{self.port}"

    @property
    def home(self) -> str:
        """Where outsiders reach it."""
        return (self.public_url or f"http://{self.host}:{self.port}").rstrip("/")

    @property
    def asked(self) -> str:
        """The service that the command line talks to."""
        return (self.url or self.here).rstrip("/")

    @field_validator("api_tokens", mode="before")
    @classmethod
    def _separated(cls, given: object) -> object:
        return _split(given)

    @field_validator("oidc_viewers", "oidc_operators", "oidc_admins", mode="before")
    @classmethod
    def _rules(cls, given: object) -> object:
        return tuple(each.strip() for each in given.split(",")) if isinstance(given, str) else given

    @field_validator("encryption_keys", mode="before")
    @classmethod
    def _keys(cls, given: object) -> object:
        keys = _split(given)
        if isinstance(keys, tuple):
            try:
                [key(each) for each in keys if isinstance(each, str)]
            except ConfigurationError as error:
                raise ValueError(error) from None
        return keys

    @field_validator("redact", mode="before")
    @classmethod
    def _patterns(cls, given: object) -> object:
        patterns = split_secrets(given) if isinstance(given, str) else given
        if isinstance(patterns, tuple):
            if len(patterns) > MOST_PATTERNS:
                raise ValueError(f"has up to {MOST_PATTERNS} patterns")
            [check(each) for each in patterns if isinstance(each, str)]
        return patterns

    @field_validator("trusted_proxies", mode="before")
    @classmethod
    def _networks(cls, given: object) -> object:
        return read_networks(given) if isinstance(given, str) else given


NAMES = {f"{PREFIX}{name.upper()}": name for name in Settings.model_fields if name != "sources"}


def load(**overrides: Any) -> Settings:
    """The settings as they are now; an override that is `None` says nothing.

    Raises:
        ConfigurationError: one of them is unknown or unusable; one line that names it.
    """
    settings, problems = examined(**overrides)
    if problems:
        raise ConfigurationError(problems[0])
    return settings


def examined(**overrides: Any) -> tuple[Settings, list[str]]:
    """The settings without those that are unknown or unusable, and what is wrong with each of these, a line each."""
    given = _given()
    unknown = [name for name in given if name not in NAMES and not OF_SOURCE.fullmatch(name)]
    problems = [_unknown(name, given) for name in unknown]
    values: dict[str, Any] = {NAMES[name]: value for name, (value, _) in given.items() if name in NAMES}
    values |= {name: value for name, value in overrides.items() if value is not None}
    try:
        settings = Settings.model_validate(values)
    except ValidationError as error:
        wrong = _wrong(error)
        problems += wrong.values()
        settings = Settings.model_validate({name: value for name, value in values.items() if name not in wrong})
    if settings.encrypt_payloads and not settings.encryption_keys:
        problems.append(
            "HOOKLINE_ENCRYPT_PAYLOADS needs HOOKLINE_ENCRYPTION_KEYS: `openssl rand -base64 32` makes a key"
        )
    sources, unusable = _sources(given)
    return settings.model_copy(update={"sources": sources}), problems + unusable


def _wrong(error: ValidationError) -> dict[str, str]:
    """By its name, what is wrong with each setting."""
    found = {}
    for each in error.errors(include_url=False):
        name = str(each["loc"][0])
        shown = "" if _is_secret(name) else f", not {str(each['input'])[:80]!r}"
        found[name] = f"{PREFIX}{name.upper()}: {each['msg'].removeprefix('Value error, ')}{shown}"
    return found


@dataclass(frozen=True, slots=True)
class Row:
    """One setting for people: its value, hidden if it is secret, and where it came from."""

    name: str
    value: str
    origin: str
    description: str


def listing(settings: Settings) -> list[Row]:
    """Every setting in `settings`, and then those of each source."""
    given = _given()
    rows = []
    for variable, name in NAMES.items():
        value, field = getattr(settings, name), Settings.model_fields[name]
        origin = "default"
        if variable in given:
            origin = given[variable][1]
        elif value != field.default:
            origin = "command line"
        rows.append(Row(variable, _shown(name, value), origin, field.description or ""))
    for variable in sorted(name for name in given if name not in NAMES):
        value, origin = given[variable]
        shown = HIDDEN if variable.endswith(("_SECRETS", "_SECRETS_COMMAND", "_RECONCILE_TOKEN")) else value
        rows.append(Row(variable, shown, origin, "Of a source: see the guide to settings."))
    return rows


def _given() -> dict[str, tuple[str, str]]:
    """By name, each variable that is set, with where."""
    file = {name: value for name, value in dotenv_values(".env").items() if value is not None}
    found = {name: (value, ".env") for name, value in file.items() if name.startswith(PREFIX)}
    return found | {name: (value, "environment") for name, value in os.environ.items() if name.startswith(PREFIX)}


def _sources(given: dict[str, tuple[str, str]]) -> tuple[tuple[SourceSettings, ...], list[str]]:
    """The sources that can be read, and what is wrong with the others."""
    told: dict[str, dict[str, str]] = {}
    for name, (value, _) in given.items():
        if name not in NAMES and (match := OF_SOURCE.fullmatch(name)):
            told.setdefault(match[1], {})[match[2]] = value
    found, problems = [], []
    for name, each in sorted(told.items()):
        try:
            found.append(from_variables(name, each))
        except ConfigurationError as error:
            problems.append(str(error))
    return tuple(found), problems


def _split(given: object) -> object:
    try:
        return split_secrets(given) if isinstance(given, str) else given
    except ConfigurationError as error:
        raise ValueError(error) from None


def _unknown(name: str, given: dict[str, tuple[str, str]]) -> str:
    plausible = [*NAMES, *(each for each in (*given, f"{name}S") if OF_SOURCE.fullmatch(each))]
    words = {each.removeprefix(PREFIX): each for each in plausible}
    near = difflib.get_close_matches(name.removeprefix(PREFIX), words, n=1, cutoff=0.75)
    hint = f"; did you mean {words[near[0]]}?" if near else "; `hookline settings` lists them"
    return f"{name} is not a setting{hint}"


def _is_secret(name: str) -> bool:
    return name in ("api_tokens", "encryption_keys", "oidc_client_secret", "token", "database_url", "reader_url")


def _shown(name: str, value: object) -> str:
    if value is None or value == ():
        return UNSET
    if isinstance(value, SecretStr):
        return _without_password(value.get_secret_value()) if name.endswith("_url") else HIDDEN
    if isinstance(value, tuple):
        return f"{HIDDEN} ({len(value)})" if _is_secret(name) else ", ".join(map(str, value))
    return str(value)


def variable(name: str) -> str | None:
    """The environment variable `name`, or what the `.env` file says of it."""
    return os.environ.get(name) or dotenv_values(".env").get(name)


def _without_password(url: str) -> str:
    try:
        password = urlsplit(url).password
    except ValueError:
        return HIDDEN
    return url.replace(f":{password}@", f":{HIDDEN}@", 1) if password else url
