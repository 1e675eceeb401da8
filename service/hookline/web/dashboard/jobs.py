"""`/jobs`: what work there is, who offers it, how it went lately; one of them, drawn, and a form to run it."""

from __future__ import annotations

import json
from collections import defaultdict
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from hookline.app import App
from hookline.jobs.diagram import of_runs
from hookline.store import overview, schedules, search, views, workers
from hookline.store.database import Database
from hookline.store.search import Wanted
from hookline.timetable import Timetable
from hookline.web.api import parameters
from hookline.web.dashboard import forms, graph, pretty
from hookline.web.dashboard.render import as_page, page
from hookline.web.faults import Fault
from hookline.web.problems import Problem

LATELY = 30
"""Runs of each job that are drawn in a list."""

LOOKED_AT = 50
"""Runs from which the graph of a coroutine is learnt."""


class JobPages:
    """The pages of jobs."""

    def __init__(self, app: App, database: Database) -> None:
        self._app = app
        self._database = database

    @as_page
    async def list(self, request: Request) -> Response:
        """`GET /jobs`."""
        open_: defaultdict[str, dict[str, Any]] = defaultdict(dict)
        lately: defaultdict[str, list[Any]] = defaultdict(list)
        async with self._database.reading() as connection:
            for row in await overview.open_by_job(connection):
                open_[row["job"]][row["state"]] = row
            offered = set(await views.offered(connection))
            names = sorted({*self._app.latest, *open_})
            for row in await overview.recent(connection, names, LATELY):
                lately[row["job"]].append(row)
        return page(
            request,
            "jobs.html",
            names=names,
            jobs=self._app.latest,
            open=open_,
            lately=lately,
            offered={name: sorted(each for each in offered if each.rpartition("@")[0] == name) for name in names},
        )

    @as_page
    async def show(self, request: Request) -> Response:
        """`GET /jobs/{name}`."""
        name = parameters_name(request)
        job = self._app.latest.get(name)
        async with self._database.reading() as connection:
            now = await overview.now(connection)
            found = await search.runs(connection, Wanted(job=name), limit=20)
            if job is None and not found.rows:
                raise Problem(Fault.UNKNOWN_JOB, f"there is no job {name!r}")
            drawn = job.diagram if job is not None else None
            learnt = drawn is None
            if drawn is None:
                drawn = of_runs(await views.recent_calls(connection, name, LOOKED_AT))
            lately = await overview.recent(connection, [name], 60)
            open_ = {row["state"]: row for row in await overview.open_by_job(connection) if row["job"] == name}
            alive = await workers.listed(connection)
            declared = {row["name"]: row for row in await schedules.listed(connection) if row["job"] == name}
            whence = await search.whence(connection, found.rows)
        versions: dict[int, list[str]] = {each.version: [] for each in self._app.offers.values() if each.name == name}
        for worker in alive:
            for offer in worker["offers"]:
                of, _, version = offer.rpartition("@")
                if of == name and version.isdecimal():
                    versions.setdefault(int(version), []).append(worker["name"])
        for row in found.rows:
            versions.setdefault(row["version"], [])
        schema = job.takes.schema() if job is not None and job.takes is not None else {}
        return page(
            request,
            "job.html",
            now=now,
            name=name,
            job=job,
            about=_about(job.function) if job is not None else "",
            drawing=graph.drawing(drawn),
            is_learnt=learnt,
            found=found,
            whence=whence,
            lately=lately,
            open=open_,
            versions=dict(sorted(versions.items(), reverse=True)),
            schedules=upcoming(Timetable(self._app.latest), declared.values()),
            fields=forms.fields(schema),
            schema=pretty.shown(json.dumps(schema), most=100_000) if schema else None,
        )


def parameters_name(request: Request) -> str:
    """The name in the path, if Postgres can hold it; raises `Problem` 404."""
    name: str = request.path_params["name"]
    try:
        parameters.storable(name)
    except Problem:
        raise Problem(Fault.NO_SUCH_PATH, "there is none of that name") from None
    return name[:200]


def upcoming(timetable: Timetable, rows: Any, count: int = 5) -> list[dict[str, Any]]:
    """Schedules as they stand, each with how it is declared, and its next ticks if it is on."""
    told = []
    for row in rows:
        _, declared = timetable.schedules.get(row["name"], (None, None))
        ticks = []
        if declared is not None and row["active"] and row["next_at"] is not None:
            ticks = [row["next_at"], *declared.upcoming(row["next_at"], count - 1)]
        told.append(dict(row) | {"declared": declared, "ticks": ticks})
    return told


def _about(function: Any) -> str:
    """What a job's author wrote of it; nothing, if that is only what is written of all of its kind."""
    text = getattr(function, "__doc__", None)
    return "" if text is None or text == type(function).__doc__ else str(text).strip()
