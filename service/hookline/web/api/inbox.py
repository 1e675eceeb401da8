"""`/api/deliveries`: what came in, what became of it and why, taking it in again, and all of it as it comes."""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from time import monotonic
from typing import Annotated, Any
from uuid import UUID

import asyncpg
import msgspec
from starlette.requests import Request
from starlette.responses import Response

from hookline import codec
from hookline.codec import check_open
from hookline.ingress.examination import remembered
from hookline.ingress.intake import Intake
from hookline.ingress.register import Register
from hookline.ingress.sources import Source
from hookline.payloads import Payloads
from hookline.store import deliveries, feed, inbox
from hookline.store.database import Database
from hookline.store.delivery import Status
from hookline.store.inbox import Filter
from hookline.web import answers
from hookline.web.access import Principal, sees
from hookline.web.api import parameters
from hookline.web.api.parameters import Moment, Page, Text
from hookline.web.faults import Fault
from hookline.web.problems import Problem

LONGEST_WAIT = 30.0

_LOOK_EVERY = 0.5

_LOOKING = 0.05
"""Seconds that a request may look through what does not fit before it answers how far it has come."""


class Replay(msgspec.Struct, forbid_unknown_fields=True):
    """The body of `POST /api/deliveries/{id}/replay`.

    Args:
        id: of the delivery that is made, so that the request can be sent again; a new one unless it is given.
        dry_run: whether only to tell what would come of it.
    """

    id: UUID | None = None
    dry_run: bool = False


class Wanted(Page, kw_only=True):
    """Which deliveries are wanted: those that fit all that is said; see `hookline.store.inbox.Filter`."""

    source: Text | None = None
    key: Text | None = None
    type: Text | None = None
    subject: Text | None = None
    status: Status | None = None
    since: Moment | None = None
    until: Moment | None = None

    def wanted(self) -> Filter:
        """The same, as the store is asked."""
        return Filter(**{name: getattr(self, name) for name in Filter.__struct_fields__})


class DeliveriesQuery(Wanted, kw_only=True):
    """The query of a list."""


class FeedQuery(Wanted, kw_only=True):
    """The query of the feed.

    Args:
        after: the `next` of the page before.
        wait: seconds to wait for the first.
    """

    after: Text | None = None
    wait: Annotated[float, msgspec.Meta(ge=0, le=LONGEST_WAIT)] = 0.0


