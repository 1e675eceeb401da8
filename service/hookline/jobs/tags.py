"""Tags: short texts that people find runs by."""

from __future__ import annotations

from collections.abc import Iterable

from hookline.errors import InvalidInput

MOST, LONGEST = 20, 100
"""Tags that a run is given at once, and characters of each."""


def is_one(given: object) -> bool:
    """Whether `given` can be a tag."""
    return isinstance(given, str) and 0 < len(given) <= LONGEST and given.isprintable()


def checked(given: Iterable[str]) -> tuple[str, ...]:
    """The tags `given`, each once; raises `InvalidInput`."""
    found = tuple(dict.fromkeys(given))
    for each in found:
        if not is_one(each):
            raise InvalidInput(f"a tag is 1 to {LONGEST} printable characters, not {str(each)[:50]!r}")
    if len(found) > MOST:
        raise InvalidInput(f"a run is given {MOST} tags at once at most, not {len(found)}")
    return found
