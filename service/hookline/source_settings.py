"""What is decided of a source, in the settings, in code, or over the API, and how each option of it is read."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path
from typing import Any, Literal, TypedDict

from pydantic import SecretStr

from hookline.errors import ConfigurationError

PREFIX = "HOOKLINE_"
LONGEST_WAIT = 60
SMALLEST_BODY, LARGEST_BODY = 1024, 2**30
MOST_IN_FLIGHT = 100_000
MOST_NETWORKS = 1000

NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")
VARIABLE = re.compile(r"[A-Z_][A-Z0-9_]*")
_RATE = re.compile(r"([1-9][0-9]{0,8})/([smh])")
_SPANS = {"s": 1, "m": 60, "h": 3600}

Origin = Literal["settings", "code", "api"]
Network = IPv4Network | IPv6Network
Told = str | Callable[[], str | Iterable[str]]
"""Where the secrets of a source in code are: in an environment variable, by its name, or what a function returns."""


@dataclass(frozen=True, slots=True)
class Rate:
    """So many deliveries in a span of seconds."""

    count: int
    span: int

    def __str__(self) -> str:
        return f"{self.count}/{next(unit for unit, span in _SPANS.items() if span == self.span)}"


@dataclass(frozen=True, slots=True)
class SourceLimits:
    """What a source may take, on each replica; what is not said is not limited, but by what holds for all.

    Args:
        max_body: bytes that a body may have, in place of what holds for all.
        max_in_flight: deliveries that are taken in at once.
        rate: authentic deliveries that are taken in over time.
        allow: the networks from which they may come; none for everywhere.
    """

    max_body: int | None = None
    max_in_flight: int | None = None
    rate: Rate | None = None
    allow: tuple[Network, ...] = ()


@dataclass(frozen=True, slots=True)
class SourceSettings:
    """What is decided of one source: its name, its parser's, its secrets or where they are, and what it may take.

    Args:
        wait: seconds that its sender may wait for the outcome of the runs that it starts.
        reconcile: what `HOOKLINE_<SOURCE>_RECONCILE_<NAME>` says, by that name; by `""` what `..._RECONCILE` does.
    """

    name: str
    parser: str
    secrets: tuple[SecretStr, ...] = ()
    unsigned: bool = False
    wait: float = 0.0
    secrets_file: Path | None = None
    secrets_command: str | None = field(default=None, repr=False)
    secrets_told: Told | None = None
    limits: SourceLimits = SourceLimits()
    origin: Origin = "settings"
    reconcile: Mapping[str, SecretStr] = field(default_factory=dict)

    @property
    def secrets_from(self) -> tuple[str, ...]:
        """Where its secrets are, for whoever has to change them; never what they are."""
        variable = variable_of(self.name, "secrets")
        found = [variable] if self.secrets else []
        found += [f"{variable}_FILE ({self.secrets_file})"] if self.secrets_file else []
        found += [f"{variable}_COMMAND"] if self.secrets_command else []
        if self.secrets_told is not None:
            found.append(self.secrets_told if isinstance(self.secrets_told, str) else "a function of the application")
        return tuple(found)


class SourceOptions(TypedDict, total=False):
    """How a source is declared in code.

    Args:
        parser: whose webhooks they are; the source's name unless said otherwise.
        secrets: the name of an environment variable with the secrets, separated by commas, or a function that
            returns them, called once at the start. Several are active at once.
        unsigned: whether to take deliveries that nobody signed; a source without secrets must say so.
        wait: seconds that its sender may wait for the outcome of the runs that it starts.
        max_body: bytes that a body may have.
        max_in_flight: deliveries that a replica takes in at once.
        rate: authentic deliveries that a replica takes in, as in `100/s`, `6000/m` or `1000/h`.
        allow: the networks from which they may come, as in `192.30.252.0/22`; everywhere unless said.
    """

    parser: str
    secrets: Told
    unsigned: bool
    wait: float
    max_body: int
    max_in_flight: int
    rate: str
    allow: str | Iterable[str]


def variable_of(source: str, option: str) -> str:
    """The environment variable that sets `option` of `source`."""
    return f"{PREFIX}{source.upper()}_{option.upper()}"


def split_secrets(text: str) -> tuple[str, ...]:
    """The secrets in a comma-separated `text`; raises `ConfigurationError` for an empty one."""
    secrets = tuple(part.strip() for part in text.split(","))
    if not all(secrets):
        raise ConfigurationError("a list of secrets has an empty one; separate them by single commas")
    return secrets


def read_networks(given: str | Iterable[str]) -> tuple[Network, ...]:
    """The networks in `given`, separated by commas if it is a text; raises `ValueError` that says what is wrong."""
    written = [each.strip() for each in (given.split(",") if isinstance(given, str) else given)]
    if len(written) > MOST_NETWORKS:
        raise ValueError(f"has at most {MOST_NETWORKS} networks, not {len(written)}")
    try:
        return tuple(ip_network(each) for each in written)
    except ValueError as error:
        raise ValueError(f"is a list of networks such as 192.30.252.0/22: {str(error)[:120]}") from None


def _wait(given: str | float) -> float:
    try:
        wait = float(given)
    except ValueError:
        wait = math.nan
    if not 0 <= wait <= LONGEST_WAIT:
        raise ValueError(f"is from 0 to {LONGEST_WAIT} seconds, not {str(given)[:20]!r}")
    return wait


def _whole(least: int, most: int, unit: str) -> Callable[[str | int], int]:
    def read(given: str | int) -> int:
        text = str(given)
        if not text.isdecimal() or len(text) > 12 or not least <= int(text) <= most:
            raise ValueError(f"is from {least} to {most} {unit}, not {text[:20]!r}")
        return int(text)

    return read


def _rate(given: str) -> Rate:
    if not (match := _RATE.fullmatch(str(given))):
        raise ValueError(f"is like 100/s, 6000/m or 1000/h, not {str(given)[:20]!r}")
    return Rate(int(match[1]), _SPANS[match[2]])


_READ: Mapping[str, Callable[[Any], Any]] = {
    "wait": _wait,
    "max_body": _whole(SMALLEST_BODY, LARGEST_BODY, "bytes"),
    "max_in_flight": _whole(1, MOST_IN_FLIGHT, "deliveries"),
    "rate": _rate,
    "allow": read_networks,
}
"""How each option is read, from the text of a variable or from what code and the API give."""

_RECONCILE = tuple(f"RECONCILE{each}" for each in ("", "_TOKEN", "_APP_ID", "_APP_KEY_FILE", "_URL", "_SCHEDULE"))

_SECRET = ("SECRETS", "SECRETS_FILE", "SECRETS_COMMAND")

_OPTIONS = (*_SECRET, "PARSER", "UNSIGNED", *(each.upper() for each in _READ), *_RECONCILE)

OF_SOURCE = re.compile(rf"{PREFIX}([A-Z0-9][A-Z0-9_]*)_({'|'.join(_OPTIONS)})")
"""The variables of sources; the middle of each is the source's name."""


