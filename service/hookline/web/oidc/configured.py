"""What the settings say of a provider, checked."""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import ip_address
from urllib.parse import urlsplit

from msgspec import Struct

from hookline.errors import ConfigurationError
from hookline.settings import Settings
from hookline.web.access import Role
from hookline.web.oidc.person import Rule

CALLBACK = "/login/oidc/callback"


class Configured(Struct, frozen=True):
    """A provider, and who gets in by its word.

    Args:
        secret: of the client; `None` of a public one.
        name: what people call the provider.
        callback: where it sends people back to.
    """

    issuer: str
    client: str
    secret: str | None
    name: str
    scopes: str
    callback: str
    rules: tuple[Rule, ...]

    def __repr__(self) -> str:
        return f"Configured({self.issuer})"


def configured(settings: Settings) -> Configured | None:
    """The provider of the settings; `None` if there is none.

    Raises:
        ConfigurationError: something of it is missing, or makes no sense.
    """
    if settings.oidc_issuer is None:
        if settings.oidc_client_id is not None:
            raise ConfigurationError("HOOKLINE_OIDC_CLIENT_ID is set, and HOOKLINE_OIDC_ISSUER is not")
        return None
    issuer = settings.oidc_issuer
    if not is_private(issuer):
        raise ConfigurationError("HOOKLINE_OIDC_ISSUER is an https address, without a query, as the provider says it")
    if settings.oidc_client_id is None:
        raise ConfigurationError("HOOKLINE_OIDC_CLIENT_ID is not set: the provider gives one to each client")
    rules = tuple(_rules(settings))
    if not rules:
        raise ConfigurationError(
            "HOOKLINE_OIDC_ISSUER lets nobody in: say who is what, as in HOOKLINE_OIDC_ADMINS=email=ada@example.org"
        )
    if not is_private(settings.home):
        raise ConfigurationError(
            "HOOKLINE_PUBLIC_URL has to be the https address of this service, to which the provider sends people back"
        )
    return Configured(
        issuer=issuer,
        client=settings.oidc_client_id,
        secret=_secret(settings),
        name=settings.oidc_name or urlsplit(issuer).hostname or issuer,
        scopes=" ".join(dict.fromkeys(["openid", *settings.oidc_scopes.split()])),
        callback=settings.home + CALLBACK,
        rules=rules,
    )


def is_private(url: str) -> bool:
    """Whether what goes to `url` is heard by nobody on the way: it is https, or stays on this machine."""
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError:
        return False
    if not host or parts.username is not None or parts.query or parts.fragment:
        return False
    return parts.scheme == "https" or (parts.scheme == "http" and is_loopback(host))


def is_loopback(host: str) -> bool:
    """Whether `host` is this machine."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _rules(settings: Settings) -> Iterator[Rule]:
    told: tuple[tuple[Role, tuple[str, ...]], ...] = (
        ("viewer", settings.oidc_viewers), ("operator", settings.oidc_operators), ("admin", settings.oidc_admins),
    )  # fmt: skip
    for role, written in told:
        for each in written:
            claim, _, value = (part.strip() for part in each.partition("="))
            if not claim or not value:
                raise ConfigurationError(f"HOOKLINE_OIDC_{role.upper()}S: {each!r} is not CLAIM=VALUE, as groups=staff")
            yield Rule(claim, value.lower() if claim in ("email", "domain") else value, role)


def _secret(settings: Settings) -> str | None:
    given, file = settings.oidc_client_secret, settings.oidc_client_secret_file
    if given is not None and file is not None:
        raise ConfigurationError("HOOKLINE_OIDC_CLIENT_SECRET and HOOKLINE_OIDC_CLIENT_SECRET_FILE: keep one of them")
    if file is None:
        return None if given is None else given.get_secret_value()
    try:
        secret = file.read_text().strip()
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is no text"
        raise ConfigurationError(f"HOOKLINE_OIDC_CLIENT_SECRET_FILE: cannot read {file}: {why}") from None
    if not secret:
        raise ConfigurationError(f"HOOKLINE_OIDC_CLIENT_SECRET_FILE: {file} is empty")
    return secret
