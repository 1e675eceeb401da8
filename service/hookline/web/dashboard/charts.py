"""Charts: series of numbers as the shapes of an SVG."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct

HEIGHT, WIDTH = 100.0, 600.0
"""Of the drawing, in its own units; the page stretches it."""


class Series(Struct, frozen=True):
    """A row of numbers, one for each span of time; `None` where there is nothing to tell.

    Args:
        tone: what it means, which gives it its colour and its pattern.
    """

    name: str
    tone: str
    values: Sequence[float | None]


class Rect(Struct, frozen=True):
    """A piece of a bar."""

    x: float
    y: float
    width: float
    height: float
    tone: str


class Line(Struct, frozen=True):
    """A line, as the path that draws it, with its ends where nothing is known; `dots` are values with no neighbour."""

    path: str
    tone: str
    name: str


class Chart(Struct, frozen=True):
    """What is drawn.

    Args:
        top: the number at the upper edge.
        columns: where each span begins.
        step: how wide a span is.
    """

    top: float
    rects: Sequence[Rect]
    lines: Sequence[Line]
    columns: Sequence[float]
    step: float

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to see."""
        return not self.rects and not any(line.path for line in self.lines)


def nice(most: float) -> float:
    """The least round number that is not below `most`.

    Example:
        >>> nice(0), nice(3), nice(17), nice(180), nice(0.34)
        (1.0, 5.0, 20.0, 200.0, 0.5)
    """
    if most <= 0:
        return 1.0
    size = 1.0
    while size < most:
        size *= 10
    while size / 10 >= most:
        size /= 10
    return float(next(size * part / 10 for part in (1, 2, 5, 10) if size * part / 10 >= most))


def stacked(series: Sequence[Series]) -> Chart:
    """Bars, the first series at the bottom."""
    count = len(series[0].values)
    totals = [sum(each.values[number] or 0.0 for each in series) for number in range(count)]
    top, step = nice(max(totals, default=0.0)), WIDTH / max(count, 1)
    rects = []
    for number in range(count):
        level = HEIGHT
        for each in series:
            if value := each.values[number] or 0.0:
                height = max(value / top * HEIGHT, 0.8)
                level -= height
                rects.append(
                    Rect(
                        _round(number * step + step * 0.12),
                        _round(level),
                        _round(step * 0.76),
                        _round(height),
                        each.tone,
                    )
                )
    return Chart(top, rects, (), [_round(number * step) for number in range(count)], _round(step))


def lines(series: Sequence[Series]) -> Chart:
    """Lines, broken where nothing is known."""
    count = len(series[0].values)
    top = nice(max((value for each in series for value in each.values if value is not None), default=0.0))
    step = WIDTH / max(count, 1)
    drawn = [Line(_path(each.values, top, step), each.tone, each.name) for each in series]
    return Chart(top, (), drawn, [_round(number * step) for number in range(count)], _round(step))


def _path(values: Sequence[float | None], top: float, step: float) -> str:
    told, is_open = [], False
    for number, value in enumerate(values):
        if value is None:
            is_open = False
            continue
        x, y = _round(number * step + step / 2), _round(HEIGHT - min(value / top, 1.0) * HEIGHT)
        alone = not is_open and (number + 1 == len(values) or values[number + 1] is None)
        told.append(
            f"M{_round(x - step / 3)} {y}H{_round(x + step / 3)}" if alone else f"{'L' if is_open else 'M'}{x} {y}"
        )
        is_open = True
    return "".join(told)


def _round(number: float) -> float:
    return round(number, 2)
