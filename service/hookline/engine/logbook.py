"""The logbook: what one execution says, handed to the ledger to be kept."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Literal, Protocol
from uuid import UUID

import msgspec

from hookline import codec, telemetry
from hookline.jobs.current import CURRENT
from hookline.store.claims import Claim
from hookline.store.logs import LEVELS, Line

LONGEST_EVENT, LONGEST_FIELD, LONGEST = 2000, 2000, 8000
"""Characters of what a line says and of each text in its fields, and bytes of all of it as JSON; the rest is cut."""


class Taker(Protocol):
    """Who keeps what is said."""

    def hear(self, logbook: Logbook) -> None:
        """There is something to take; told in whichever thread."""


class Logbook:
    """Holds what an execution has said and nobody has taken yet.

    What the job says is known by its words and by how often they were said, so that it is kept once, however often the
    job is called again. What a step says is said anew by each try.

    Args:
        clock: the database's time, in seconds since the epoch.
        most: lines that are kept; the rest is counted.
    """

    def __init__(self, claim: Claim, taker: Taker, clock: Callable[[], float], most: int) -> None:
        self._claim = claim
        self._taker = taker
        self._clock = clock
        self._most = most
        self._number = 0
        self._said: dict[bytes, int] = {}
        self._lines: list[Line] = []
        self._dropped = 0
        self._closed = False

    @property
    def run(self) -> UUID:
        """Whose it is."""
        return self._claim.id

    def close(self) -> None:
        """The execution is over: what a thread of it still says is not kept."""
        self._closed = True

    def take(self) -> tuple[list[Line], int]:
        """What was said since the last time, and how many lines were dropped."""
        lines, self._lines = self._lines, []
        dropped, self._dropped = self._dropped, 0
        return lines, dropped

    def pass_over(self, level: str, event: str, fields: Mapping[str, Any]) -> None:
        """The job says on a replay what it has said before."""
        self._again(_words(level, _written(event, fields)))

    def say(self, level: str, event: str, fields: Mapping[str, Any]) -> None:
        """Keep a line; in whichever thread."""
        if self._closed:
            return
        if self._number >= self._most:
            self._dropped += 1
            self._taker.hear(self)
            return
        self._number += 1
        current, data = CURRENT.get(), _written(event, fields)
        step = telemetry.id_bound("step")
        kind: Literal["log", "call"] = "call" if event == telemetry.CALL else "log"
        self._lines.append(
            Line(
                self._claim.id,
                self._key(level, data) if step is None else self._claim.number << 32 | self._number,
                self._claim.number,
                self._number,
                self._clock(),
                LEVELS.get(level, LEVELS["info"]),
                kind,
                None if step is None else str(step),
                None if current is None else current.attempt,
                data,
            )
        )
        self._taker.hear(self)

    def _key(self, level: str, data: bytes) -> int:
        """Of a line of the job itself: below 0, and the same whenever it is said for the same time."""
        words = _words(level, data)
        told = words + self._again(words).to_bytes(4)
        return -1 - (int.from_bytes(codec.digest(told)) >> 1)

    def _again(self, words: bytes) -> int:
        """How often `words` have been said, with this time."""
        times = self._said[words] = self._said.get(words, 0) + 1
        return times


def _words(level: str, data: bytes) -> bytes:
    return codec.digest(level.encode() + data)


def _written(event: object, fields: Mapping[str, Any]) -> bytes:
    """A line as JSON, without secrets and not too long, whatever somebody has put into it."""
    told = str(event)[:LONGEST_EVENT]
    try:
        data = msgspec.json.encode({"event": told, "fields": telemetry.hidden(fields, LONGEST_FIELD)}, enc_hook=repr)
    except Exception as error:  # noqa: BLE001 - what cannot be written down stops no job
        why = {"fields_left_out": f"they cannot be written as JSON: {type(error).__name__}"}
        return msgspec.json.encode({"event": ascii(told), "fields": why})
    if len(data) > LONGEST:
        why = {"fields_left_out": f"they have {len(data)} bytes: {', '.join(map(str, list(fields)[:20]))}"[:1000]}
        return msgspec.json.encode({"event": told, "fields": why})
    return data
