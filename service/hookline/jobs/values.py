"""Values: what a job may know of the moment, of chance and of its own progress, the same on every replay."""

from __future__ import annotations

import random
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

from hookline import codec
from hookline.codec import Typed
from hookline.jobs.call import Note, Pending, Stream, Tag, fingerprint
from hookline.jobs.calls import Calls
from hookline.jobs.step import check_name
from hookline.jobs.tags import checked

MOST_STREAMED = 64 * 1024
"""Bytes that may be published at once, as JSON."""


class Values(Calls):
    """The part of a Context that records values."""

    __slots__ = ()

    def now(self) -> Pending[datetime]:
        """The time, by the database's clock."""
        return self._note("now", lambda: datetime.fromtimestamp(self._performer.clock, UTC), datetime)

    def random(self) -> Pending[float]:
        """A random number from 0 to 1."""
        return self._note("random", random.random, float)

    def uuid4(self) -> Pending[UUID]:
        """A random UUID."""
        return self._note("uuid4", uuid4, UUID)

    def set_var(self, name: str, value: Any) -> Pending[None]:
        """Let operators see `value` under `name`, while the run goes on and when it has ended."""
        self._variables[check_name(name, "variable")] = value
        return self._note(f"var:{name}", lambda: value, Any, what="var")

    def get_var(self, name: str, default: Any = None) -> Any:
        """What this run last set under `name`."""
        return self._variables.get(name, default)

    def tag(self, *tags: str) -> Pending[None]:
        """Let people find this run by `tags` as well; those that it has already stay one.

        Raises:
            InvalidInput: one has no or over 100 characters, or some that cannot be printed; there are over 20.

        Example:
            await ctx.tag(f"customer:{order.customer}")
        """
        call = Tag(
            key=self._key("tag"), position=next(self._positions), fingerprint=fingerprint(tags), tags=checked(tags)
        )
        return Pending(self._performer.perform, call)

    def stream(self, data: Any) -> Pending[None]:
        """Publish `data` to whoever follows this run, once, in the order of these calls.

        This returns before it is committed, which it is no later than whatever the run does next. It is kept with the
        run: who comes later, or again, is told all the same. Within a step there is `progress`.

        Raises:
            ValueError: it has over 64 KB of JSON, or is nothing that JSON can hold.

        Example:
            await ctx.stream({"done": number, "of": len(pages)})
        """
        encoded = codec.encode(data)
        if len(encoded) > MOST_STREAMED:
            raise ValueError(f"what is streamed at once has {len(encoded)} bytes of JSON; {MOST_STREAMED} is the most")
        call = Stream(key=self._key("stream"), position=next(self._positions), data=encoded)
        return Pending(self._performer.perform, call)

    def patched(self, name: str) -> bool:
        """Whether to take the new way: true for a run that gets here first, false for one that was past it already.

        Example:
            if ctx.patched("notify-before-shipping"):
                await ctx.step(notify, order)
        """
        return self._performer.patched(f"{self._path}patch:{check_name(name, 'patch')}", next(self._positions))

    def _note(self, name: str, make: Callable[[], Any], returns: Any, *, what: str = "value") -> Pending[Any]:
        note = Note(key=self._key(name), position=next(self._positions), what=what, make=make, returns=Typed(returns))
        return Pending(self._performer.perform, note)
