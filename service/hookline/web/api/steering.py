"""`/api/runs/{id}/...` and `/api/runs/...`: what an operator does with runs, one or many."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime
from time import monotonic
from typing import Annotated, Any, Literal
from uuid import UUID

import asyncpg
import msgspec
from starlette.requests import Request
from starlette.responses import Response

from hookline import codec, telemetry
from hookline.errors import IllegalTransition
from hookline.ingress.intake import Intake
from hookline.jobs.job import Job
from hookline.starts import hooked
from hookline.store import control, deletion, forks, views
from hookline.store.database import Connection, Database
from hookline.store.runs import NewRun
from hookline.store.signals import NewSignal
from hookline.store.states import STATES, TERMINAL
from hookline.web import answers
from hookline.web.api import parameters
from hookline.web.api.runs import as_it_stands
from hookline.web.body import Inlet
from hookline.web.problems import Problem

OF_MANY = ("cancel", "pause", "resume", "retry", "signal", "delete-data")
MOST_AT_ONCE = 10_000
LONGEST_AWAIT = 60.0
_LOOK_EVERY = 0.1


class Signal(msgspec.Struct, forbid_unknown_fields=True):
    """The body of `POST /api/runs/{id}/signals`; with an `id` it may be sent again."""

    name: Annotated[str, msgspec.Meta(min_length=1, max_length=200)]
    data: msgspec.Raw = msgspec.Raw(b"null")
    id: UUID | None = None


class Completion(msgspec.Struct, forbid_unknown_fields=True):
    """The body by which a callback is completed: with `data`, or with an `error`."""

    data: msgspec.Raw = msgspec.Raw(b"null")
    error: str | None = None


class Fork(msgspec.Struct, forbid_unknown_fields=True, rename={"from_": "from"}):
    """The body of `POST /api/runs/{id}/fork`."""

    from_: str | None = None
    input: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    version: Annotated[int, msgspec.Meta(ge=1, le=2**31 - 1)] | None = None


class Filter(msgspec.Struct, forbid_unknown_fields=True):
    """Which runs are meant; those that fit all that is said."""

    job: str | None = None
    scope: str | None = None
    state: Literal[STATES] | None = None  # type: ignore[valid-type]
    since: datetime | None = None
    until: datetime | None = None


class Many(msgspec.Struct, forbid_unknown_fields=True):
    """The body of `POST /api/runs/{action}`: for many runs at once, or to see for how many it would be."""

    filter: Filter
    dry_run: bool = True
    signal: Signal | None = None


Action = Callable[[Connection, UUID], Awaitable[Any]]


class Steering:
    """The routes by which runs are steered.

    Args:
        jobs: the latest version of each, by name, for their hooks.
    """

    def __init__(self, database: Database, intake: Intake, inlet: Inlet, jobs: Mapping[str, Job]) -> None:
        self._database = database
        self._intake = intake
        self._inlet = inlet
        self._jobs = jobs

    async def act(self, request: Request) -> Response:
        """`POST /api/runs/{id}/cancel`, `pause`, `resume`: 200 if done, 202 if its worker has been asked to."""
        run, action = parameters.id_(request, "run"), request.path_params["action"]
        async with self._database.session() as connection:
            was = await self._found(self._action(action)(connection, run), run)
        return await as_it_stands(self._database, run, 202 if was == "running" else 200)

    async def retry(self, request: Request) -> Response:
        """`POST /api/runs/{id}/retry`: a new run that goes on where this one failed."""
        run, new = parameters.id_(request, "run"), codec.uuid7()
        async with self._database.session() as connection:
            await self._found(forks.retry(connection, run, new), run)
        return await as_it_stands(self._database, new, 201)

    async def fork(self, request: Request) -> Response:
        """`POST /api/runs/{id}/fork`: a new run that begins with what this one had recorded before a call."""
        run, new = parameters.id_(request, "run"), codec.uuid7()
        async with self._inlet.json(request, Fork) as wanted:
            input_ = None if isinstance(wanted.input, msgspec.UnsetType) else _json(wanted.input)
            _storable(wanted.from_)
            async with self._database.session() as connection:
                forking = forks.fork(connection, run, new, before=wanted.from_, input_=input_, version=wanted.version)
                await self._found(forking, run)
        return await as_it_stands(self._database, new, 201)

    async def signal(self, request: Request) -> Response:
        """`POST /api/runs/{id}/signals`: 202 once it is held for the run; 409 if that has ended."""
        run = parameters.id_(request, "run")
        async with self._inlet.json(request, Signal) as wanted:
            await self._signal(run, wanted)
        return answers.json({"run": run, "signal": wanted.name}, 202)

    async def complete(self, request: Request) -> Response:
        """`POST /api/runs/{id}/callbacks/{key}`: complete a callback in the place of whoever should."""
        run, key = parameters.id_(request, "run"), request.path_params["key"]
        async with self._inlet.json(request, Completion) as wanted:
            await complete(self._intake, run, key, wanted)
        return answers.json({"run": run, "callback": key}, 202)

    async def delete_data(self, request: Request) -> Response:
        """`DELETE /api/runs/{id}/data`: 202; input, outputs and the delivery's body are deleted soon."""
        run = parameters.id_(request, "run")
        async with self._database.session() as connection:
            told = await self._found(deletion.request(connection, run), run)
        return answers.json({"run": run, "data_deletion": told}, 200 if told == "done" else 202)

    async def many(self, request: Request) -> Response:
        """`POST /api/runs/{action}`: do it with all runs that fit; unless `dry_run` is false, only tell how many."""
        action = request.path_params["action"]
        if action not in OF_MANY:
            raise Problem(404, f"runs are not {action[:50]!r}; they are {', '.join(OF_MANY)}")
        async with self._inlet.json(request, Many) as wanted:
            runs = await self._fitting(wanted.filter, unfinished=action not in ("retry", "delete-data"))
            told: dict[str, Any] = {"action": action, "dry_run": wanted.dry_run, "fitting": len(runs)}
            if wanted.dry_run:
                return answers.json(told | {"runs": runs[:100]})
            done, refused = [], {}
            for run in runs:
                try:
                    await self._one_of_many(action, run, wanted.signal)
                    done.append(run)
                except (IllegalTransition, Problem) as error:
                    refused[str(run)] = str(error)
        return answers.json(told | {"done": len(done), "refused": refused})

    async def await_(self, request: Request) -> Response:
        """`GET /api/runs/{id}/await?state=&timeout=`: the run once it is in that state, or has ended; else 408."""
        run = parameters.id_(request, "run")
        state = parameters.one_of(request, "state", STATES)
        timeout = parameters.seconds(request, "timeout", 30.0, LONGEST_AWAIT)
        deadline = monotonic() + timeout
        while True:
            async with self._database.session() as connection:
                found = await views.state(connection, run)
            if found is None:
                raise Problem(404, f"there is no run {run}")
            if found == state or found in TERMINAL:
                return await as_it_stands(self._database, run, 200)
            if monotonic() >= deadline:
                raise Problem(408, f"after {timeout:g} s run {run} is {found}")
            await asyncio.sleep(_LOOK_EVERY)

    async def debug(self, request: Request) -> Response:
        """`GET /api/runs/{id}/debug`: variables, what it waits for, what is held for it, why it is not running."""
        run = parameters.id_(request, "run")
        async with self._database.session() as connection:
            found = await views.run(connection, run)
            if found is None:
                raise Problem(404, f"there is no run {run}")
            insight = await views.insight(connection, found[0])
            variables = await views.variables(connection, run)
        return answers.json(answers.debugged(*found, insight, variables))

    async def _fitting(self, wanted: Filter, *, unfinished: bool) -> list[UUID]:
        _storable(wanted.job, wanted.scope)
        async with self._database.session() as connection:
            return await views.fitting(
                connection, **msgspec.structs.asdict(wanted), unfinished=unfinished, limit=MOST_AT_ONCE
            )

    async def _one_of_many(self, action: str, run: UUID, signal: Signal | None) -> None:
        if action == "signal":
            if signal is None:
                raise Problem(422, "say which `signal`: {name, data}")
            await self._signal(run, signal)
            return
        async with self._database.session() as connection:
            if action == "retry":
                await forks.retry(connection, run, codec.uuid7())
            elif action == "delete-data":
                await deletion.request(connection, run)
            else:
                await self._action(action)(connection, run)

    async def _signal(self, run: UUID, wanted: Signal) -> None:
        _storable(wanted.name)
        sent = await self._intake.send(NewSignal(wanted.id or codec.uuid7(), run, wanted.name, _json(wanted.data)))
        if sent == "unknown":
            raise Problem(404, f"there is no run {run}")
        if sent == "ended":
            raise IllegalTransition(f"run {run} has ended: nothing waits for {wanted.name}")

    def _action(self, action: str) -> Action:
        match action:
            case "cancel":
                return lambda connection, run: control.cancel(connection, run, self._hooks)
            case "pause":
                return lambda connection, run: control.pause(connection, run, self._hooks)
            case "resume":
                return control.resume
            case _:
                raise Problem(404, f"runs are not {action[:50]!r}")

    def _hooks(self, row: asyncpg.Record, state: str) -> tuple[NewRun, ...]:
        telemetry.RUNS.count(job=row["job"], state=state)
        job = self._jobs.get(row["job"])
        if job is None:
            return ()
        return hooked(job, self._jobs, row["id"], row["claims"], state, f"{state} by an operator")

    async def _found(self, doing: Awaitable[Any], run: UUID) -> Any:
        try:
            return await doing
        except LookupError:
            raise Problem(404, f"there is no run {run}") from None


