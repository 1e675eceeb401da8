"""The inbox's own events: a delivery that could not be taken in, or that contradicts another, may start a job.

Example:
    @app.job(on=any_of(inbox.quarantined(), inbox.conflict()))
    async def alert(ctx: Context, event: Event) -> None:
        await ctx.step(tell_the_operator, event.data["delivery"], event.data["reason"])
"""

from __future__ import annotations

from collections.abc import Iterable

from hookline.events import Pattern

PREFIX = "hookline.delivery"

Names = str | Iterable[str] | None
"""A glob, or several, of which one must match."""


def quarantined(*, source: Names = None, type: Names = None, subject: Names = None) -> Pattern:  # noqa: A002 - its word
    """Deliveries that are kept, but start nothing until their parser or a binding is mended; each once.

    The event's data are `{"delivery", "source", "key", "type", "subject", "status", "reason", "conflict_of"}`.

    Args:
        source: that they came to.
        type: of event, as far as it is known.
        subject: what they are about, as far as it is known.
    """
    return _pattern("quarantined", source, type, subject)


def conflict(*, source: Names = None, type: Names = None, subject: Names = None) -> Pattern:  # noqa: A002 - its word
    """Deliveries under whose key another body came before; each once. Arguments and data as of `quarantined`."""
    return _pattern("conflict", source, type, subject)


def _pattern(status: str, source: Names, type_: Names, subject: Names) -> Pattern:
    filters = {"source": source, "type": type_, "subject": subject}
    return Pattern(
        [f"{PREFIX}.{status}"],
        {
            name: (globs,) if isinstance(globs, str) else tuple(globs)
            for name, globs in filters.items()
            if globs is not None
        },
    )
