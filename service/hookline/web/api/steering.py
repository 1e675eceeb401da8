"""`/api/runs/{id}/...`: what an operator does with one run."""

from __future__ import annotations

import asyncio
from time import monotonic
from typing import Annotated, Literal

from msgspec import Meta, Struct
from starlette.requests import Request
from starlette.responses import Response

from hookline import codec
from hookline.store import views
from hookline.store.database import Database
from hookline.store.states import TERMINAL
from hookline.web import answers
from hookline.web.access import sees
from hookline.web.api import parameters
from hookline.web.api.actions import Actions, Again, Completion, Fork, Signal
from hookline.web.api.parameters import Text
from hookline.web.api.runs import as_it_stands
from hookline.web.api.shapes import State
from hookline.web.faults import Fault
from hookline.web.problems import Problem

LONGEST_AWAIT = 60.0
_LOOK_EVERY = 0.1


class AwaitQuery(Struct, forbid_unknown_fields=True):
    """What of a run is waited for, and for how many seconds."""

    state: State | None = None
    var: Text | None = None
    timeout: Annotated[float, Meta(ge=0, le=LONGEST_AWAIT)] = 30.0


class Steering:
    """The routes by which one run is steered."""

    def __init__(self, database: Database, actions: Actions) -> None:
        self._database = database
        self._actions = actions

    async def cancel(self, request: Request) -> Response:
        """`POST /api/runs/{id}/cancel`: 200 if done, 202 if its worker has been asked to."""
        return await self._control(request, "cancel")

    async def pause(self, request: Request) -> Response:
        """`POST /api/runs/{id}/pause`: 200 if done, 202 if its worker has been asked to."""
        return await self._control(request, "pause")

    async def resume(self, request: Request) -> Response:
        """`POST /api/runs/{id}/resume`: let a paused run go on."""
        return await self._control(request, "resume")

    async def _control(self, request: Request, action: Literal["cancel", "pause", "resume"]) -> Response:
        run = parameters.id_(request, "run")
        was = await self._actions.control(action, run)
        return await as_it_stands(self._database, request, run, 202 if was == "running" else 200)

    async def retry(self, request: Request, body: Again) -> Response:
        """`POST /api/runs/{id}/retry`: a new run that goes on where this one failed, or behind it."""
        new = await self._actions.retry(parameters.id_(request, "run"), skip=body.skip)
        return await as_it_stands(self._database, request, new, 201)

    async def fork(self, request: Request, body: Fork) -> Response:
        """`POST /api/runs/{id}/fork`: a new run that begins with what this one had recorded before a call."""
        new = await self._actions.fork(parameters.id_(request, "run"), body)
        return await as_it_stands(self._database, request, new, 201)

    async def signal(self, request: Request, body: Signal) -> Response:
        """`POST /api/runs/{id}/signals`: 202 once it is held for the run; 409 if that has ended."""
        run = parameters.id_(request, "run")
        await self._actions.signal(run, body)
        return answers.json({"run": run, "signal": body.name}, 202)

    async def complete(self, request: Request, body: Completion) -> Response:
        """`POST /api/runs/{id}/callbacks/{key}`: complete a callback in the place of whoever should."""
        run, key = parameters.id_(request, "run"), request.path_params["key"]
        await self._actions.complete(run, key, body)
        return answers.json({"run": run, "callback": key}, 202)

    async def delete_data(self, request: Request) -> Response:
        """`DELETE /api/runs/{id}/data`: 202; input, outputs and the delivery's body are deleted soon."""
        run = parameters.id_(request, "run")
        told = await self._actions.delete_data(run)
        return answers.json({"run": run, "data_deletion": told}, 200 if told == "done" else 202)

    async def await_(self, request: Request, query: AwaitQuery) -> Response:
        """`GET /api/runs/{id}/await`: the run once it is in that state, or has ended; else 408.

        `var=name=value` waits for a variable, such as the state of a machine.
        """
        run = parameters.id_(request, "run")
        variable, _, value = (query.var or "").partition("=")
        deadline = monotonic() + query.timeout
        while True:
            async with self._database.reading(payloads=sees(request), now=True) as connection:
                found = await views.state(connection, run)
                seen = (await views.variables(connection, run)).get(variable) if variable else None
            if found is None:
                raise Problem(Fault.UNKNOWN_RUN, f"there is no run {run}")
            if found == query.state or found in TERMINAL or (seen is not None and _as_text(seen) == value):
                return await as_it_stands(self._database, request, run, 200)
            if monotonic() >= deadline:
                raise Problem(Fault.NOT_YET, f"after {query.timeout:g} s run {run} is {found}")
            await asyncio.sleep(_LOOK_EVERY)

    async def debug(self, request: Request) -> Response:
        """`GET /api/runs/{id}/debug`: variables, what it waits for, what is held for it, why it is not running."""
        run = parameters.id_(request, "run")
        async with self._database.reading(payloads=sees(request), now=True) as connection:
            found = await views.run(connection, run)
            if found is None:
                raise Problem(Fault.UNKNOWN_RUN, f"there is no run {run}")
            insight = await views.insight(connection, found[0])
            variables = await views.variables(connection, run)
        return answers.json(answers.debugged(*found, insight, variables))


def _as_text(stored: bytes) -> str:
    """A variable's value as it is written in a query: a text as it is, else JSON."""
    value = codec.decode(stored)
    return value if isinstance(value, str) else stored.decode()
