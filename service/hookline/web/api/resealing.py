"""`/api/reseal`: payloads that rest are written again, as the settings say now."""

from __future__ import annotations

from time import monotonic
from typing import Annotated, Any

import asyncpg
import msgspec
from starlette.requests import Request
from starlette.responses import Response

from hookline import telemetry
from hookline.store import resealing
from hookline.store.database import Database
from hookline.store.resealing import Place
from hookline.web import answers
from hookline.web.faults import Fault
from hookline.web.problems import Problem

SPAN = 2.0
"""Seconds that one request goes on for, about."""


class Reseal(msgspec.Struct, forbid_unknown_fields=True):
    """The body of `POST /api/reseal`.

    Args:
        after: the `next` of the answer before; from the beginning unless it is given.
    """

    after: Annotated[str, msgspec.Meta(max_length=3000)] | None = None


class Resealing:
    """The route of what rests."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def go_on(self, _: Request, body: Reseal) -> Response:
        """`POST /api/reseal`: encrypt some payloads by the first key, or open them if they are to rest plain.

        Ask again with `next` until that is null; what was done is done, so it may be begun again at any time.
        """
        payloads = self._database.payloads
        if not payloads.seal:
            raise Problem(
                Fault.NO_ENCRYPTION_KEY,
                "there is no key to encrypt or to open payloads by: set HOOKLINE_ENCRYPTION_KEYS",
            )
        try:
            place: Place | None = Place() if body.after is None else resealing.read_place(body.after)
        except ValueError:
            raise _no_place() from None
        assert place is not None  # noqa: S101 - it was just made
        table, seen, changed, young, unreadable = place.table, 0, 0, 0, set[str]()
        deadline = monotonic() + SPAN
        while place is not None and place.table == table and monotonic() < deadline:
            async with self._database.session() as connection:
                try:
                    done = await resealing.step(connection, payloads, place)
                except (asyncpg.DataError, ValueError):
                    raise _no_place() from None
            seen, changed, young, place = seen + done.seen, changed + done.changed, done.young, done.next
            unreadable |= {*done.unreadable}
        if unreadable:
            telemetry.log.error("reseal.unreadable", table=table, why=sorted(unreadable))
        told: dict[str, Any] = {
            "sealing": payloads.sealing,
            "by": payloads.seal.id if payloads.sealing else None,
            "table": table,
            "seen": seen,
            "changed": changed,
            "unreadable": sorted(unreadable),
            "young": young,
            "next": None if place is None else msgspec.json.encode(place).decode(),
        }
        return answers.json(told)


def _no_place() -> Problem:
    return Problem(Fault.INVALID_INPUT, "after is the `next` of the answer before")
