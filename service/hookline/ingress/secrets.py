"""Secrets: what proves a source's senders, where they are told, and new ones."""

from __future__ import annotations

import base64
import shlex
import subprocess
from pathlib import Path
from secrets import token_bytes
from typing import Any

from hookline.errors import ConfigurationError
from hookline.ingress.schemes import Scheme
from hookline.settings import variable
from hookline.source_settings import SourceSettings, Told, variable_of

PATIENCE = 30.0
"""Seconds that a program has to tell the secrets."""


def active(given: SourceSettings) -> tuple[bytes, ...]:
    """All secrets of a source that are active at once, each once; one line of a file or of a program's output is one.

    Raises:
        ConfigurationError: the file cannot be read, the program fails, or there is none.
    """
    found = [secret.get_secret_value().encode() for secret in given.secrets]
    named = variable_of(given.name, "secrets")
    if given.secrets_file is not None:
        found += _lines(_read(f"{named}_FILE", given.secrets_file))
    if given.secrets_command is not None:
        found += _lines(_printed(f"{named}_COMMAND", given.secrets_command))
    if given.secrets_told is not None:
        found += _told(given.name, given.secrets_told)
    if not found and not given.unsigned:
        raise ConfigurationError(f"source {given.name} has no secret: what it was to be read from is empty")
    return tuple(dict.fromkeys(found))


def _read(variable: str, path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise ConfigurationError(f"{variable}: cannot read {path}: {error.strerror}") from None


def _printed(variable: str, command: str) -> bytes:
    """What the program prints; neither its arguments nor what it says besides are told: they may hold a secret."""
    program = command.split(maxsplit=1)[0] if command.split() else ""
    try:
        done = subprocess.run(shlex.split(command), capture_output=True, timeout=PATIENCE, check=False)
    except (OSError, ValueError) as error:
        raise ConfigurationError(f"{variable}: cannot run {program[:80]!r}: {type(error).__name__}") from None
    except subprocess.TimeoutExpired:
        raise ConfigurationError(f"{variable}: {program[:80]!r} took more than {PATIENCE:g} s") from None
    if done.returncode:
        raise ConfigurationError(f"{variable}: {program[:80]!r} ended with {done.returncode}")
    return done.stdout


def _told(source: str, told: Told) -> list[bytes]:
    """What code tells, by an environment variable or by a function; what a function raises may hold a secret."""
    given: str | list[Any] | None
    if isinstance(told, str):
        if (given := variable(told)) is None:
            raise ConfigurationError(f"source {source}: the environment variable {told} is not set")
    else:
        try:
            returned = told()
            given = returned if isinstance(returned, str) else list(returned)
        except Exception as error:  # noqa: BLE001 - whatever it is, nobody can prove anything
            raise ConfigurationError(
                f"source {source}: the function that tells its secrets failed: {type(error).__name__}"
            ) from None
    found = [each.strip() for each in given.split(",")] if isinstance(given, str) else given
    if not all(isinstance(each, str) and each for each in found):
        raise ConfigurationError(f"source {source}: its secrets are texts, and none of them is empty")
    return [each.encode() for each in found]


def generated(scheme: Scheme) -> str:
    """A new secret that `scheme` can prove something with."""
    raw = token_bytes(32)
    for secret in (raw.hex(), f"whsec_{base64.b64encode(raw).decode()}"):
        try:
            scheme.check(secret.encode())
        except ValueError:
            continue
        return secret
    raise ConfigurationError("no secret can be made up for this parser: give one that its sender knows")


def _lines(text: bytes) -> list[bytes]:
    return [line.strip() for line in text.splitlines() if line.strip()]
