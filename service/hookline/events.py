"""The words that parsers and the service share: an event, a trigger, and the pattern that picks events."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from fnmatch import fnmatchcase
from typing import Any, Final

import msgspec

from hookline import codec
from hookline.peek import Items, Peek, glance, whole

_UNREAD: Final = object()
_OBJECTS, _LISTS = (dict, Peek), (list, Items)

NEXT_EVENT = "next/event"
"""The mailbox of a run for events about what it is about; no signal of anybody's has such a name."""


class Event:
    """Something that happened elsewhere, as a parser read it from a delivery.

    Args:
        type: what happened, in dotted words: `github.push`, `github.issues.opened`.
        key: which thing of the sender's it is about, such as `octo/site`; empty if the sender does not say.
        data: what the sender said of it, as JSON builtins.
        fields: the few values of `data` that filters and scope templates need, read without decoding the rest.

    Example:
        >>> Event("github.push", key="octo/site", data={"after": "9fceb02"}).data["after"]
        '9fceb02'
    """

    __slots__ = ("_data", "_envelope", "_glance", "_raw", "fields", "key", "type")

    def __init__(
        self,
        type: str,  # noqa: A002 - the field's own name
        *,
        key: str = "",
        data: Any = None,
        fields: Mapping[str, Any] | None = None,
    ) -> None:
        self.type = type
        self.key = key
        self.fields: Mapping[str, Any] = fields or {}
        self._data = data
        self._raw: bytes | None = None
        self._glance: Any = None
        self._envelope: bytes | None = None

    @classmethod
    def of_json(
        cls,
        type: str,  # noqa: A002 - the field's own name
        raw: bytes | Peek,
        *,
        key: str = "",
        fields: Mapping[str, Any] | None = None,
    ) -> Event:
        """An event whose data is the JSON text `raw`, decoded when it is first looked at."""
        event = cls(type, key=key, data=_UNREAD, fields=fields)
        if isinstance(raw, Peek):
            event._glance, event._raw = raw, bytes(raw.raw)
        else:
            event._raw = raw
        return event

    @property
    def data(self) -> Any:
        """What the sender said, as JSON builtins."""
        if self._data is _UNREAD and self._raw is not None:
            self._data = codec.decode(self._raw)
        return self._data

    @property
    def glance(self) -> Any:
        """`data`, of which only that is decoded which is looked at: a `Peek`, unless it has been decoded already."""
        if self._data is not _UNREAD or self._raw is None:
            return self._data
        if self._glance is None:
            self._glance = glance(self._raw)
        return self._glance

    @property
    def raw(self) -> bytes:
        """`data` as JSON text."""
        if self._raw is None:
            self._raw = codec.encode(self._data)
        return self._raw

    def envelope(self) -> bytes:
        """All but the data, as JSON: what a run keeps beside its input."""
        if self._envelope is None:
            self._envelope = msgspec.json.encode({"type": self.type, "key": self.key, "fields": self.fields})
        return self._envelope

    def mail(self) -> bytes:
        """The whole of it, as JSON: what a run that is open for it is sent."""
        return msgspec.json.encode({"event": msgspec.Raw(self.envelope()), "data": msgspec.Raw(self.raw)})

    @classmethod
    def of_envelope(cls, envelope: bytes | str, raw: bytes) -> Event:
        """The event that `envelope` and its data `raw` were made from."""
        return cls.of_json(**codec.decode(envelope), raw=raw)

    def lookup(self, path: str) -> Any:
        """The value at a dotted `path`: one of `fields`, else looked up in `data`.

        Raises:
            LookupError: there is none.
        """
        if path in self.fields:
            return self.fields[path]
        return whole(lookup(self.glance, path))

    def __repr__(self) -> str:
        return f"Event({self.type!r}, key={self.key!r})"


def lookup(data: Any, path: str) -> Any:
    """The value at a dotted `path` of mappings, such as `pull_request.number`; raises `LookupError`.

    Through a list it leads to all of its items that have it: `pull_request.labels.name` is the labels' names.
    """
    value = data
    names = path.split(".")
    for at, name in enumerate(names):
        if isinstance(value, _LISTS):
            return _through(value, names[at:])
        value = value.get(name, _UNREAD) if isinstance(value, Mapping) else _UNREAD
        if value is _UNREAD:
            raise LookupError(f"no field {path!r}")
    return value


def _through(items: Iterable[Any], names: list[str]) -> list[Any]:
    """What is at the path of `names` in those of `items` that have it; lists at its end and on the way are as one."""
    found = [items]
    for name in names:
        found = [one for each in found for one in _at(each, name)]
    return [whole(one) for each in found for one in (each if isinstance(each, _LISTS) else (each,))]


