"""`/api/runs/{id}/logs`: what a run has said, and what it has asked of others."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import asyncpg
import msgspec
from starlette.requests import Request
from starlette.responses import Response

from hookline.store import logs, views
from hookline.store.database import Database
from hookline.web import answers
from hookline.web.access import sees
from hookline.web.api import parameters
from hookline.web.api.parameters import LARGEST_PAGE, Text
from hookline.web.faults import Fault
from hookline.web.problems import Problem

Level = Literal["debug", "info", "warning", "error", "critical"]

NAMES = {number: name for name, number in logs.LEVELS.items()}


class LogsQuery(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """Which lines are wanted: those that fit all that is said.

    Args:
        level: the least.
        step: a step's key, or a path that steps are under.
        kind: `call` for requests to others.
        cursor: the `next` of the page before, or the `id` of any line.
    """

    level: Level | None = None
    step: Text | None = None
    kind: Literal["log", "call"] | None = None
    limit: Annotated[int, msgspec.Meta(ge=1, le=LARGEST_PAGE)] = 100
    cursor: Annotated[str, msgspec.Meta(pattern=r"^[0-9]{1,9}\.[0-9]{1,9}$")] | None = None


class Logs:
    """The route of what runs say."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def list(self, request: Request, query: LogsQuery) -> Response:
        """`GET /api/runs/{id}/logs`: a page of lines, in the order in which they were said."""
        run = parameters.id_(request, "run")
        claim, _, number = (query.cursor or "0.0").partition(".")
        async with self._database.reading(payloads=sees(request)) as connection:
            if await views.state(connection, run) is None:
                raise Problem(Fault.UNKNOWN_RUN, f"there is no run {run}")
            rows = await logs.of_run(
                connection,
                run,
                level=logs.LEVELS[query.level] if query.level else None,
                step=query.step,
                kind=query.kind,
                after=(int(claim), int(number)),
                limit=query.limit,
            )
            dropped = await logs.dropped(connection, run)
        told = [line(row) for row in rows]
        return answers.json(
            {"lines": told, "next": told[-1]["id"] if len(told) == query.limit else None, "dropped": dropped}
        )


def line(row: asyncpg.Record) -> dict[str, Any]:
    """A line as people read it."""
    said = msgspec.json.decode(row["data"])
    if isinstance(said, str):  # in place of what whoever asks may not see
        said = {"event": said, "fields": {}}
    return {
        "id": f"{row['claim']}.{row['number']}",
        "at": row["at"],
        "level": NAMES[row["level"]],
        "kind": row["kind"],
        "step": row["step"],
        "attempt": row["attempt"],
        "claim": row["claim"],
        "event": said["event"],
        "fields": said["fields"],
    }
