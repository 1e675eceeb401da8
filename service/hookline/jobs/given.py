"""What a task is given: the run's input, the event, and what came of others, by the names of its parameters."""

from __future__ import annotations

import inspect
import string
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, get_type_hints

from hookline import codec
from hookline.codec import Typed, Undecodable
from hookline.errors import ConfigurationError, Fatal
from hookline.events import Event, lookup

ALWAYS = ("ctx", "input", "event", "results", "given")
"""What a parameter may be called in any task: its Context, the run's input, the event that started it, all results
by their names, and all of that together."""


def given(argument: Any, results: Mapping[str, Any]) -> dict[str, Any]:
    """What there is to be given: `argument` is what the job was called with."""
    event = argument if isinstance(argument, Event) else None
    return {
        **results,
        "results": dict(results),
        "event": event,
        "input": argument.data if event is not None else argument,
    }


def parameters(function: Callable[..., Any]) -> tuple[inspect.Parameter, ...]:
    """The parameters of `function` that are given by name; raises `ConfigurationError` if one cannot be."""
    try:
        found = list(inspect.signature(function).parameters.values())
    except (TypeError, ValueError) as error:
        raise ConfigurationError(f"{function!r} does not tell its parameters: {error}") from None
    if any(each.kind is each.POSITIONAL_ONLY for each in found):
        raise ConfigurationError(f"{function!r} has parameters without names")
    return tuple(each for each in found if each.kind in (each.POSITIONAL_OR_KEYWORD, each.KEYWORD_ONLY))


def check(what: str, function: Callable[..., Any], known: Collection[str]) -> None:
    """Return if `function` can be called with what is `known`; raises `ConfigurationError` that names the rest."""
    missing = [p.name for p in parameters(function) if p.default is p.empty and p.name not in (*ALWAYS, *known)]
    if missing:
        raise ConfigurationError(
            f"{what} has a parameter {missing[0]!r}, which is neither of {', '.join(ALWAYS)} nor upstream of it"
        )


@dataclass(frozen=True, slots=True)
class Needs:
    """What a function wants, by the names and types of its parameters.

    Attributes:
        types: by the name of each parameter, but `ctx`.
        optional: those that have a default.
        context: whether it wants a Context.
    """

    types: Mapping[str, Typed]
    optional: frozenset[str]
    context: bool

    @classmethod
    def of(cls, what: str, function: Callable[..., Any]) -> Needs:
        """Of a function, called `what` should something be wrong; raises `ConfigurationError`."""
        everything = parameters(function)
        wanted = [each for each in everything if each.name != "ctx"]
        try:
            hints = get_type_hints(function)
        except Exception as error:
            raise ConfigurationError(f"{what}: its types cannot be used: {error}") from error
        return cls(
            {each.name: Typed(hints.get(each.name, Any)) for each in wanted},
            frozenset(each.name for each in wanted if each.default is not each.empty),
            len(everything) > len(wanted),
        )

    def chosen(self, what: str, given: Mapping[str, Any]) -> dict[str, Any]:
        """Those of `given` that are wanted, as their types; raises `Fatal` that names what is missing or wrong."""
        found = {}
        for name, typed in self.types.items():
            if name in given:
                try:
                    found[name] = typed.decode(codec.encode(given[name]))
                except Undecodable as error:
                    raise Fatal(f"{what} needs {name}, which is wrong: {error}") from None
            elif name not in self.optional:
                there = ", ".join(sorted(given)) or "none"
                raise Fatal(f"{what} needs {name}, which is missing; there are {there}")
        return found


def chosen(names: Iterable[str], given: Mapping[str, Any]) -> dict[str, Any]:
    """Those of `given` that have one of these `names`."""
    return {name: given if name == "given" else given[name] for name in names if name == "given" or name in given}


def rendered(template: Any, given: Mapping[str, Any]) -> Any:
    """`template` with each `{dotted.path}` in its texts replaced by what is given there.

    A text that is nothing but one path becomes what is there, of whatever type.

    Raises:
        LookupError: there is nothing at a path.

    Example:
        >>> rendered(["git", "checkout", "{input.after}"], {"input": {"after": "9fceb02"}})
        ['git', 'checkout', '9fceb02']
    """
    if isinstance(template, str):
        pieces = list(string.Formatter().parse(template))
        if len(pieces) == 1 and not pieces[0][0] and pieces[0][1]:
            return _at(given, pieces[0][1])
        return "".join(text + ("" if path is None else _text(_at(given, path))) for text, path, _, _ in pieces)
    if isinstance(template, Mapping):
        return {name: rendered(each, given) for name, each in template.items()}
    if isinstance(template, list | tuple):
        return [rendered(each, given) for each in template]
    return template


def _at(given: Mapping[str, Any], path: str) -> Any:
    first, _, rest = path.partition(".")
    value = given.get(first)
    return value.lookup(rest) if isinstance(value, Event) and rest else lookup(given, path)


def _text(value: Any) -> str:
    return "" if value is None else str(value)
