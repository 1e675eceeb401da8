"""The examiner: examines the deliveries that came in together one behind the other, and hands them in."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextvars import Context
from typing import Any

from hookline.events import Pong
from hookline.ingress.schemes import Received
from hookline.ingress.sources import Source
from hookline.store.delivery import NewDelivery


class Arrival:
    """A delivery on its way in.

    Args:
        source: that it came to.
        received: as it came.

    Attributes:
        committed: done when it is, with what became of it; raises why it is not.
        new: what it is, and `pong`, how it is answered if it is a mere ping; once it has been examined.
    """

    __slots__ = ("committed", "new", "pong", "received", "source")

    new: NewDelivery
    pong: Pong | None

    def __init__(self, source: Source, received: Received) -> None:
        self.source = source
        self.received = received
        self.committed: asyncio.Future[Any] = asyncio.get_running_loop().create_future()


class Examiner:
    """Examines all that has come in since the loop came round last.

    Measured: what one examination needs a processor has at hand for the next, if that follows at once. With requests
    served in between, a webhook takes a twentieth more of it.

    Args:
        examine: says what a delivery is; decides only.
        hand_in: has it committed, and then settles the future.
    """

    def __init__(
        self,
        examine: Callable[[Source, Received], tuple[NewDelivery, Pong | None]],
        hand_in: Callable[[NewDelivery, asyncio.Future[Any]], object],
    ) -> None:
        self._examine = examine
        self._hand_in = hand_in
        self._arrived: list[Arrival] = []
        self._context = Context()  # nobody's: what is logged of one is not to be told as another's

    def take(self, source: Source, received: Received) -> Arrival:
        """Have a delivery examined and handed in, with all that come in beside it."""
        arrival = Arrival(source, received)
        if not self._arrived:
            asyncio.get_running_loop().call_soon(self._go_through, context=self._context)
        self._arrived.append(arrival)
        return arrival

    def _go_through(self) -> None:
        arrived, self._arrived = self._arrived, []
        for each in arrived:
            if each.committed.done():  # nobody waits for it any more
                continue
            try:
                each.new, each.pong = self._examine(each.source, each.received)
                each.source.quota.spend()
            except Exception as error:  # noqa: BLE001 - it is told to whoever brought this one
                each.committed.set_exception(error)
            else:
                self._hand_in(each.new, each.committed)