class Inbox:
    """The routes of deliveries."""

    def __init__(self, database: Database, intake: Intake, register: Register) -> None:
        self._database = database
        self._intake = intake
        self._register = register

    async def list(self, _: Request, query: DeliveriesQuery) -> Response:
        """`GET /api/deliveries`: the newest first, without their bodies."""
        async with self._database.reading() as connection:
            found = await inbox.listed(connection, query.wanted(), before=query.cursor, limit=query.limit)
        return answers.json(answers.found("deliveries", found))

    async def feed(self, request: Request, query: FeedQuery) -> Response:
        """`GET /api/deliveries/feed`: whole deliveries with their runs, the oldest first.

        `next` is what to ask for `after` these; each delivery is told once, also one that is committed late. The first
        time it begins at `since`, or else now. It is answered as soon as there is one, or after `wait` seconds.
        What is redacted, an admin is told all the same: bodies are as they were signed.
        """
        if self._database.payloads.sealing and not sees(request):
            raise Problem(
                Fault.ROLE_TOO_LOW, "the feed is of whole deliveries, which rest encrypted: who asks may not see them"
            )
        principal: Principal = request.scope["principal"]
        hide = None if principal.may("admin") else self._database.payloads
        wanted = query.wanted()
        deadline = monotonic() + query.wait
        patience = max(deadline, monotonic() + _LOOKING)
        after = _cursor(query.after)
        while True:
            async with self._database.session() as connection:  # a reader that lags behind has another past
                cursor = after or await feed.begin(connection, wanted.since)
                try:
                    rows, after, is_more = await feed.read(connection, cursor, wanted, limit=query.limit)
                except asyncpg.DataError:
                    raise _no_cursor() from None
                runs = await feed.started(connection, [row["id"] for row in rows])
            left = (patience if is_more else deadline) - monotonic()
            if rows or left <= 0:
                told = [_whole(row, runs[row["id"]], hide) for row in rows]
                return answers.json({"deliveries": told, "next": str(after)})
            if not is_more:
                await asyncio.sleep(min(left, _LOOK_EVERY))  # a hint would tell of other things as well

    async def show(self, request: Request) -> Response:
        """`GET /api/deliveries/{id}`: its headers and body, its events, what each job made of them, and its runs.

        The body is a text, or else under `body_base64`; credentials among the headers were not kept.
        """
        id_ = parameters.id_(request, "delivery")
        async with self._database.reading(payloads=sees(request)) as connection:
            found = await inbox.delivery(connection, id_)
        if found is None:
            raise Problem(Fault.UNKNOWN_DELIVERY, "there is no such delivery")
        row, started = found
        told = dict(row) | {name: answers.raw(row[name]) for name in ("headers", "bindings", "events")}
        body = told.pop("body")
        return answers.with_body(told | {"runs": [dict(each) for each in started]}, body)

    async def replay(self, request: Request, body: Replay) -> Response:
        """`POST /api/deliveries/{id}/replay`: take it in again, through today's parser and jobs.

        A quarantined one is tried again; of another a new delivery is made, which starts new runs.
        """
        id_ = parameters.id_(request, "delivery")
        async with self._database.session() as connection:
            kept = await deliveries.kept(connection, id_)
        if kept is None:
            raise Problem(Fault.UNKNOWN_DELIVERY, "there is no such delivery")
        source = await self._register.find(kept["source"])
        if source is None:
            raise Problem(
                Fault.SOURCE_UNUSABLE,
                f"source {kept['source']} is not configured, so nothing knows how to read the delivery",
            )
        if body.dry_run:
            told = await self._rehearsed(source, kept)
            if self._database.payloads.sealing and not sees(request):  # both may quote what is encrypted
                told |= {"reason": None, "bindings": []}
            return answers.json(told)
        receipt = await self._intake.replay(source, kept, body.id or codec.uuid7())
        told = {"delivery": receipt.delivery, "status": receipt.status, "reason": receipt.reason, "runs": receipt.runs}
        return answers.json(told, 202)

    async def _rehearsed(self, source: Source, kept: asyncpg.Record) -> dict[str, Any]:
        examined, _ = await self._intake.examined(*remembered(source, kept))
        return {
            "delivery": kept["id"],
            "status": examined.status,
            "type": examined.type,
            "reason": examined.reason,
            "bindings": codec.decode(examined.bindings),
            "runs": [
                {"job": run.job, "version": run.version, "scope": run.scope, "priority": run.priority}
                for run in examined.runs
            ],
        }


def _cursor(given: str | None) -> feed.Cursor | None:
    try:
        return None if given is None else feed.Cursor.read(given)
    except ValueError:
        raise _no_cursor() from None


def _no_cursor() -> Problem:
    return Problem(Fault.INVALID_PARAMETER, "after is the `next` of the page before")


def _whole(row: asyncpg.Record, runs: Collection[dict[str, Any]], hide: Payloads | None) -> dict[str, Any]:
    """A delivery as it came, and the runs that its events have started, for whoever goes on with it.

    Args:
        hide: by which what is redacted is hidden; `None` for those who are told all.
    """
    check_open(row["body"], row["headers"], row["bindings"], *(each["input"] for each in runs))

    def json(stored: bytes | None) -> msgspec.Raw | None:
        return answers.raw(stored if hide is None or stored is None else hide.redacted_json(stored))

    told = dict(row) | {name: json(row[name]) for name in ("headers", "bindings")}
    body = told.pop("body")
    return told | {
        "body_base64": body if hide is None else hide.redacted_body(body),
        "runs": [each | {"input": json(each["input"])} for each in runs],
    }
