"""`/api/runs` and `/api/jobs/{name}/runs`: look at runs, start them, cancel them."""

from __future__ import annotations

from typing import Annotated, Any
from uuid import UUID

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from hookline import telemetry
from hookline.events import Trigger
from hookline.ingress.intake import Intake
from hookline.store import runs, views
from hookline.store.database import Database
from hookline.store.states import STATES
from hookline.web import answers
from hookline.web.api import parameters
from hookline.web.body import Gate, Limits, media_type, read
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

    def __init__(self, database: Database, intake: Intake, gate: Gate, limits: Limits) -> None:
        self._database = database
        self._intake = intake
        self._gate = gate
        self._limits = limits

    async def list(self, request: Request) -> Response:
        """`GET /api/runs?job=&scope=&state=`: the newest first, without their data."""
        parameters.known(request, ("job", "scope", "state"))
        page = parameters.page(request)
        async with self._database.reading() as connection:
            rows = await views.runs(
                connection,
                job=parameters.text(request, "job"),
                scope=parameters.text(request, "scope"),
                state=parameters.one_of(request, "state", STATES),
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
        if media_type(request) != "application/json":
            raise Problem(415, "send application/json", close=True)
        with self._gate.passing() as share:
            wanted = _parsed(await read(request, share, self._limits))
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
        return await self._as_it_stands(run, 201 if new else 200)

    async def cancel(self, request: Request) -> Response:
        """`POST /api/runs/{id}/cancel`: 200 if it is cancelled, 202 if its worker has been asked to."""
        run = parameters.id_(request, "run")
        async with self._database.session() as connection:
            try:
                job, was = await runs.cancel(connection, run)
            except LookupError:
                raise Problem(404, f"there is no run {run}") from None
        if was != "running":
            telemetry.RUNS.count(job=job, state="cancelled")
        return await self._as_it_stands(run, 202 if was == "running" else 200)

    async def _as_it_stands(self, run: UUID, status: int) -> Response:
        async with self._database.session() as connection:
            found = await views.run(connection, run)
        if found is None:
            raise Problem(404, f"there is no run {run}")
        return answers.json(answers.run_with_data(*found), status, {"Location": f"/api/runs/{run}"})


def _parsed(body: bytes) -> StartRun:
    try:
        return msgspec.json.decode(body or b"{}", type=StartRun)
    except msgspec.ValidationError as error:
        raise Problem(422, str(error)) from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Problem(400, f"the body is not JSON: {error}") from None
