"""Secrets: what proves a source's senders, from its settings, from a file, or from a program that knows it."""

from __future__ import annotations

import shlex
import subprocess
from pathlib import Path

from hookline.errors import ConfigurationError
from hookline.settings import SourceSettings

PATIENCE = 30.0
"""Seconds that a program has to tell the secrets."""


def active(given: SourceSettings) -> tuple[bytes, ...]:
    """All secrets of a source that are active at once, each once; one line of a file or of a program's output is one.

    Raises:
        ConfigurationError: the file cannot be read, the program fails, or there is none.
    """
    found = [secret.get_secret_value().encode() for secret in given.secrets]
    variable = f"HOOKLINE_{given.name.upper()}_SECRETS"
    if given.secrets_file is not None:
        found += _lines(_read(f"{variable}_FILE", given.secrets_file))
    if given.secrets_command is not None:
        found += _lines(_told(f"{variable}_COMMAND", given.secrets_command))
    if not found and not given.unsigned:
        raise ConfigurationError(f"source {given.name} has no secret: what it was to be read from is empty")
    return tuple(dict.fromkeys(found))


def _read(variable: str, path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise ConfigurationError(f"{variable}: cannot read {path}: {error.strerror}") from None


def _told(variable: str, command: str) -> bytes:
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


def _lines(text: bytes) -> list[bytes]:
    return [line.strip() for line in text.splitlines() if line.strip()]
