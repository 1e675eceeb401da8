"""A diagram: what a job may do, as nodes and edges, and as Mermaid."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import Literal

from msgspec import Struct

Kind = Literal["start", "step", "choice", "end"]

_SHAPES = {"start": ("([", "])"), "step": ("[", "]"), "choice": ("{", "}"), "end": ("([", "])")}


class Node(Struct, frozen=True):
    """Something that a run may come to, by its name."""

    name: str
    kind: Kind = "step"


class Edge(Struct, frozen=True):
    """What may follow what, and on which condition."""

    source: str
    target: str
    label: str = ""


class Diagram(Struct, frozen=True):
    """The nodes and edges, in an order that does not change."""

    nodes: Sequence[Node]
    edges: Sequence[Edge]

    def mermaid(self) -> str:
        """As a Mermaid flowchart.

        Example:
            >>> print(Diagram([Node("build"), Node("ship")], [Edge("build", "ship", "success")]).mermaid())
            flowchart TD
                n0["build"]
                n1["ship"]
                n0 -->|success| n1
        """
        ids = {node.name: f"n{number}" for number, node in enumerate(self.nodes)}
        lines = [f"    {ids[node.name]}{_shaped(node)}" for node in self.nodes]
        for edge in self.edges:
            arrow = f"-->|{_quoted(edge.label)}|" if edge.label else "-->"
            lines.append(f"    {ids[edge.source]} {arrow} {ids[edge.target]}")
        return "\n".join(["flowchart TD", *lines])


def of_runs(journals: Iterable[Sequence[str]]) -> Diagram:
    """What a coroutine does, from the keys in the journals of its runs: each call once, and which followed which."""
    nodes: dict[str, None] = {}
    edges: dict[tuple[str, str], None] = {}
    for keys in journals:
        names = [_without_numbers(key) for key in keys]
        nodes.update(dict.fromkeys(names))
        edges.update(dict.fromkeys((a, b) for a, b in pairwise(names) if a != b))
    return Diagram([Node(name) for name in sorted(nodes)], [Edge(*edge) for edge in sorted(edges)])


def _without_numbers(key: str) -> str:
    """`key` as it is the same for each item of a map, and each repetition of a call."""
    parts = [part.partition("#")[0] for part in key.split("/")]
    return "/".join("*" if part.isdecimal() else part for part in parts)


def _shaped(node: Node) -> str:
    before, after = _SHAPES[node.kind]
    return f'{before}"{_quoted(node.name)}"{after}'


def _quoted(text: str) -> str:
    """`text` as Mermaid reads it within quotes: nothing in it ends them, or is markup."""
    return "".join(c if c.isalnum() or c in " _-.,:/*=" else f"#{ord(c)};" for c in text)
