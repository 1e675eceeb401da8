"""The way to Postgres: a pool for short questions, and connections of their own for those who stay."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from functools import partial
from typing import TYPE_CHECKING, Any, Literal

import asyncpg

from hookline.errors import Unavailable
from hookline.payloads import OPEN, Codec, Payloads

if TYPE_CHECKING:
    from asyncpg.pool import PoolConnectionProxy

    Connection = asyncpg.Connection[asyncpg.Record] | PoolConnectionProxy[asyncpg.Record]
else:
    Connection = asyncpg.Connection

Sight = Literal["whole", "shown", "withheld"]
"""How much of payloads a connection reads: what they are; what may be shown; nothing of what rests encrypted."""

POOL = 10
"""Connections that one process borrows at most, to each of its servers and for each sight."""

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
        payloads: in which form payloads rest, and how much of them is shown.
    """

    def __init__(
        self, dsn: str, *, reader_dsn: str | None = None, patience: float = 30.0, payloads: Payloads = OPEN
    ) -> None:
        self._dsn = dsn
        self._reader_dsn = reader_dsn
        self.payloads = payloads
        self._settings = {
            "application_name": "hookline",
            "idle_in_transaction_session_timeout": str(int(patience * 1000)),
            # Hot statements are few and have one right plan each, whatever the statistics of the moment say.
            "plan_cache_mode": PLANS,
            "enable_seqscan": "off",
            "jit": "off",
        }
        self._pools: dict[tuple[str, Sight], asyncpg.Pool[asyncpg.Record]] = {}
        self._wholes: dict[asyncio.Task[Any] | None, _Whole] = {}

    async def __aenter__(self) -> Database:
        for dsn in {self._dsn, self._reader_dsn or self._dsn}:
            whole = self._pools[dsn, "whole"] = await self._open(dsn, "whole")
            for sight in ("shown", "withheld"):
                self._pools[dsn, sight] = await self._open(dsn, sight) if self.payloads.are_guarded else whole
        return self

    async def __aexit__(self, *_: object) -> None:
        for pool in set(self._pools.values()):
            pool.terminate()
        self._pools.clear()

    async def _open(self, dsn: str, sight: Sight) -> asyncpg.Pool[asyncpg.Record]:
        return await asyncpg.create_pool(
            dsn,
            min_size=0,
            max_size=POOL,
            init=partial(_speak_bytes, payloads=self.payloads, sight=sight),
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
        await _speak_bytes(connection, self.payloads, "whole")
        return connection

    @asynccontextmanager
    async def session(self) -> AsyncIterator[Connection]:
        """A connection for a moment, to write with; raises `Unavailable` if Postgres is away.

        What it reads is whole: it is for what works with payloads, not for what shows them.
        """
        async with self._own(self._dsn, "whole") as connection:
            yield connection

    @asynccontextmanager
    async def reading(self, *, payloads: bool = False, now: bool = False) -> AsyncIterator[Connection]:
        """A connection for a moment, to read what is shown, from the reader if there is one; raises `Unavailable`.

        Args:
            payloads: whether to whoever may see what rests encrypted; to others that is withheld. To nobody is shown
                what is redacted.
            now: whether to read what was just written, which a reader may not have yet.
        """
        dsn = self._dsn if now else self._reader_dsn or self._dsn
        async with self._own(dsn, "shown" if payloads else "withheld") as connection:
            yield connection

    @asynccontextmanager
    async def whole(self) -> AsyncIterator[Connection]:
        """Within the block all that this task writes and reads here is one transaction; raises `Unavailable`.

        What it is lent by `session` and `reading` is this one connection; other tasks have others.
        """
        task = asyncio.current_task()
        async with _lent(self._pools.get((self._dsn, "whole"))) as connection:
            whole = self._wholes[task] = _Whole(connection)
            try:
                async with transaction(connection):
                    yield connection
            finally:
                del self._wholes[task]
        for do in whole.afterwards:
            await do()

    @property
    def held(self) -> Connection | None:
        """The connection of the `whole` that this task is in."""
        whole = self._wholes.get(asyncio.current_task()) if self._wholes else None
        return None if whole is None else whole.connection

    async def afterwards(self, do: Callable[[], Awaitable[object]]) -> None:
        """Do it once the `whole` that this task is in is committed; now, if it is in none."""
        whole = self._wholes.get(asyncio.current_task())
        if whole is None:
            await do()
        else:
            whole.afterwards.append(do)

    @asynccontextmanager
    async def _own(self, dsn: str, sight: Sight) -> AsyncIterator[Connection]:
        if (held := self.held) is None:
            async with _lent(self._pools.get((dsn, sight))) as connection:
                yield connection
        else:
            with _answering():
                async with self._through(held, sight) as connection:
                    yield connection

    @asynccontextmanager
    async def _through(self, held: Connection, sight: Sight) -> AsyncIterator[Connection]:
        """Within the block as much of payloads is read on `held` as on the connections of that `sight`."""
        if sight == "whole" or not self.payloads.are_guarded:
            yield held
            return
        await _speak_bytes(held, self.payloads, sight)
        try:
            yield held
        finally:
            try:
                await _speak_bytes(held, self.payloads, "whole")
            except BaseException:
                held.terminate()  # nobody may take what it reads for the whole
                raise


class _Whole:
    """What a task writes in one transaction, and what it does afterwards."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self.afterwards: list[Callable[[], Awaitable[object]]] = []


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
    with _answering():
        async with pool.acquire(timeout=5) as connection:
            with _dropping(connection):
                yield connection


@contextmanager
def _answering() -> Iterator[None]:
    """Within the block Postgres answers, or `Unavailable` is raised."""
    try:
        yield
    except REFUSED:
        raise
    except AWAY as error:
        if (task := asyncio.current_task()) is not None and task.cancelling():
            raise asyncio.CancelledError from error  # asyncpg made something else of it while it connected
        raise Unavailable(f"Postgres does not answer: {type(error).__name__}") from error


async def _speak_bytes(connection: Connection, payloads: Payloads, sight: Sight) -> None:
    """JSON travels as the bytes it is stored as; nobody on this side needs it as text.

    All JSON is payload, and so are bytes that say so: here is the one place where they are sealed, opened and withheld.
    """
    readers: dict[Sight, tuple[Codec, Codec]] = {
        "whole": (payloads.opened_json, payloads.opened_bytes),
        "shown": (payloads.shown_json, payloads.shown_bytes),
        "withheld": (payloads.withheld_json, payloads.withheld_bytes),
    }
    writers = {"json": payloads.json_at_rest, "bytea": payloads.bytes_at_rest}
    for (name, encoder), decoder in zip(writers.items(), readers[sight], strict=True):
        await connection.set_type_codec(name, schema="pg_catalog", encoder=encoder, decoder=decoder, format="binary")


async def _leave_as_it_is(_: Connection) -> None:
    """No session of ours changes anything that the next borrower would have to undo."""
