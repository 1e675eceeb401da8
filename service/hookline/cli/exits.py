"""Exits: how a command ends, told to a script by a number and to a person in one line."""

from __future__ import annotations

import sys
from enum import IntEnum

from hookline.client import Refused
from hookline.errors import ConfigurationError, HooklineError, Unavailable


class Exit(IntEnum):
    """The same for every command; 130 is Ctrl-C, as everywhere."""

    DONE = 0
    NO = 1
    """What was asked about is not well, not there, or did not come about."""
    USAGE = 2
    """The command, its input or the settings cannot be used as they are."""
    UNREACHABLE = 3
    """The service or Postgres does not answer: the same may succeed later."""
    REFUSED = 4
    """The service says no: who asks may not, or it cannot be done to what is there."""


INTERRUPTED = 130
NOT_THERE = (404, 408, 410)
AWAY = (0, 502, 503, 504)


def of(error: HooklineError) -> Exit:
    """How a command ends that raised `error`."""
    if isinstance(error, Refused):
        return Exit.NO if error.status in NOT_THERE else Exit.UNREACHABLE if error.status in AWAY else Exit.REFUSED
    if isinstance(error, Unavailable):
        return Exit.UNREACHABLE
    return Exit.USAGE if isinstance(error, ConfigurationError) else Exit.NO


def say(text: object) -> None:
    """Tell a person, beside what goes to a script."""
    print(f"hookline: {text}", file=sys.stderr, flush=True)  # noqa: T201 - this is the command line
