"""`POST /api/runs/{action}`: what an operator does with all runs that fit a filter."""

from __future__ import annotations

from datetime import datetime
from functools import partial
from typing import Any
from uuid import UUID

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from hookline import codec
from hookline.errors import IllegalTransition, InvalidInput
from hookline.store import search
from hookline.store.database import Database
from hookline.store.search import Wanted
from hookline.web import answers
from hookline.web.api.actions import Actions, Again, Completion, Fork, Signal
from hookline.web.api.parameters import Moment, Text
from hookline.web.api.shapes import State
from hookline.web.faults import Fault
from hookline.web.idempotency import Once
from hookline.web.problems import Problem

ACTIONS = ("cancel", "pause", "resume", "retry", "fork", "signal", "complete-callback", "delete-data")
OF_ENDED = ("retry", "delete-data")
OF_ANY = ("fork",)
MOST_AT_ONCE = 10_000

SCAN = 100_000
"""Runs that are looked at for those that fit; with an earlier `until` others are."""


class Filter(msgspec.Struct, forbid_unknown_fields=True):
    """Which runs are meant; those that fit all that is said."""

    job: Text | None = None
    scope: Text | None = None
    state: State | None = None
    source: Text | None = None
    subject: Text | None = None
    tag: Text | None = None
    since: Moment | None = None
    until: Moment | None = None


class Callback(Completion, forbid_unknown_fields=True, kw_only=True):
    """Which callback of each run, and how it is completed."""

    key: str


class Many(msgspec.Struct, forbid_unknown_fields=True):
    """The body: for which runs, whether only to see for how many, and what the action needs to know."""

    filter: Filter
    dry_run: bool = True
    signal: Signal | None = None
    fork: Fork | None = None
    callback: Callback | None = None
    retry: Again | None = None


class Fitting(msgspec.Struct, frozen=True):
    """The runs that are meant, the oldest first, and how far back that was, if there may be more."""

    runs: list[UUID]
    looked_back_to: datetime | None


class Outcome(msgspec.Struct, frozen=True):
    """What came of one of them: a new run, nothing new, or why it was refused."""

    new: UUID | None = None
    refused: str | None = None


class Bulk:
    """The route by which many runs are steered at once."""

    def __init__(self, database: Database, actions: Actions) -> None:
        self._database = database
        self._actions = actions

    async def post(self, request: Request, body: Many, once: Once) -> Response:
        """`POST /api/runs/{action}`: do it with all runs that fit; unless `dry_run` is false, only tell how many.

        With an idempotency key it is done with those that fitted at first, with each of them once.
        """
        action = request.path_params["action"]
        if action not in ACTIONS:
            raise Problem(Fault.NO_SUCH_PATH, f"runs are not {action[:50]!r}; they are {', '.join(ACTIONS)}")
        _check(action, body)
        found = await once.part("fitting", Fitting, partial(self._fitting, action, body.filter))
        runs, looked_back_to = found.runs, found.looked_back_to
        told: dict[str, Any] = {"action": action, "dry_run": body.dry_run, "fitting": len(runs)}
        told["looked_back_to"] = looked_back_to
        if body.dry_run:
            return answers.json(told | {"runs": runs[:100]})
        new, refused = {}, {}
        for run in runs:
            outcome = await once.part(str(run), Outcome, partial(self._outcome, action, run, body))
            if outcome.refused is None:
                new[str(run)] = outcome.new
            else:
                refused[str(run)] = outcome.refused
        told |= {"done": len(new), "refused": refused}
        return answers.json(told | {"new": new} if action in ("retry", "fork") else told)

    async def _fitting(self, action: str, wanted: Filter) -> Fitting:
        """The newest runs that fit."""
        among = None if action in OF_ANY else action in OF_ENDED
        named = Wanted(**msgspec.structs.asdict(wanted), is_ended=among)
        async with self._database.session() as connection:
            found = await search.runs(connection, named, limit=MOST_AT_ONCE, scan=SCAN)
        oldest = found.rows[-1]["created_at"] if found.rows else None
        ids = [row["id"] for row in reversed(found.rows)]
        return Fitting(ids, found.looked_at or (oldest if found.next is not None else None))

    async def _outcome(self, action: str, run: UUID, wanted: Many) -> Outcome:
        try:
            return Outcome(await self._do(action, run, wanted))
        except (IllegalTransition, InvalidInput, Problem) as error:
            return Outcome(refused=str(error))

    async def _do(self, action: str, run: UUID, wanted: Many) -> UUID | None:
        """Do it with one; returns the run that came of it."""
        match action:
            case "retry":
                return await self._actions.retry(run, skip=(wanted.retry or Again()).skip)
            case "fork":
                return await self._actions.fork(run, wanted.fork or Fork())
            case "signal" if wanted.signal is not None:
                await self._actions.signal(run, _each_its_own(wanted.signal, run))
            case "complete-callback" if wanted.callback is not None:
                await self._actions.complete(run, wanted.callback.key, wanted.callback)
            case "delete-data":
                await self._actions.delete_data(run)
            case "cancel" | "pause" | "resume":
                await self._actions.control(action, run)
        return None


def _check(action: str, wanted: Many) -> None:
    """Return if all that the action needs is said; raises `Problem` 422."""
    if action == "signal" and wanted.signal is None:
        raise Problem(Fault.INVALID_BODY, "say which `signal`: {name, data}")
    if action == "complete-callback" and wanted.callback is None:
        raise Problem(Fault.INVALID_BODY, "say which `callback`, and how it is completed: {key, data} or {key, error}")


def _each_its_own(signal: Signal, run: UUID) -> Signal:
    """The signal with an id that is this run's, so that the whole request may be sent again."""
    return signal if signal.id is None else msgspec.structs.replace(signal, id=codec.named_uuid(run, str(signal.id)))
