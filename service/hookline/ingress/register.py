"""The register: all sources, those that the settings and the code fix, and those that are kept in Postgres."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Mapping, Sequence
from time import monotonic

from msgspec import Struct

from hookline import telemetry
from hookline.app import App
from hookline.errors import ConfigurationError, Unavailable
from hookline.ingress.sources import Source, configured, opened
from hookline.sealing import Seal
from hookline.settings import Settings
from hookline.store import sources
from hookline.store.database import Connection, Database
from hookline.store.sources import KeptSource

FRESH = 1.0
"""Seconds for which what was read in Postgres counts; so long at most a secret is taken after it was removed."""

SPACE = 0.1
"""Seconds between two looks for names that nobody knows, however many are asked for."""


class Entry(Struct, frozen=True):
    """A source as it is kept, and what it is here; `None`, with the problem, if it cannot be used."""

    kept: KeptSource
    source: Source | None
    problem: str | None


class Register:
    """Knows every source, on demand: nothing is read while nobody sends, and a fixed source costs no query.

    Attributes:
        fixed: what the settings and the code declare, by name; these go before what is kept.
        seal: what encrypts the secrets of the others.

    Raises:
        ConfigurationError: a source is declared twice, or cannot be used.
    """

    def __init__(self, app: App, database: Database, settings: Settings) -> None:
        self.fixed: Mapping[str, Source] = configured(settings, app)
        self.seal = Seal([each.get_secret_value() for each in settings.encryption_keys])
        self._database = database
        self._timeout = settings.intake_timeout
        self._kept: dict[str, Entry] = {}
        self._looked_at = float("-inf")
        self._looking = asyncio.Lock()

    async def find(self, name: str) -> Source | None:
        """The source called `name`, as it is now, or was a moment ago; a name that is not known is looked for.

        Raises:
            Unavailable: Postgres does not tell, or the source cannot be used here: then nobody proves anything.
        """
        if (source := self.fixed.get(name)) is not None:
            return source
        now = monotonic()
        await self._look(now - FRESH if name in self._kept else now, space=SPACE)
        if (entry := self._kept.get(name)) is None:
            return None
        if entry.source is None:
            raise Unavailable(f"source {name} cannot be used here: {entry.problem}")
        return entry.source

    async def kept(self) -> Sequence[Entry]:
        """All that are kept in Postgres, as they are now; raises `Unavailable`."""
        await self._look(monotonic())
        return list(self._kept.values())

    async def entry(self, connection: Connection, name: str) -> Entry | None:
        """The source that is kept under `name`, as `connection` sees it now."""
        return next((self._entry(each) for each in await sources.look(connection) if each.name == name), None)

    async def look_again(self) -> None:
        """Believe nothing of what was read before: a source was changed here."""
        self._looked_at = float("-inf")

    async def known(self) -> Mapping[str, Source]:
        """All that can be used, by name, as they are now; raises `Unavailable`."""
        return {each.kept.name: each.source for each in await self.kept() if each.source is not None} | dict(self.fixed)

    async def _look(self, since: float, space: float = 0.0) -> None:
        """Return once what is known was read after `since`: who comes meanwhile shares the next look."""
        if self._looked_at >= since:
            return
        try:
            async with asyncio.timeout(self._timeout), self._looking:
                if self._looked_at >= since:
                    return
                if (early := self._looked_at + space - monotonic()) > 0:
                    await asyncio.sleep(early)  # whoever makes names up must not make Postgres busy
                began = monotonic()
                async with self._database.session() as connection:
                    found = await sources.look(connection)
                self._kept = {each.name: self._entry(each) for each in found}
                self._looked_at = began
        except TimeoutError:
            raise Unavailable("Postgres did not tell the sources in time") from None

    def _entry(self, kept: KeptSource) -> Entry:
        before = self._kept.get(kept.name)
        if before is not None and before.kept == kept:
            return before
        try:
            if (fixed := self.fixed.get(kept.name)) is not None:
                raise ConfigurationError(f"it is declared in the {fixed.origin} too, which goes first: remove one")
            source = opened(kept, self.seal)
        except ConfigurationError as error:
            telemetry.log.error("source.unusable", source=kept.name, problem=str(error))
            return Entry(kept, None, str(error))
        if before is not None and before.source is not None and before.source.quota.limits == source.quota.limits:
            source = dataclasses.replace(source, quota=before.source.quota)  # what it has taken in still counts
        return Entry(kept, source, None)
