"""Raised: what each call of a job raised, so that a run which is tried again does again the calls that failed it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


class Raised:
    """Of the errors that calls raised, those that a job has caught, too."""

    def __init__(self) -> None:
        self._errors: list[tuple[Exception, str]] = []

    def note(self, error: Exception, key: str) -> None:
        """The call `key` raised `error`."""
        self._errors.append((error, key))

    def keys(self, error: BaseException | None) -> list[str]:
        """The calls that `error`, or what it was raised from, came out of; several if it tells of several."""
        several: Mapping[Any, Exception] = getattr(error, "errors", None) or {}
        found = [key for each in several.values() for key in self.keys(each)]
        while error is not None and not found:
            found = [key for raised, key in self._errors if raised is error]
            error = error.__cause__ or error.__context__
        return found
