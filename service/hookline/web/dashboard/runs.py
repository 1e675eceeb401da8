"""`/runs` and `/runs/{id}`: find runs; see what one does, where it stands, why, and what can be done."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import asyncpg
import msgspec
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from hookline.app import App
from hookline.ingress.register import Register
from hookline.jobs.diagram import of_runs
from hookline.store import excerpts, logs, search, views
from hookline.store.database import Connection, Database
from hookline.store.search import Wanted
from hookline.store.states import STATES, TERMINAL
from hookline.web import answers
from hookline.web.access import sees
from hookline.web.api import parameters
from hookline.web.api.logs import line
from hookline.web.dashboard import asked, graph, pretty
from hookline.web.dashboard.render import as_page, page
from hookline.web.dashboard.timeline import timeline
from hookline.web.faults import Fault
from hookline.web.problems import Problem

WITHIN = {"15m": timedelta(minutes=15), "1h": timedelta(hours=1), "6h": timedelta(hours=6), "1d": timedelta(days=1),
          "7d": timedelta(days=7), "30d": timedelta(days=30)}  # fmt: skip
"""How far back a list may be asked to go."""

SHOWN_LINES = 300
"""Lines of a log that a page shows, the last ones."""

FILTERS = ("job", "scope", "source", "subject", "tag")

BULK = {"cancel": "Cancel", "pause": "Pause", "resume": "Resume", "retry": "Retry"}


class RunPages:
    """The pages of runs."""

    def __init__(self, app: App, database: Database, register: Register) -> None:
        self._app = app
        self._database = database
        self._register = register

    @as_page
    async def list(self, request: Request) -> Response:
        """`GET /runs?job=&state=&scope=&source=&subject=&tag=&within=&since=&until=`."""
        given = {name: asked.text(request, name) or None for name in FILTERS}
        named: dict[str, Any] = given
        state = asked.one_of(request, "state", ("", *STATES)) or None
        since, until = times(request)
        paging = asked.page(request)
        async with self._database.reading() as connection:
            wanted = Wanted(state=state, since=since, until=until, **named)
            found = await search.runs(connection, wanted, before=paging.cursor, limit=paging.limit)
            whence = await search.whence(connection, found.rows)
        bulk = given | {"state": state, "since": since, "until": until}
        return page(
            request,
            "runs.html",
            found=found,
            whence=whence,
            jobs=sorted(self._app.latest),
            sources=sorted(await self._register.known()),
            states=STATES,
            within=list(WITHIN),
            query=request.query_params,
            filter={name: each for name, each in bulk.items() if each is not None},
            bulk=BULK,
            is_filtered=any(request.query_params.get(name) for name in (*FILTERS, "state", "within")),
        )

    @as_page
    async def find(self, request: Request) -> Response:
        """`GET /find?q=`: to what has that id, or was sent under that key."""
        text = (asked.text(request, "q") or "").strip()[:500]
        known = await self._register.known()
        async with self._database.reading() as connection:
            found = await excerpts.find(connection, sorted(known), text)
        if found is None:
            raise Problem(
                Fault.UNKNOWN_RUN,
                f"no run and no delivery has the id {text[:100]!r}, and no sender gave a delivery that id",
            )
        return RedirectResponse(f"/{found[0]}/{found[1]}", 303)

    @as_page
    async def show(self, request: Request) -> Response:
        """`GET /runs/{id}`."""
        id_ = parameters.id_(request, "run")
        async with self._database.reading(payloads=sees(request)) as connection:
            found = await excerpts.run(connection, id_)
            if found is None:
                raise Problem(Fault.UNKNOWN_RUN, f"there is no run {id_}")
            run, journal, total = found
            insight = await views.insight(connection, run)
            variables = await views.variables(connection, id_)
            origin = await excerpts.origin(connection, run["delivery"]) if run["delivery"] else None
            log = await said(connection, request, id_)
            calls = await logs.last_of_run(connection, id_, kind="call", limit=9)
            related = await excerpts.names(connection, _related(run, journal, insight))
        job = self._app.offers.get(f"{run['job']}@{run['version']}") or self._app.latest.get(run["job"])
        keys = [
            each["key"] for each in journal if each["kind"] not in ("var", "patch") and each["state"] != "abandoned"
        ]
        diagram = (job.diagram if job is not None else None) or of_runs([keys])
        return page(
            request,
            "run.html",
            now=run["now"],
            run=run,
            why=answers.why(run, insight),
            is_over=run["state"] in TERMINAL,
            journal={each["key"]: each for each in journal},
            total=total,
            timeline=timeline(run, journal, run["now"]),
            drawing=graph.drawing(diagram, states(diagram_states(run, journal, variables))),
            is_learnt=job is None or job.diagram is None,
            insight=insight,
            log=log,
            calls=[line(each) for each in reversed(calls)],
            variables={name: pretty.shown(value, most=excerpts.LITTLE) for name, value in variables.items()},
            origin=origin,
            bindings=_bindings(origin, run),
            event=_envelope(run["event"]),
            input=pretty.shown(run["body"] if run["input"] is None else run["input"], most=excerpts.MOST),
            output=pretty.shown(run["output"], most=excerpts.MOST),
            error=failure(run["error"]),
            failure=failure,
            shown=lambda text: pretty.shown(text, most=excerpts.LITTLE),
            related=related,
            children=_children(journal),
            asked=[_asked(each) for each in insight.waits if each["kind"] == "callback"],
            awaited=[
                each["key"].rpartition("/")[2].partition("#")[0] for each in insight.waits if each["kind"] == "signal"
            ],
        )


async def said(connection: Connection, request: Request, run: UUID) -> dict[str, Any]:
    """The last lines of `run` that fit `?level=&step=&said=`; raises `Problem` 422."""
    level = asked.one_of(request, "level", ("", *logs.LEVELS)) or None
    step = asked.text(request, "step") or None
    kind = "call" if asked.one_of(request, "said", ("", "calls")) else None
    least = logs.LEVELS[level] if level else None
    rows = await logs.last_of_run(connection, run, level=least, step=step, kind=kind, limit=SHOWN_LINES)
    return {
        "lines": [line(each) for each in rows],
        "is_cut": len(rows) == SHOWN_LINES,
        "dropped": await logs.dropped(connection, run),
        "levels": ("all", "info", "warning", "error"),
        "level": level,
        "step": step,
        "kind": kind,
        "is_filtered": any((level, step, kind)),
    }


def times(request: Request) -> tuple[datetime | None, datetime | None]:
    """From `?within=`, or `?since=`, and `?until=`; raises `Problem` 422."""
    within = asked.one_of(request, "within", ("", *WITHIN))
    since = datetime.now(UTC) - WITHIN[within] if within else _moment(request, "since")
    return since, _moment(request, "until")


def _moment(request: Request, name: str) -> datetime | None:
    return asked.moment(request, name) if request.query_params.get(name) else None


def failure(stored: bytes | str | None) -> dict[str, Any] | None:
    """The type, the message and the traceback of an error that is stored."""
    if stored is None:
        return None
    try:
        told = msgspec.json.decode(stored)
    except msgspec.MsgspecError:
        told = {"message": stored}
    told = told if isinstance(told, dict) else {"message": told}
    return {name: str(told.get(name) or "") for name in ("type", "message", "traceback")}


def diagram_states(
    run: asyncpg.Record, journal: Sequence[asyncpg.Record], variables: Mapping[str, bytes]
) -> dict[str, list[str]]:
    """The states of the calls that belong to each node of a diagram, by its name."""
    found: dict[str, list[str]] = {}
    for each in journal:
        if each["kind"] in ("var", "patch", "undo"):
            continue
        parts = ["*" if part.isdecimal() else part for part in (p.partition("#")[0] for p in each["key"].split("/"))]
        for end in range(1, len(parts) + 1):
            found.setdefault("/".join(parts[:end]), []).append(each["state"])
    at = variables.get("state")
    if at is not None:  # of a machine: where it stands
        found.setdefault(at.decode("utf-8", "replace").strip('"'), []).append(run["state"])
    return found


def states(found: Mapping[str, list[str]]) -> dict[str, str]:
    """The one state that is shown of each node."""
    return {name: graph.worst(each) for name, each in found.items()}


def _related(run: asyncpg.Record, journal: Sequence[asyncpg.Record], insight: views.Insight) -> list[UUID]:
    ids = [run[name] for name in ("parent", "forked_from", "superseded_by")] + list(_children(journal).values())
    return [each for each in ids if each is not None] + ([insight.ahead["id"]] if insight.ahead else [])


def _children(journal: Sequence[asyncpg.Record]) -> dict[str, UUID]:
    """The runs that open calls of a run have started, by the calls' keys: those that are over tell what came of it."""
    found = {}
    for each in journal:
        if (
            each["kind"] in ("child", "start")
            and each["output"]
            and (each["kind"] == "start" or each["state"] == "waiting")
        ):
            try:
                found[each["key"]] = UUID(each["output"].decode().strip('"'))
            except ValueError:
                continue
    return found


def _bindings(origin: asyncpg.Record | None, run: asyncpg.Record) -> list[dict[str, Any]]:
    if origin is None or origin["bindings"] is None:
        return []
    bindings = msgspec.json.decode(origin["bindings"])
    return [each for each in bindings if each["job"] == run["job"]] if isinstance(bindings, list) else []


def _envelope(stored: bytes | None) -> dict[str, Any] | None:
    """The event that started a run, unless it is withheld."""
    told = None if stored is None else msgspec.json.decode(stored)
    return told if isinstance(told, dict) else None


def _asked(wait: asyncpg.Record) -> dict[str, Any]:
    told = msgspec.json.decode(wait["output"] or b"{}")
    return {"key": wait["key"], "due_at": wait["due_at"], "page": told.get("page") if isinstance(told, dict) else None}
