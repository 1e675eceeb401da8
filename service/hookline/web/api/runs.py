"""`/api/runs` and `/api/jobs/{name}/runs`: look at runs and start them."""

from __future__ import annotations

from typing import Annotated, Any
from uuid import UUID

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from hookline.events import Trigger
from hookline.ingress.intake import Intake
from hookline.store import search, views
from hookline.store.database import Database
from hookline.store.search import Wanted
from hookline.web import answers
from hookline.web.access import sees
from hookline.web.api import parameters
from hookline.web.api.parameters import Moment, Page, Text
from hookline.web.api.shapes import State
from hookline.web.faults import Fault
from hookline.web.problems import Problem


class StartRun(msgspec.Struct, forbid_unknown_fields=True):
    """The body of `POST /api/jobs/{name}/runs`; all of it may be left out."""

    input: Any = None
    scope: str | None = None
    priority: int = 0
    delay: Annotated[float, msgspec.Meta(ge=0)] = 0.0
    idempotency_key: str | None = None
    tags: list[str] = []


class RunsQuery(Page, kw_only=True):
    """Which runs are wanted: those that fit all that is said."""

    job: Text | None = None
    scope: Text | None = None
    state: State | None = None
    correlation: Text | None = None
    source: Text | None = None
    subject: Text | None = None
    tag: Text | None = None
    since: Moment | None = None
    until: Moment | None = None


class Runs:
    """The routes of runs."""

    def __init__(self, database: Database, intake: Intake) -> None:
        self._database = database
        self._intake = intake

    async def list(self, _: Request, query: RunsQuery) -> Response:
        """`GET /api/runs`: the newest first, without their data; a page that is not full may have a next one."""
        async with self._database.reading() as connection:
            wanted = Wanted(
                job=query.job,
                state=query.state,
                scope=query.scope,
                correlation=query.correlation,
                source=query.source,
                subject=query.subject,
                tag=query.tag,
                since=query.since,
                until=query.until,
            )
            found = await search.runs(connection, wanted, before=query.cursor, limit=query.limit)
        return answers.json(answers.found("runs", found))

    async def show(self, request: Request) -> Response:
        """`GET /api/runs/{id}`: a run with its data and its journal."""
        async with self._database.reading(payloads=sees(request)) as connection:
            found = await views.run(connection, run := parameters.id_(request, "run"))
        if found is None:
            raise Problem(Fault.UNKNOWN_RUN, f"there is no run {run}")
        return answers.json(answers.run_with_data(*found))

    async def start(self, request: Request, body: StartRun) -> Response:
        """`POST /api/jobs/{name}/runs`: start a run; 201, or 200 if its idempotency key has one already."""
        run, new = await self._intake.start(
            Trigger(
                job=request.path_params["name"],
                input=body.input,
                scope=body.scope,
                priority=body.priority,
                delay=body.delay,
                idempotency_key=body.idempotency_key,
                tags=body.tags,
            )
        )
        return await as_it_stands(self._database, request, run, 201 if new else 200)


async def as_it_stands(database: Database, request: Request, run: UUID, status: int) -> Response:
    """The run with its data, as an answer to whoever has just changed it."""
    async with database.reading(payloads=sees(request), now=True) as connection:
        found = await views.run(connection, run)
    if found is None:
        raise Problem(Fault.UNKNOWN_RUN, f"there is no run {run}")
    return answers.json(answers.run_with_data(*found), status, {"Location": f"/api/runs/{run}"})
