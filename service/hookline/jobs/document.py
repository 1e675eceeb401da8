"""A document: YAML or JSON as builtins, with the line on which each part of it stands."""

from __future__ import annotations

from typing import Any

import yaml

from hookline.errors import InvalidInput

LARGEST = 262_144
DEEPEST = 30

Path = tuple[str | int, ...]

_SCALARS = ("null", "bool", "int", "float", "str")


class Document:
    """What `source` says.

    Attributes:
        content: JSON builtins.

    Raises:
        InvalidInput: it is neither YAML nor JSON, too large or too deep, has a key twice, or an alias.
    """

    def __init__(self, source: str) -> None:
        self._lines: dict[Path, int] = {}
        self._seen: set[int] = set()
        if len(source) > LARGEST:
            raise InvalidInput(f"a definition may have {LARGEST} characters")
        try:
            root = yaml.compose(source, Loader=yaml.SafeLoader)
        except yaml.YAMLError as error:
            mark = getattr(error, "problem_mark", None)
            line = 1 if mark is None else mark.line + 1
            raise InvalidInput(f"line {line}: {getattr(error, 'problem', None) or 'this is no YAML'}") from None
        except (RecursionError, ValueError) as error:
            raise InvalidInput(f"this is no YAML that can be read: {type(error).__name__}") from None
        self.content = None if root is None else self._read(root, ())

    def line(self, path: Path) -> int:
        """The line of what is at `path`, or of the innermost part of it that there is."""
        while path not in self._lines and path:
            path = path[:-1]
        return self._lines.get(path, 1)

    def _read(self, node: yaml.Node, path: Path) -> Any:
        line = self._lines[path] = node.start_mark.line + 1
        if id(node) in self._seen:
            raise InvalidInput(f"line {line}: anchors and aliases are not taken")
        self._seen.add(id(node))
        if len(path) > DEEPEST:
            raise InvalidInput(f"line {line}: this is nested too deeply")
        if isinstance(node, yaml.MappingNode):
            return self._read_mapping(node, path)
        if isinstance(node, yaml.SequenceNode):
            return [self._read(each, (*path, number)) for number, each in enumerate(node.value)]
        return _scalar(node, line)

    def _read_mapping(self, node: yaml.MappingNode, path: Path) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for key, value in node.value:
            line = key.start_mark.line + 1
            if not isinstance(key, yaml.ScalarNode):
                raise InvalidInput(f"line {line}: a key is a text")
            if key.value in found:
                raise InvalidInput(f"line {line}: {key.value[:50]!r} is here twice")
            found[key.value] = self._read(value, (*path, key.value))
            self._lines[*path, key.value] = line
        return found


def _scalar(node: yaml.Node, line: int) -> Any:
    """The value of a scalar; a date stays the text that it is."""
    kind = node.tag.rpartition(":")[2]
    if kind not in (*_SCALARS, "timestamp"):
        raise InvalidInput(f"line {line}: there are no values of the type {node.tag[:50]!r}")
    if kind in ("str", "timestamp"):
        return node.value
    try:
        value = yaml.SafeLoader("").construct_object(node)
    except (yaml.YAMLError, ValueError, OverflowError):
        raise InvalidInput(f"line {line}: {node.value[:50]!r} cannot be read") from None
    if isinstance(value, float) and (value != value or value in (float("inf"), float("-inf"))):
        raise InvalidInput(f"line {line}: numbers are finite")
    return value
