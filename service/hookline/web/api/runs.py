"""`/api/runs` and `/api/jobs/{name}/runs`: look at runs and start them."""

from __future__ import annotations

from typing import Annotated, Any
from uuid import UUID

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from hookline.events import Trigger
from hookline.ingress.intake import Intake
from hookline.store import views
from hookline.store.database import Database
from hookline.store.states import STATES
from hookline.web import answers
from hookline.web.api import parameters
from hookline.web.body import Inlet
from hookline.web.problems import Problem


class StartRun(msgspec.Struct, forbid_unknown_fields=True):
    """The body of `POST /api/jobs/{name}/runs`; all of it may be left out."""

    input: Any = None
    scope: str | None = None
    priority: int = 0
    delay: Annotated[float, msgspec.Meta(ge=0)] = 0.0
    idempotency_key: str | None = None


class Runs:
    """The routes of runs."""

    def __init__(self, database: Database, intake: Intake, inlet: Inlet) -> None:
        self._database = database
        self._intake = intake
        self._inlet = inlet

    async def list(self, request: Request) -> Response:
        """`GET /api/runs?job=&scope=&state=&correlation=`: the newest first, without their data."""
        parameters.known(request, ("job", "scope", "state", "correlation"))
        page = parameters.page(request)
        async with self._database.reading() as connection:
            rows = await views.runs(
                connection,
                job=parameters.text(request, "job"),
                scope=parameters.text(request, "scope"),
                state=parameters.one_of(request, "state", STATES),
                correlation=parameters.text(request, "correlation"),
                before=page.before,
                limit=page.limit,
            )
        return answers.json(answers.page("runs", [dict(row) for row in rows], page.limit))

    async def show(self, request: Request) -> Response:
        """`GET /api/runs/{id}`: a run with its data and its journal."""
        async with self._database.reading() as connection:
            found = await views.run(connection, run := parameters.id_(request, "run"))
        if found is None:
            raise Problem(404, f"there is no run {run}")
        return answers.json(answers.run_with_data(*found))

    async def start(self, request: Request) -> Response:
        """`POST /api/jobs/{name}/runs`: start a run; 201, or 200 if its idempotency key has one already."""
        async with self._inlet.json(request, StartRun) as wanted:
            run, new = await self._intake.start(
                Trigger(
                    job=request.path_params["name"],
                    input=wanted.input,
                    scope=wanted.scope,
                    priority=wanted.priority,
                    delay=wanted.delay,
                    idempotency_key=wanted.idempotency_key,
                )
            )
        return await as_it_stands(self._database, run, 201 if new else 200)


async def as_it_stands(database: Database, run: UUID, status: int) -> Response:
    """The run with its data, as an answer to whoever has just changed it."""
    async with database.session() as connection:
        found = await views.run(connection, run)
    if found is None:
        raise Problem(404, f"there is no run {run}")
    return answers.json(answers.run_with_data(*found), status, {"Location": f"/api/runs/{run}"})
