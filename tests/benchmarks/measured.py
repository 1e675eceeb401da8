"""What a benchmark found, and the database that each starts from."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import asyncpg
from tests.conftest import of_database

from hookline.store import migrate


@dataclass(frozen=True)
class Measured:
    """One figure: `wanted` is what the design asks for, `also` what else is worth knowing."""

    what: str
    figure: float
    unit: str
    wanted: str
    floor: float | None = None
    also: str = ""

    def row(self) -> tuple[str, ...]:
        floor = "" if self.floor is None else f"{self.floor:,.0f}"
        ratio = "" if self.floor is None else f"{self.figure / self.floor:.2f}"
        figure = f"{self.figure:,.0f}" if self.figure >= 100 else f"{self.figure:.2f}"
        return self.what, f"{figure} {self.unit}", floor, ratio, self.wanted, self.also


@asynccontextmanager
async def fresh(dsn: str, name: str) -> AsyncIterator[str]:
    """The address of a new, migrated database, dropped afterwards."""
    admin = await asyncpg.connect(dsn)
    await admin.execute(f"create database {name}")
    try:
        await migrate.migrate(of_database(dsn, name))
        yield of_database(dsn, name)
    finally:
        await admin.execute(f"drop database {name} with (force)")
        await admin.close()
