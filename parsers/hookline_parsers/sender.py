"""The sender: what an application imports of one whose events differ by their names alone."""

from __future__ import annotations

from collections.abc import Callable
from functools import update_wrapper
from typing import Generic, ParamSpec, TypeVar

from hookline.events import Pattern

S = TypeVar("S")
P = ParamSpec("P")


class Sender(Generic[S, P]):
    """Called, it is a pattern of the sender's events.

    Args:
        parser: what reads its deliveries.
        event: what makes the pattern of its arguments.

    Example:
        >>> from hookline_parsers import stripe
        >>> stripe("invoice.paid", customer="cus_7").types
        ('stripe.invoice.paid',)
    """

    def __init__(self, parser: S, event: Callable[P, Pattern]) -> None:
        self.parser = parser
        self.event = event
        update_wrapper(self, event)

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> Pattern:
        return self.event(*args, **kwargs)
