"""Patterns at rest: how a wait for events is stored, so that an index finds it and any replica can judge it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from uuid import UUID

import msgspec

from hookline import codec
from hookline.codec import check_open
from hookline.events import Event, Pattern
from hookline.store.waits import ANY, NewWait

_WILD = frozenset("*?[")


def stored(run: UUID, key: str, pattern: Pattern) -> list[NewWait]:
    """The rows of a wait for events that fit `pattern`: one for each type."""
    told = msgspec.json.encode(
        {"types": list(pattern.types), "filters": {k: list(v) for k, v in pattern.filters.items()}}
    )
    return [NewWait(run, key, type_, _anchor(pattern), told) for type_ in types(pattern)]


def types(pattern: Pattern) -> list[str]:
    """The types by which an index finds what `pattern` picks."""
    return sorted({ANY if "*" in each else each for each in pattern.types})


def _anchor(pattern: Pattern) -> str:
    """One `field=value` that every event that fits has; the longest, which few others will have."""
    filters = {name: tuple(globs) for name, globs in pattern.filters.items() if "." not in name}
    exact = [f"{name}={one[0]}" for name, one in filters.items() if len(one) == 1 and not _WILD & set(one[0])]
    return max(exact, key=len, default="")


def events(envelopes: bytes, body: bytes) -> list[Event]:
    """The events of a delivery that were stored as `envelopes`; those without data of their own have its body.

    Raises:
        Unsealable: they could not be opened.
    """
    check_open(body)
    return [
        Event(each["type"], key=each["key"], data=each["data"], fields=each["fields"])
        if "data" in each
        else Event.of_json(each["type"], body, key=each["key"], fields=each["fields"])
        for each in codec.decode(envelopes)
    ]


def about(happened: Iterable[Event]) -> tuple[Sequence[str], Sequence[str]]:
    """The types and the anchors by which waits for these events are found."""
    found, anchors = {ANY}, {""}
    for event in happened:
        words = event.type.split(".")
        found |= {".".join(words[:end]) for end in range(1, len(words) + 1)}
        data = event.glance
        told = data.items() if isinstance(data, Mapping) else ()
        scalars = {name: value for name, value in told if isinstance(value, str | int | float)}
        anchors |= {f"{name}={value}" for name, value in {**scalars, **event.fields}.items()}
    return sorted(found), sorted(anchors)


def fitting(happened: Sequence[Event], pattern: bytes) -> list[int]:
    """Which of these events, by their index, fit a `pattern` at rest, as far as it could be stored."""
    told = codec.decode(pattern)
    judge = Pattern(told["types"], told["filters"])
    return [index for index, event in enumerate(happened) if judge.matches(event)]


def recorded(event: Event, delivery: UUID, index: int) -> bytes:
    """`event` as the journal keeps it: whole, with where it came from."""
    envelope = {"type": event.type, "key": event.key, "fields": dict(event.fields)}
    return msgspec.json.encode({**envelope, "delivery": delivery, "index": index, "data": msgspec.Raw(event.raw)})


def source(output: bytes) -> tuple[UUID, int]:
    """Where a recorded event came from: its delivery, and which of its events it was."""
    told = codec.decode(output)
    return UUID(told["delivery"]), told["index"]
