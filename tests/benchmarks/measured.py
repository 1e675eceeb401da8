"""What a benchmark found, and the database that each starts from."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import asyncpg
from tests.conftest import of_database

from hookline.store import migrate

ROUND, MOST_LOG = 12_000, 150_000
"""Rows of 8 KB written at once, and in all: about as much as `max_wal_size`, after which files are used again."""


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


async def worn_in(dsn: str) -> None:
    """Have a server's log be as of one that has worked for a while: files that are used again, not made anew.

    A new server makes and zeroes a file of it for every 16 MB, until it has so many that checkpoints leave it enough.
    """
    connection = await asyncpg.connect(dsn)
    await connection.execute("create table worn (filler text)")
    await connection.execute("alter table worn alter filler set storage external")  # not packed
    for _ in range(MOST_LOG // ROUND):
        await connection.execute("insert into worn select repeat('x', 8000) from generate_series(1, $1::int)", ROUND)
        await connection.execute("truncate worn")
    await connection.execute("drop table worn")
    await connection.execute("checkpoint")
    await connection.close()