def read_options(given: Mapping[str, object], called: Callable[[str], str]) -> tuple[float, SourceLimits]:
    """How long senders may wait, and the limits, of what is `given`; an option that is `None` is not.

    Args:
        called: what whoever gave an option calls it.

    Raises:
        ConfigurationError: one does not fit; one line that names it.
    """
    found = {}
    for option, read in _READ.items():
        if (value := given.get(option)) is not None:
            try:
                found[option] = read(value)
            except ValueError as error:
                raise ConfigurationError(f"{called(option)} {error}") from None
    wait = found.pop("wait", 0.0)
    return wait, SourceLimits(**found)


def from_variables(name: str, told: Mapping[str, str]) -> SourceSettings:
    """The source that the settings tell of, `told` by the last part of each variable; raises `ConfigurationError`."""
    variable = f"{PREFIX}{name}"
    unsigned = told.get("UNSIGNED", "false").lower()
    if unsigned not in ("true", "false", "1", "0"):
        raise ConfigurationError(f"{variable}_UNSIGNED is true or false, not {unsigned[:20]!r}")
    is_unsigned = unsigned in ("true", "1")
    try:
        secrets = split_secrets(told["SECRETS"]) if "SECRETS" in told else ()
    except ConfigurationError as error:
        raise ConfigurationError(f"{variable}_SECRETS: {error}") from None
    file, command = told.get("SECRETS_FILE"), told.get("SECRETS_COMMAND")
    is_secret = bool(secrets or file or command)
    if not is_secret and not is_unsigned:
        raise ConfigurationError(f"source {name.lower()} has no secret: set {variable}_SECRETS")
    if is_secret and is_unsigned:
        raise ConfigurationError(f"source {name.lower()} has secrets and says {variable}_UNSIGNED: keep one of them")
    given = {option.lower(): value for option, value in told.items()}
    wait, limits = read_options(given, lambda option: variable_of(name, option))
    return SourceSettings(
        name.lower(), told.get("PARSER", name.lower()), tuple(map(SecretStr, secrets)), is_unsigned, wait,
        Path(file) if file else None, command or None, limits=limits, reconcile=_reconcile(variable, told),
    )  # fmt: skip


def _reconcile(variable: str, told: Mapping[str, str]) -> dict[str, SecretStr]:
    found = {each[len("RECONCILE_") :]: SecretStr(told[each]) for each in _RECONCILE if each in told}
    if found and not told.get("RECONCILE"):
        raise ConfigurationError(f"{variable}_RECONCILE is not set, which says about what its provider is asked")
    return found


def from_code(name: str, options: SourceOptions) -> SourceSettings:
    """The source that code declares; raises `ConfigurationError`."""
    if not NAME.fullmatch(name):
        raise ConfigurationError(f"a source's name is up to 64 of a-z, 0-9, _ and -, not {name[:80]!r}")
    secrets, unsigned = options.get("secrets"), options.get("unsigned", False)
    if secrets is None and not unsigned:
        raise ConfigurationError(f"source {name} has no secret: say secrets=, the name of an environment variable")
    if secrets is not None and unsigned:
        raise ConfigurationError(f"source {name} has secrets and says unsigned: keep one of them")
    if isinstance(secrets, str) and not VARIABLE.fullmatch(secrets):
        raise ConfigurationError(
            f"source {name}: secrets= is the name of an environment variable, in capitals, or a function; "
            "a secret itself is not written into code"
        )
    wait, limits = read_options(options, lambda option: f"source {name}: {option}")
    return SourceSettings(
        name, options.get("parser", name), (), unsigned, wait, secrets_told=secrets, limits=limits, origin="code"
    )
