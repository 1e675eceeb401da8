"""`/api/schedules`: when runs start by themselves, and switching that on and off."""

from __future__ import annotations

from datetime import UTC
from itertools import takewhile
from typing import Any

import asyncpg
import msgspec
from starlette.requests import Request
from starlette.responses import Response

from hookline.jobs.schedule import Schedule
from hookline.store import schedules
from hookline.store.database import Database
from hookline.timetable import Timetable
from hookline.web import answers
from hookline.web.api.parameters import Moment
from hookline.web.faults import Fault
from hookline.web.problems import Problem

SHOWN = 5
MOST_AT_ONCE = 1000


class Backfill(msgspec.Struct, forbid_unknown_fields=True):
    """The body of `POST /api/schedules/{name}/backfill`: which ticks, and whether only to tell how many."""

    since: Moment
    until: Moment
    dry_run: bool = True


class Schedules:
    """The routes of schedules."""

    def __init__(self, database: Database, timetable: Timetable) -> None:
        self._database = database
        self._timetable = timetable

    async def list(self, _: Request) -> Response:
        """`GET /api/schedules`: each with its next ticks; one that no job declares any more is shown too."""
        async with self._database.reading() as connection:
            rows = await schedules.listed(connection)
        return answers.json({"schedules": [self._told(row) for row in rows]})

    async def show(self, request: Request) -> Response:
        """`GET /api/schedules/{name}`: one of them."""
        name = request.path_params["name"]
        async with self._database.reading() as connection:
            rows = await schedules.listed(connection)
        found = next((row for row in rows if row["name"] == name), None)
        if found is None:
            raise Problem(Fault.UNKNOWN_SCHEDULE, f"there is no schedule {name[:50]!r}")
        return answers.json(self._told(found))

    async def on(self, request: Request) -> Response:
        """`POST /api/schedules/{name}/on`: let it start runs; what it missed while it was off is not made up for."""
        return await self._switch(request.path_params["name"], on=True)

    async def off(self, request: Request) -> Response:
        """`POST /api/schedules/{name}/off`: let it start no more runs."""
        return await self._switch(request.path_params["name"], on=False)

    async def _switch(self, name: str, *, on: bool) -> Response:
        schedule = self._known(name)
        async with self._database.session() as connection:
            next_at = schedule.after(await schedules.now(connection))
            if not await schedules.switch(connection, name, on=on, next_at=next_at):
                raise Problem(Fault.UNKNOWN_SCHEDULE, f"schedule {name[:50]!r} was not declared by any replica yet")
            rows = await schedules.listed(connection)
        return answers.json(next(self._told(row) for row in rows if row["name"] == name))

    async def backfill(self, request: Request, body: Backfill) -> Response:
        """`POST /api/schedules/{name}/backfill`: start the runs of past ticks, those of them that have none."""
        name = request.path_params["name"]
        schedule = self._known(name)
        ticks: Any = takewhile(lambda tick: tick < body.until, schedule.ticks(body.since.astimezone(UTC)))
        found = [tick for tick, _ in zip(ticks, range(MOST_AT_ONCE + 1), strict=False)]
        if len(found) > MOST_AT_ONCE:
            raise Problem(Fault.INVALID_BODY, f"there are more than {MOST_AT_ONCE} ticks in that time: take less of it")
        told = {"schedule": name, "ticks": len(found), "dry_run": body.dry_run, "first": found[:SHOWN]}
        if not body.dry_run:
            async with self._database.session() as connection:
                told |= {"created": await self._timetable.backfill(connection, name, found)}
        return answers.json(told)

    def _known(self, name: str) -> Schedule:
        if name not in self._timetable.schedules:
            raise Problem(Fault.UNKNOWN_SCHEDULE, f"there is no schedule {name[:50]!r}")
        return self._timetable.schedules[name][1]

    def _told(self, row: asyncpg.Record) -> dict[str, Any]:
        _, schedule = self._timetable.schedules.get(row["name"], (None, None))
        told = dict(row) | {"declared": schedule is not None, "upcoming": []}
        if schedule is not None:
            told |= {
                "cron": schedule.cron, "timezone": schedule.timezone, "catch_up": schedule.catch_up,
                "overlap": schedule.overlap,
            }  # fmt: skip
            if row["active"] and row["next_at"] is not None:
                told["upcoming"] = [row["next_at"], *schedule.upcoming(row["next_at"], SHOWN - 1)]
        return told
