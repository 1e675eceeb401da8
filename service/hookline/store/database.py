"""The way to Postgres: a pool for short questions, and connections of their own for those who stay."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from typing import TYPE_CHECKING, Any

import asyncpg

from hookline.errors import Unavailable

if TYPE_CHECKING:
    from asyncpg.pool import PoolConnectionProxy

    Connection = asyncpg.Connection[asyncpg.Record] | PoolConnectionProxy[asyncpg.Record]
else:
    Connection = asyncpg.Connection

POOL = 10
"""Connections that one process borrows at most, to each of its servers."""

PLANS = "force_generic_plan"
"""What our sessions set `plan_cache_mode` to."""

REFUSED = (
    asyncpg.DataError,
    asyncpg.IntegrityConstraintViolationError,
    asyncpg.ProgramLimitExceededError,
    asyncpg.PLPGSQLError,
    ValueError,
)
"""What is raised for what was written, by Postgres or by asyncpg, whose own is a `ValueError`: it will never pass.

To be caught before `AWAY`, which some of it would be, too.
"""

AWAY = (OSError, asyncpg.InterfaceError, asyncpg.PostgresError, asyncpg.InternalClientError)
"""Whatever else stands between us and a commit: Postgres is gone, going, starting, full, read-only, not migrated, or
two transactions stood in each other's way. The same words may succeed later. `TimeoutError` is an `OSError`; an
`InternalClientError` is how asyncpg takes a connection that breaks between two messages.
"""


class Database:
    """One Postgres, as one process sees it.

    Args:
        dsn: where it is, in libpq's form.
        reader_dsn: a replica of it that read-only questions may be put to.
        patience: seconds after which Postgres ends a session of ours that stopped in mid-transaction, so that
            a frozen process holds no lock for longer than its lease; half of that is right.
    """

    def __init__(self, dsn: str, *, reader_dsn: str | None = None, patience: float = 30.0) -> None:
        self._dsn = dsn
        self._reader_dsn = reader_dsn
        self._settings = {
            "application_name": "hookline",
            "idle_in_transaction_session_timeout": str(int(patience * 1000)),
            # Hot statements are few and have one right plan each, whatever the statistics of the moment say.
            "plan_cache_mode": PLANS,
            "enable_seqscan": "off",
            "jit": "off",
        }
        self._pool: asyncpg.Pool[asyncpg.Record] | None = None
        self._reader: asyncpg.Pool[asyncpg.Record] | None = None

    async def __aenter__(self) -> Database:
        self._pool = await self._open(self._dsn)
        self._reader = await self._open(self._reader_dsn) if self._reader_dsn else self._pool
        return self

    async def __aexit__(self, *_: object) -> None:
        for pool in {self._pool, self._reader}:
            if pool is not None:
                pool.terminate()

    async def _open(self, dsn: str) -> asyncpg.Pool[asyncpg.Record]:
        return await asyncpg.create_pool(
            dsn,
            min_size=0,
            max_size=POOL,
            init=_speak_bytes,
            reset=_leave_as_it_is,
            server_settings=self._settings,
            timeout=5,
            command_timeout=30,
        )

    async def connect(self, *, patience: float = 60) -> asyncpg.Connection[asyncpg.Record]:
        """A connection for a caller that keeps it; raises one of `AWAY`.

        Args:
            patience: seconds that a statement may take before Postgres counts as away.
        """
        connection = await asyncpg.connect(
            self._dsn, server_settings=self._settings, timeout=5, command_timeout=patience
        )
        await _speak_bytes(connection)
        return connection

    @asynccontextmanager
    async def session(self) -> AsyncIterator[Connection]:
        """A connection for a moment, to write with; raises `Unavailable` if Postgres is away."""
        async with _lent(self._pool) as connection:
            yield connection

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[Connection]:
        """A connection for a moment, to read with, to the reader if there is one; raises `Unavailable`."""
        async with _lent(self._reader) as connection:
            yield connection


@asynccontextmanager
async def transaction(connection: Connection) -> AsyncIterator[None]:
    """Within the block all or nothing is written; whoever is cancelled in it drops the connection with it."""
    whole = connection.transaction()
    await whole.start()
    with _dropping(connection):
        try:
            yield
        except (asyncio.CancelledError, TimeoutError):
            raise
        except BaseException:
            if not connection.is_closed():
                await whole.rollback()
            raise
        await whole.commit()


@contextmanager
def _dropping(connection: Connection) -> Iterator[None]:
    """Drop `connection` if the block is cancelled or takes too long; Postgres rolls back by itself.

    asyncpg would first wait, without an end, for Postgres to confirm that it has given up: on a connection that went
    dead in silence a replica could then never be stopped.
    """
    try:
        yield
    except (asyncio.CancelledError, TimeoutError):
        with suppress(asyncpg.InterfaceError):  # a block around this one has dropped it
            connection.terminate()
        raise


@asynccontextmanager
async def _lent(pool: asyncpg.Pool[asyncpg.Record] | None) -> AsyncIterator[Connection]:
    if pool is None:
        raise Unavailable("the database is not open")
    try:
        async with pool.acquire(timeout=5) as connection:
            with _dropping(connection):
                yield connection
    except REFUSED:
        raise
    except AWAY as error:
        if (task := asyncio.current_task()) is not None and task.cancelling():
            raise asyncio.CancelledError from error  # asyncpg made something else of it while it connected
        raise Unavailable(f"Postgres does not answer: {type(error).__name__}") from error


async def _speak_bytes(connection: Connection) -> None:
    """JSON travels as the bytes it is stored as; nobody on this side needs it as text."""
    await connection.set_type_codec("json", schema="pg_catalog", encoder=_as_is, decoder=bytes, format="binary")


def _as_is(value: Any) -> Any:
    return value


async def _leave_as_it_is(_: Connection) -> None:
    """No session of ours changes anything that the next borrower would have to undo."""
