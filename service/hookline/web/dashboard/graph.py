"""The graph of a job: where each of its nodes goes, and how its edges run between them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from itertools import pairwise

from msgspec import Struct

from hookline.jobs.diagram import Diagram, Edge

BOX, GAP, GAP_Y, MARGIN = 36.0, 44.0, 20.0, 12.0
LETTER, LONGEST, NARROWEST = 7.3, 26, 56.0
MOST = 300
"""Nodes that are drawn."""

_WORST = ("failed", "paused", "running", "started", "intent", "retrying", "waiting", "blocked", "queued", "cancelled",
          "succeeded", "skipped", "abandoned")  # fmt: skip


class Box(Struct, frozen=True):
    """A node: where it is, what is written in it, and the state of it in a run, if that came to it."""

    name: str
    label: str
    kind: str
    x: float
    y: float
    width: float
    state: str = ""


class Arrow(Struct, frozen=True):
    """An edge, as the path that draws it, with its label and where that goes."""

    path: str
    label: str
    x: float
    y: float


class Drawing(Struct, frozen=True):
    """A graph that is laid out."""

    width: float
    height: float
    boxes: Sequence[Box]
    arrows: Sequence[Arrow]


def drawing(diagram: Diagram, states: Mapping[str, str] | None = None) -> Drawing | None:
    """`diagram` from left to right; `None` if there is nothing to draw, or too much.

    Args:
        states: of the nodes that a run came to, by their names.
    """
    names = [node.name for node in diagram.nodes]
    if not 0 < len(names) <= MOST:
        return None
    edges = [edge for edge in diagram.edges if edge.source in set(names) and edge.target in set(names)]
    back = _back(names, edges)
    forward = [(e.source, e.target) for e in edges if (e.source, e.target) not in back and e.source != e.target]
    ranks = layers(names, forward)
    rows, chains = _rows(names, forward, ranks)
    labels = {name: name if len(name) <= LONGEST else f"{name[: LONGEST - 1]}…" for name in names}
    widths = {name: max(len(label) * LETTER + 40, NARROWEST) for name, label in labels.items()}
    gap = GAP + 6 * max((len(edge.label) for edge in edges), default=0)
    places = _places(rows, widths, gap)
    kinds = {node.name: node.kind for node in diagram.nodes}
    boxes = [
        Box(
            name,
            labels[name],
            kinds[name],
            places[name][0],
            places[name][1],
            widths[name],
            (states or {}).get(name, ""),
        )
        for name in names
    ]
    bottom = max(y for _, y in places.values()) + BOX
    arrows, floor = [], bottom
    for edge in edges:
        if (edge.source, edge.target) in back or edge.source == edge.target:
            floor += 18
            arrows.append(_around(edge, places, widths, floor))
        else:
            arrows.append(_through(edge, chains[edge.source, edge.target], places, widths))
    width = max(box.x + box.width for box in boxes) + MARGIN + (14 if len(names) == 1 else 0)
    return Drawing(round(width, 1), round(floor + MARGIN, 1), boxes, arrows)


def layers(names: Sequence[str], edges: Sequence[tuple[str, str]]) -> dict[str, int]:
    """How far each node is from the beginning, along the longest way there; `edges` have no cycle.

    Example:
        >>> layers("abc", [("a", "b"), ("b", "c"), ("a", "c")])
        {'a': 0, 'b': 1, 'c': 2}
    """
    before: defaultdict[str, list[str]] = defaultdict(list)
    for source, target in edges:
        before[target].append(source)
    ranks: dict[str, int] = {}
    for name in names:
        pending = [name]
        while pending:
            missing = [each for each in before[pending[-1]] if each not in ranks]
            if missing:
                pending.append(missing[0])
            else:
                at = pending.pop()
                ranks[at] = max((ranks[each] + 1 for each in before[at]), default=0)
    return {name: ranks[name] for name in names}


def worst(states: Sequence[str]) -> str:
    """What is told of a node that several calls of a run belong to."""
    return next((each for each in _WORST if each in states), states[0] if states else "")


def _back(names: Sequence[str], edges: Sequence[Edge]) -> set[tuple[str, str]]:
    """The edges that lead back to where one has come from."""
    after: defaultdict[str, list[str]] = defaultdict(list)
    for edge in edges:
        after[edge.source].append(edge.target)
    found: set[tuple[str, str]] = set()
    done: set[str] = set()
    entered = {edge.target for edge in edges}
    for root in sorted(names, key=lambda name: name in entered):
        if root in done:
            continue
        way, on_way = [(root, iter(after[root]))], {root}
        while way:
            name, rest = way[-1]
            follower = next(rest, None)
            if follower is None:
                done.add(name)
                on_way.discard(name)
                way.pop()
            elif follower in on_way:
                found.add((name, follower))
            elif follower not in done:
                way.append((follower, iter(after[follower])))
                on_way.add(follower)
    return found


def _rows(
    names: Sequence[str], edges: Sequence[tuple[str, str]], ranks: Mapping[str, int]
) -> tuple[list[list[str]], dict[tuple[str, str], list[str]]]:
    """The nodes of each layer in their order, with bends for the edges that pass it; and the bends of each edge."""
    rows: list[list[str]] = [[] for _ in range(max(ranks.values()) + 1)]
    for name in names:
        rows[ranks[name]].append(name)
    chains: dict[tuple[str, str], list[str]] = {}
    beside: defaultdict[str, list[str]] = defaultdict(list)
    for source, target in edges:
        bends = [f"\0{source}\0{target}\0{rank}" for rank in range(ranks[source] + 1, ranks[target])]
        chains[source, target] = bends
        for bend, rank in zip(bends, range(ranks[source] + 1, ranks[target]), strict=True):
            rows[rank].append(bend)
        way = [source, *bends, target]
        for one, other in pairwise(way):
            beside[one].append(other)
            beside[other].append(one)
    order = {name: float(number) for row in rows for number, name in enumerate(row)}
    for sweep in range(6):
        for row in rows if sweep % 2 == 0 else reversed(rows):
            row.sort(
                key=lambda name: (
                    sum(order[each] for each in beside[name]) / len(beside[name]) if beside[name] else order[name]
                )
            )
            order |= {name: number - (len(row) - 1) / 2 for number, name in enumerate(row)}
    return rows, chains


def _places(rows: Sequence[Sequence[str]], widths: Mapping[str, float], gap: float) -> dict[str, tuple[float, float]]:
    tallest = max(len(row) for row in rows)
    middle = (tallest * BOX + (tallest - 1) * GAP_Y) / 2
    places, x = {}, MARGIN
    for row in rows:
        broad = max((widths.get(name, 0.0) for name in row), default=0.0)
        y = MARGIN + middle - (len(row) * BOX + (len(row) - 1) * GAP_Y) / 2
        for name in row:
            places[name] = (round(x + (broad - widths.get(name, broad)) / 2, 1), round(y, 1))
            y += BOX + GAP_Y
        x += broad + gap
    return places


def _through(
    edge: Edge, bends: Sequence[str], places: Mapping[str, tuple[float, float]], widths: Mapping[str, float]
) -> Arrow:
    x, y = places[edge.source]
    points = [(x + widths[edge.source], y + BOX / 2)]
    points += [(places[bend][0], places[bend][1] + BOX / 2) for bend in bends]
    end = (places[edge.target][0] - 7, places[edge.target][1] + BOX / 2)
    path = f"M{points[0][0]:.1f} {points[0][1]:.1f}"
    for (a, b), (c, d) in zip(points, [*points[1:], end], strict=True):
        half = (c - a) / 2
        path += f"C{a + half:.1f} {b:.1f} {c - half:.1f} {d:.1f} {c:.1f} {d:.1f}"
    (a, b), (c, d) = points[0], [*points[1:], end][0]
    return Arrow(path, edge.label, round((a + c) / 2, 1), round((b + d) / 2 + 3.5, 1))


def _around(edge: Edge, places: Mapping[str, tuple[float, float]], widths: Mapping[str, float], floor: float) -> Arrow:
    x = places[edge.source][0] + widths[edge.source] * 0.6
    y = places[edge.source][1] + BOX
    to = places[edge.target][0] + widths[edge.target] * 0.4
    up = places[edge.target][1] + BOX + 7
    path = f"M{x:.1f} {y:.1f}C{x:.1f} {floor + 8:.1f} {to:.1f} {floor + 8:.1f} {to:.1f} {up:.1f}"
    return Arrow(path, edge.label, round((x + to) / 2, 1), round(floor, 1))
