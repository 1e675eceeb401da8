"""Words: times, spans, sizes and ids as people read them."""

from __future__ import annotations

from datetime import UTC, datetime
from itertools import pairwise
from typing import Any, Protocol
from urllib.parse import urlsplit


class Row(Protocol):
    """What is told of one thing, by the names of its columns."""

    def __getitem__(self, name: str, /) -> Any:
        """What is in that column."""


def exact(moment: datetime) -> str:
    """A moment to the millisecond, in UTC."""
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M:%S}.{moment.microsecond // 1000:03} UTC"


def ago(moment: datetime, now: datetime) -> str:
    """How far `moment` is from `now`, roughly.

    Example:
        >>> ago(datetime(2026, 1, 1, 12, tzinfo=UTC), datetime(2026, 1, 1, 12, 5, tzinfo=UTC))
        '5m ago'
    """
    seconds = (now - moment).total_seconds()
    if abs(seconds) < 1:
        return "now"
    told = span(abs(seconds), rough=True)
    return f"{told} ago" if seconds > 0 else f"in {told}"


def span(seconds: float, *, rough: bool = False) -> str:
    """A length of time in its two largest units, or, `rough`, in the largest.

    Example:
        >>> span(0.0421), span(3.21), span(75), span(75, rough=True), span(190_000)
        ('42 ms', '3.2 s', '1m 15s', '1m', '2d 4h')
    """
    if seconds < 0.9995 and not rough:
        return f"{seconds * 1000:.0f} ms" if seconds >= 0.001 or seconds <= 0 else "<1 ms"
    if seconds < 59.95:
        return f"{seconds:.0f}s" if rough else f"{seconds:.1f} s"
    units = (("d", 86_400), ("h", 3600), ("m", 60), ("s", 1))
    for (unit, length), (lower, smaller) in pairwise(units):
        if seconds >= length:
            whole, rest = divmod(int(seconds), length)
            more = rest // smaller
            return f"{whole}{unit}" if rough or not more else f"{whole}{unit} {more}{lower}"
    return "1m"


def size(bytes_: int) -> str:
    """A number of bytes.

    Example:
        >>> size(812), size(18_300), size(26_214_400)
        ('812 B', '17.9 KB', '25.0 MB')
    """
    if bytes_ < 1024:
        return f"{bytes_} B"
    return f"{bytes_ / 1024:.1f} KB" if bytes_ < 1024**2 else f"{bytes_ / 1024**2:.1f} MB"


def count(number: float) -> str:
    """A number, its thousands apart; a large one roughly.

    Example:
        >>> count(950), count(12_400), count(1_250_000)
        ('950', '12.4k', '1.2M')
    """
    if number < 10_000:
        return f"{number:,.0f}"
    return f"{number / 1000:.1f}k" if number < 1_000_000 else f"{number / 1_000_000:.1f}M"


def short(id_: object) -> str:
    """The end of an id, which tells one from another that came at the same time."""
    return str(id_)[-8:]


def web_address(text: object) -> str | None:
    """`text` if it is an address that a page may lead to, which begins with http or https; else `None`."""
    if not isinstance(text, str) or len(text) > 2000:
        return None
    try:
        parts = urlsplit(text)
    except ValueError:
        return None
    is_plain = text.isprintable() and text.lower().startswith(("http://", "https://"))
    return text if is_plain and parts.netloc else None