def _at(value: Any, name: str) -> Iterable[Any]:
    if isinstance(value, _OBJECTS):
        return (value[name],) if name in value else ()
    if isinstance(value, Items) and (found := value.at(name)) is not None:
        return found
    return [one for each in value for one in _at(each, name)] if isinstance(value, _LISTS) else ()


@dataclass(frozen=True, slots=True)
class Trigger:
    """A request to start one run of a named job.

    Args:
        job: the job's name.
        input: what the job is handed, as JSON builtins, a dataclass or a pydantic model.
        scope: the key that serialises runs of the job; `None` leaves it to the job.
        priority: higher runs are claimed first, -100 to 100.
        delay: how long the run waits before it is due; a number is in seconds.
        idempotency_key: at most one run of the job is ever created for it.
        tags: what people find the run by, besides those that its job gives it.
    """

    job: str
    input: Any = None
    scope: str | None = None
    priority: int = 0
    delay: timedelta | float = 0
    idempotency_key: str | None = None
    tags: Iterable[str] = ()


@dataclass(frozen=True, slots=True)
class Identity:
    """Which delivery this is, by the sender's own words.

    Args:
        key: the sender's id of the delivery; the same one again is a duplicate.
        type: the event type, for people who look at deliveries.
    """

    key: str
    type: str


@dataclass(frozen=True, slots=True)
class Pong:
    """What a parser answers to a sender that only asks whether anybody is there.

    Args:
        answer: what the sender wants to read in return, as JSON builtins; `None` if it does not care.
    """

    answer: Mapping[str, Any] | None = None


Predicate = Callable[[Event], bool]


@dataclass(frozen=True, slots=True)
class Pattern:
    """Picks events by their type and, if need be, by what is in them.

    Args:
        types: event types; `*` stands for any text, and a type picks its sub-types: `github.issues` also picks
            `github.issues.opened`.
        filters: by the name of a field, the globs of which one must match the field's text.
        when: a last word, for what globs cannot say.

    Example:
        >>> Pattern(["github.push"]).matches(Event("github.push"))
        True
        >>> print(Pattern(["github.push"], {"repository": ["octo/*", "mona/site"]}))
        github.push, repository octo/* or mona/site
    """

    types: Iterable[str]
    filters: Mapping[str, Iterable[str]] = field(default_factory=dict)
    when: Predicate | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "types", tuple(self.types))
        object.__setattr__(self, "filters", {name: tuple(globs) for name, globs in self.filters.items()})

    def __str__(self) -> str:
        said = [f"{name} {' or '.join(globs)}" for name, globs in self.filters.items()]
        if hasattr(self.when, "why_not"):
            said.append(str(self.when))
        elif self.when is not None:
            said.append(f"{_name(self.when)} says so")
        return ", ".join(filter(None, [" or ".join(self.types), *said]))

    def matches(self, event: Event) -> bool:
        """Whether this pattern picks `event`."""
        return self.is_about(event) and self.why_not(event) is None

    def is_about(self, event: Event) -> bool:
        """Whether `event` is of one of the types."""
        return any(is_or_under(event.type, each) for each in self.types)

    def why_not(self, event: Event) -> str | None:
        """What of an event of the right type does not fit, for people; `None` if all of it does."""
        for name, globs in self.filters.items():
            found = _texts(event, name)
            if not any(fnmatchcase(text, glob) for text in found for glob in globs):
                told = " or ".join(repr(text) for text in found[:3]) or "not there"
                return f"{name} is {told}, not {' or '.join(globs) or 'anything'}"[:300]
        why: Callable[[Event], str] | None = getattr(self.when, "why_not", None)
        if why is not None:
            return why(event)[:300] or None
        return None if self.when is None or self.when(event) else f"{_name(self.when)} says no"


def any_of(*patterns: Pattern) -> tuple[Pattern, ...]:
    """Events that one of `patterns` picks: `on=any_of(github.push(), gitlab.push())`.

    Raises:
        TypeError: one of them is no pattern.
    """
    for each in patterns:
        if not isinstance(each, Pattern):
            raise TypeError(f"any_of takes patterns, such as github.push(), not {each!r}")
    return patterns


def is_or_under(type_: str, picked: str) -> bool:
    """Whether events of `type_` are picked by `picked`: the same, or a sub-type of it, or what its `*` allow."""
    return type_ == picked or type_.startswith(picked + ".") or ("*" in picked and fnmatchcase(type_, picked))


def _name(when: Predicate) -> str:
    """What people know a function by; one that was given no name is the pattern's `when`."""
    name = getattr(when, "__name__", "")
    return name if name.isidentifier() else "when"


def _texts(event: Event, name: str) -> list[str]:
    """What is at `name`, as texts: several where the path leads through a list."""
    try:
        found = event.lookup(name)
    except LookupError:
        return []
    return [str(each) for each in found] if isinstance(found, list) else [str(found)]
