"""Group commit: what many coroutines hand in while one transaction is under way goes into the next."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from time import perf_counter
from typing import Generic, TypeVar

import asyncpg

from hookline import metrics, telemetry
from hookline.store.database import AWAY, REFUSED, Connection, Database

Item = TypeVar("Item")
Result = TypeVar("Result")

Write = Callable[[Connection, Sequence[Item], bool], Awaitable[Sequence[Result]]]
"""Commits a batch, all of it or none, and says what became of each item, in order.

The flag says that the batch may have been written before: the connection was lost, and nobody knows what
became of the commit.
"""

_FIRST_PAUSE, _LONGEST_PAUSE = 0.05, 1.0


class GroupCommit(Generic[Item, Result]):
    """One writer on one connection, which takes all that has gathered, commits it, and wakes who waits for it.

    There is no timer: while one commit is in flight the next batch gathers, so latency stays one commit and
    throughput grows with load. A batch that Postgres refuses for what is in it is split until the bad item
    alone fails. While Postgres is away the batch is kept and tried again.

    Args:
        database: where to.
        write: what to do with a batch; must be harmless to repeat.
        name: what metrics and logs call this writer.
        limit: items in one transaction at most.
        few: of more that wait it takes half, so that this process has the answers of those to give, and the next to
            take in, while Postgres writes these.
    """

    def __init__(
        self, database: Database, write: Write[Item, Result], *, name: str, limit: int = 1000, few: int = 1000
    ) -> None:
        self._database = database
        self._write = write
        self._name = name
        self._limit = limit
        self._few = few
        self._pending: list[tuple[Item, asyncio.Future[Result]]] = []
        self._arrived = asyncio.Event()
        self._connection: asyncpg.Connection[asyncpg.Record] | None = None

    def submit(self, item: Item, future: asyncio.Future[Result] | None = None) -> asyncio.Future[Result]:
        """Hand in `item`; the future, whoever made it, has its result once it is committed."""
        if future is None:
            future = asyncio.get_running_loop().create_future()
        self._pending.append((item, future))
        self._arrived.set()
        return future

    async def run(self) -> None:
        """Write until cancelled. A `BaseException` of `write`, such as a lost lease, ends it."""
        try:
            while True:
                self._arrived.clear()
                if not self._pending:
                    await self._arrived.wait()
                    continue
                await self._settle(self._taken())  # and keep none of it while there is nothing to do
        finally:
            if self._connection is not None:
                self._connection.terminate()

    def _taken(self) -> list[tuple[Item, asyncio.Future[Result]]]:
        count = min(self._limit, max(self._few, len(self._pending) // 2))
        batch, self._pending = self._pending[:count], self._pending[count:]
        return batch

    async def _settle(self, batch: list[tuple[Item, asyncio.Future[Result]]]) -> None:
        """Write `batch`, or what is still wanted of it, however long Postgres is away."""
        pause, again = _FIRST_PAUSE, False
        while batch := [each for each in batch if not each[1].done()]:
            try:
                results = await self._commit([item for item, _ in batch], again)
            except Exception as error:  # noqa: BLE001 - whatever it is, it belongs to whoever handed the item in
                if isinstance(error, AWAY) and not isinstance(error, REFUSED):
                    telemetry.log.warning("commit.retried", writer=self._name, items=len(batch), error=repr(error))
                    again = True
                    await asyncio.sleep(pause)
                    pause = min(pause * 2, _LONGEST_PAUSE)
                elif len(batch) == 1:
                    batch[0][1].set_exception(error)
                    return
                else:
                    middle = len(batch) // 2
                    await self._settle(batch[:middle])
                    batch = batch[middle:]
            else:
                for (_, future), result in zip(batch, results, strict=True):
                    if not future.done():
                        future.set_result(result)
                return

    async def _commit(self, items: Sequence[Item], again: bool) -> Sequence[Result]:
        began = perf_counter()
        if self._connection is None or self._connection.is_closed():
            self._connection = await self._database.connect()
        try:
            results = await self._write(self._connection, items, again)
        except AWAY as error:
            if not isinstance(error, REFUSED):
                self._connection.terminate()
            raise
        metrics.COMMIT_SIZE.set(len(items), writer=self._name)
        metrics.COMMIT_TIME.time((perf_counter() - began) * 1000, writer=self._name)
        return results
