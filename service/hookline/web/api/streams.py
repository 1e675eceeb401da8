"""`/api/stream` and `/api/runs/{id}/stream`: what happens, told as it happens."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing, suppress
from typing import Annotated, Any
from uuid import UUID

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from hookline.errors import Unavailable
from hookline.store import events, inbox, search
from hookline.store.database import Database
from hookline.store.search import Wanted
from hookline.store.states import TERMINAL
from hookline.web import answers, frames
from hookline.web.access import Credential, sees
from hookline.web.api import parameters
from hookline.web.api.parameters import Text
from hookline.web.api.shapes import State
from hookline.web.faults import Fault
from hookline.web.frames import EventStream, Filter, Portion
from hookline.web.problems import Problem
from hookline.web.standing import Standing
from hookline.web.stream import Feed

OF_RUN = frozenset({"run", "data"})

END = "end"
"""The id of the event that ends the stream of a run."""

LONGEST_ID = 19
"""Digits of a number that Postgres has, and one."""

SNAPSHOT = 200
"""The newest runs, and deliveries, that a snapshot tells of."""

OLD = "what came since is not kept any more: load anew what you show"
CUT = "the first events of this run are not kept any more: the run itself has all that it published"


class StreamQuery(msgspec.Struct, forbid_unknown_fields=True):
    """What is wanted of all that happens.

    Args:
        kind: `run`, `delivery`, or both, separated by a comma.
        snapshot: whether to be told first what there is.
    """

    kind: Annotated[str, msgspec.Meta(pattern=r"^(run|delivery)(,(run|delivery))?$")] = "run,delivery"
    run: UUID | None = None
    job: Text | None = None
    scope: Text | None = None
    state: State | None = None
    snapshot: bool = False


class Streams:
    """The routes of streams."""

    def __init__(self, database: Database, feed: Feed, standing: Standing) -> None:
        self._database = database
        self._feed = feed
        self._standing = standing

    async def all(self, request: Request, query: StreamQuery) -> Response:
        """`GET /api/stream`: what becomes of runs and what comes in, told as it happens.

        With `Last-Event-ID` it goes on behind that event.
        """
        wanted = Filter(frozenset(query.kind.split(",")), query.run, query.job, query.scope, query.state)
        by: Credential | None = request.scope["credential"]
        return await _begun(request, self._all(wanted, by, _last(request), shown=query.snapshot))

    async def one(self, request: Request) -> Response:
        """`GET /api/runs/{id}/stream`: what a run publishes and what becomes of it, from the beginning to its end."""
        run = parameters.id_(request, "run")
        if request.headers.get("last-event-id") == END:
            return Response(status_code=204)  # which tells a browser not to ask again
        by: Credential | None = request.scope["credential"]
        return await _begun(request, self._one(run, by, _last(request), is_seeing=sees(request)))

    async def _all(
        self, wanted: Filter, by: Credential | None, after: int | None, *, shown: bool
    ) -> AsyncGenerator[bytes]:
        async with self._feed.open():
            resumed = after if after is not None and await self._is_kept(after) else None
            at = self._feed.position if resumed is None else resumed
            yield frames.opening(at)
            with suppress(Unavailable, events.Lost):  # the client asks again, and is told then
                if after is not None and resumed is None:
                    yield frames.event("reset", {"reason": OLD}, at)
                if shown and resumed is None:
                    at, content = await self._snapshot(wanted)
                    yield frames.event("snapshot", content, at)
                async with aclosing(self._told(wanted, by, at)) as each:
                    async for portion in each:
                        for piece in portion.pieces:
                            yield piece

    async def _one(
        self, run: UUID, by: Credential | None, after: int | None, *, is_seeing: bool
    ) -> AsyncGenerator[bytes]:
        async with self._database.session() as connection:
            found = await events.of_run(connection, run)
        if found is None:
            raise Problem(Fault.UNKNOWN_RUN, f"there is no run {run}")
        async with self._feed.open():
            resumed = after if after is not None and await self._is_kept(after) else None
            at = found["oldest"] if resumed is None else resumed
            yield frames.opening(at)
            if resumed is None and (after is not None or found["is_cut"]):
                yield frames.event("reset", {"reason": CUT}, at)
            if found["state"] in TERMINAL and (found["ended"] is None or found["ended"] <= at):
                yield _end(run, found["state"])
                return
            with suppress(Unavailable, events.Lost):
                async with aclosing(self._told(Filter(OF_RUN, run, sees=is_seeing), by, at)) as each:
                    async for portion in each:
                        for piece in portion.pieces:
                            yield piece
                        if portion.told and portion.told[-1].state in TERMINAL:
                            yield _end(run, portion.told[-1].state)
                            return

    async def _told(self, wanted: Filter, by: Credential | None, after: int) -> AsyncGenerator[Portion]:
        """All that is wanted behind `after`; nothing now and then, as a sign of life.

        It ends when the credential does that it was asked for `by`.
        """
        while after < self._feed.position:
            portion = await self._feed.past(wanted, after)
            after = portion.upto
            yield portion
        with self._feed.listening(wanted, after) as listener, self._standing.held(by, listener):
            while portions := await listener.take():
                for portion in portions:
                    yield portion

    async def _snapshot(self, wanted: Filter) -> tuple[int, dict[str, Any]]:
        """The newest of what is wanted, as the lists of the API tell it, and the number up to which it knows all."""
        content: dict[str, Any] = {}
        async with self._feed.turn() as connection:
            at = await events.newest(connection)
            if "run" in wanted.kinds:
                whose = Wanted(wanted.run, wanted.job, wanted.state, wanted.scope)
                content |= answers.found("runs", await search.runs(connection, whose, limit=SNAPSHOT))
            if "delivery" in wanted.kinds and not wanted.asks_of_runs:
                deliveries = await inbox.listed(connection, inbox.Filter(), limit=SNAPSHOT)
                content["deliveries"] = [dict(row) for row in deliveries.rows]
        return at, content

    async def _is_kept(self, after: int) -> bool:
        async with self._database.session() as connection:
            return await events.is_kept(connection, after)


async def _begun(request: Request, sent: AsyncGenerator[bytes]) -> Response:
    """The response that sends it, once it has begun well; of what a HEAD asks for there is nothing to begin."""
    if request.method == "HEAD":
        return Response(media_type=frames.MEDIA_TYPE)
    return EventStream(await anext(sent), sent)


def _last(request: Request) -> int | None:
    """The number of the last event that the client was told; raises `Problem` 422."""
    given = request.headers.get("last-event-id", "")
    if given and not (given.isascii() and given.isdecimal() and len(given) < LONGEST_ID):
        raise Problem(
            Fault.INVALID_PARAMETER, f"Last-Event-ID is the id of an event of this stream, not {given[:50]!r}"
        )
    return int(given) if given else None


def _end(run: UUID, state: str | None) -> bytes:
    return frames.event("end", {"id": run, "state": state}, END)
