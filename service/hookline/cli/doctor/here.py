"""What the facts of this machine mean, each judged by itself."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from ipaddress import ip_address
from urllib.parse import urlsplit

from hookline.cli.doctor.facts import Here
from hookline.cli.doctor.findings import Found, many, size

SHORT_TOKEN = 16
GB = 2**30


def settings(here: Here) -> Found:
    """Settings that are unknown, unusable, contradict each other, or leave a door open."""
    told = here.settings
    for each in here.wrong:
        yield "problem", each, "correct it: a replica does not start with it; `hookline settings` lists all"
    if told.database_url and told.data:
        yield "warning", "HOOKLINE_DATA is not used: HOOKLINE_DATABASE_URL is set", "keep one of them"
    if told.reader_url and not told.database_url:
        yield "problem", "HOOKLINE_READER_URL is set without HOOKLINE_DATABASE_URL", "set both, or neither"
    if told.max_body > told.max_in_flight_bytes:
        yield (
            "problem",
            "HOOKLINE_MAX_BODY is more than HOOKLINE_MAX_IN_FLIGHT_BYTES: such a body never gets in",
            "lower the first or raise the second",
        )
    if told.statsd_tags and not told.statsd_host:
        yield "warning", "HOOKLINE_STATSD_TAGS is set without HOOKLINE_STATSD_HOST: no metrics leave", "set the host"
    if any(each.prefixlen == 0 for each in told.trusted_proxies):
        yield (
            "problem",
            "HOOKLINE_TRUSTED_PROXIES is everybody: any sender can choose its address",
            "name the networks of your proxies only",
        )
    if any(len(each.get_secret_value()) < SHORT_TOKEN for each in told.api_tokens):
        yield (
            "warning",
            f"a token in HOOKLINE_API_TOKENS has under {SHORT_TOKEN} characters, and can be guessed",
            "use a longer one: `openssl rand -hex 32` prints one",
        )
    if told.public_url and urlsplit(told.public_url).scheme != "https" and not _is_local(told.public_url):
        yield (
            "warning",
            "HOOKLINE_PUBLIC_URL is not https: tokens and callbacks travel in the clear",
            "serve it through a proxy that speaks TLS, and name that",
        )
    if not told.public_url and not _is_local(f"//{told.host}"):
        yield (
            "warning",
            f"HOOKLINE_PUBLIC_URL is not set: callbacks will point to {told.host}",
            "set it to where outsiders reach the service",
        )
    if not here.wrong:
        yield "ok", f"{len(told.model_fields_set)} are set, and known", ""
    if told.always_replay:
        yield (
            "warning",
            "HOOKLINE_ALWAYS_REPLAY is set: each call of a run is a claim of its own",
            "unset it where speed matters",
        )


def secret_files(here: Here) -> Found:
    """Files with secrets that are missing, or that others may read."""
    for each in here.files:
        if each.problem is not None:
            yield (
                "problem",
                f"{each.path}, {each.purpose}: {each.problem}",
                "make it readable for the user that runs hookline",
            )
        elif each.mode & 0o077:
            yield "warning", f"{each.path}, {each.purpose}, is open to others ({each.mode:o})", f"chmod 600 {each.path}"


def disk(here: Here) -> Found:
    """How much room the embedded Postgres has."""
    if here.disk is None:
        return
    free, total = here.disk
    what = f"{size(free)} of {size(total)} are free for the embedded Postgres in {here.data}"
    if free < GB / 4 or free < total / 50:
        yield "problem", what, "make room: without any, Postgres stops, and so does everything"
    elif free < GB or free < total / 10:
        yield "warning", what, "make room, or set HOOKLINE_DATA to a larger disk"
    else:
        yield "ok", what, ""


def declared_sources(here: Here) -> Found:
    """Sources in the settings or the code that cannot be used."""
    for name, problem in sorted(here.refused.items()):
        todo = f"correct HOOKLINE_{name.upper()}_..., or the code that declares it: a replica does not start with it"
        yield "problem", f"{name}: {problem}", todo


def application(here: Here) -> Found:
    """Whether the application loads."""
    if here.app is None:
        yield "ok", many(len(here.jobs), "job"), ""
    elif here.settings.app is None:
        yield (
            "warning",
            "no application is named, so its jobs were not looked at",
            "set HOOKLINE_APP=package.module:app",
        )
    else:
        yield "problem", here.app, "run this where the application and what it imports are installed"


def replica(ready: Mapping[str, str]) -> Found:
    """What a running replica says of itself."""
    from hookline.web.health import GOOD  # here alone: it would make the start of every command longer

    if ready.get("status") == "ready":
        yield "ok", "it is ready", ""
        if ready.get("schema") == "newer":
            yield "warning", "a newer version has migrated its database", "replace it by one of that version"
        return
    wrong = {name: told for name, told in ready.items() if told not in GOOD}
    for name, told in wrong.items():
        if name != "status" or len(wrong) == 1:
            yield "problem", f"{name}: {told}", "look at its log"


CHECKS: Mapping[str, Callable[[Here], Found]] = {
    "settings": settings, "files": secret_files, "disk": disk, "application": application,
    "sources": declared_sources,
}  # fmt: skip


def _is_local(url: str) -> bool:
    host = urlsplit(url).hostname or ""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
