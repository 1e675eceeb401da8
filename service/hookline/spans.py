"""Spans: lengths of time, as people give them."""

from __future__ import annotations

from datetime import timedelta

Seconds = timedelta | float
"""A span of time; a number is in seconds."""


def seconds(span: Seconds) -> float:
    """`span` as a number of seconds."""
    return span.total_seconds() if isinstance(span, timedelta) else float(span)