async def complete(intake: Intake, run: UUID, key: str, wanted: Completion) -> None:
    """Complete the callback `key` of `run`, once.

    Raises:
        Problem: 400 its data are not JSON; 404 there is none; 409 it has been completed; 410 it is no longer open.
        Unavailable: it could not be committed in time.
    """
    if "\0" in key:
        raise Problem(410, "this callback is no longer open")
    told = b'{"data":' + _json(wanted.data) + b"}" if wanted.error is None else codec.encode({"error": wanted.error})
    signal = NewSignal(codec.named_uuid(run, key), run, f"callback:{key}", told, callback=key)
    match await intake.send(signal):
        case "unknown":
            raise Problem(404, f"there is no run {run}")
        case "repeated":
            raise Problem(409, "this callback has been completed already")
        case "ended" | "expired":
            raise Problem(410, "this callback is no longer open")
        case _:
            return


def _json(raw: msgspec.Raw) -> bytes:
    """What was left unread of a body, which is to be JSON all the same; raises `Problem` 400."""
    try:
        codec.decode(given := bytes(raw))
    except codec.Undecodable as error:
        raise Problem(400, f"the body is {error}") from None
    return given


def _storable(*texts: str | None) -> None:
    """Return if Postgres can hold `texts`; raises `Problem` 422."""
    if any(text is not None and "\0" in text for text in texts):
        raise Problem(422, "a name holds a NUL character")
