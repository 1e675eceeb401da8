"""Standing: whoever is told of what happens, and may not be any more, is told of nothing further."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from time import monotonic

from hookline import telemetry
from hookline.web.access import Credential, Keyring
from hookline.web.listener import Listener

EVERY = 5.0
"""Seconds between two looks at the credentials of all who listen; one that has ended may be good for as long."""

PATIENCE = 30.0
"""Seconds that they are believed while they cannot be looked at."""


class Standing:
    """Looks, while anybody listens, whether they may: one question for all of them."""

    def __init__(self, keyring: Keyring) -> None:
        self._keyring = keyring
        self._listeners: defaultdict[Credential, set[Listener]] = defaultdict(set)
        self._looking: asyncio.Task[None] | None = None

    @contextmanager
    def held(self, credential: Credential | None, listener: Listener) -> Iterator[None]:
        """Within the block `listener` is ended once `credential` is not good any more; `None` always is."""
        if credential is None:
            yield
            return
        self._listeners[credential].add(listener)
        if self._looking is None or self._looking.done():
            self._looking = asyncio.create_task(self._look(), name="standing")
        try:
            yield
        finally:
            self._listeners[credential].discard(listener)
            if not self._listeners[credential]:
                del self._listeners[credential]
            if not self._listeners and self._looking is not None:
                self._looking.cancel()
                self._looking = None

    async def _look(self) -> None:
        """Look every few seconds, until cancelled."""
        seen = monotonic()
        while True:
            await asyncio.sleep(EVERY)
            asked = set(self._listeners)
            try:
                good = await self._keyring.good(asked)
                seen = monotonic()
            except Exception as error:  # noqa: BLE001 - whatever it is, nobody is believed for ever
                if monotonic() < seen + PATIENCE:
                    continue
                telemetry.log.warning("stream.nobody_known", listeners=len(asked), error=str(error))
                good = set()
            for credential in asked - good:
                for listener in self._listeners.get(credential, ()):
                    listener.end()
