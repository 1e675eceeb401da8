"""`/api/deliveries`: what came in, what became of it and why, and taking it in again."""

from __future__ import annotations

import base64
from typing import Any
from uuid import UUID

import asyncpg
import msgspec
from starlette.requests import Request
from starlette.responses import Response

from hookline import codec
from hookline.ingress.intake import Intake, remembered
from hookline.ingress.register import Register
from hookline.ingress.sources import Source
from hookline.store import deliveries, views
from hookline.store.database import Database
from hookline.web import answers
from hookline.web.api import parameters
from hookline.web.body import Inlet
from hookline.web.problems import Problem

STATUSES = ("accepted", "ignored", "quarantined", "conflict")


class Replay(msgspec.Struct, forbid_unknown_fields=True):
    """The body of `POST /api/deliveries/{id}/replay`.

    Args:
        id: of the delivery that is made, so that the request can be sent again; a new one unless it is given.
        dry_run: whether only to tell what would come of it.
    """

    id: UUID | None = None
    dry_run: bool = False


class Inbox:
    """The routes of deliveries."""

    def __init__(self, database: Database, intake: Intake, register: Register, inlet: Inlet) -> None:
        self._database = database
        self._intake = intake
        self._register = register
        self._inlet = inlet

    async def list(self, request: Request) -> Response:
        """`GET /api/deliveries?source=&key=&type=&status=&since=&until=`: the newest first, without their bodies."""
        parameters.known(request, ("source", "key", "type", "status", "since", "until"))
        page = parameters.page(request)
        async with self._database.reading() as connection:
            rows = await views.deliveries(
                connection,
                source=parameters.text(request, "source"),
                key=parameters.text(request, "key"),
                type_=parameters.text(request, "type"),
                status=parameters.one_of(request, "status", STATUSES),
                since=parameters.moment(request, "since"),
                until=parameters.moment(request, "until"),
                before=page.cursor,
                limit=page.limit,
            )
        return answers.json(answers.page("deliveries", [dict(row) for row in rows], page.limit))

    async def show(self, request: Request) -> Response:
        """`GET /api/deliveries/{id}`: its headers and body, its events, what each job made of them, and its runs.

        The body is a text, or else under `body_base64`; credentials among the headers were not kept.
        """
        id_ = parameters.id_(request, "delivery")
        async with self._database.reading() as connection:
            found = await views.delivery(connection, id_)
        if found is None:
            raise Problem(404, "there is no such delivery")
        row, started = found
        told = dict(row) | {name: _decoded(row[name]) for name in ("headers", "bindings", "events")}
        return answers.json(told | _body(told.pop("body")) | {"runs": [dict(each) for each in started]})

    async def replay(self, request: Request) -> Response:
        """`POST /api/deliveries/{id}/replay`: take it in again, through today's parser and jobs.

        A quarantined one is tried again; of another a new delivery is made, which starts new runs.
        """
        id_ = parameters.id_(request, "delivery")
        async with self._inlet.json(request, Replay) as wanted:
            pass
        async with self._database.reading() as connection:
            kept = await deliveries.kept(connection, id_)
        if kept is None:
            raise Problem(404, "there is no such delivery")
        source = await self._register.find(kept["source"])
        if source is None:
            raise Problem(409, f"source {kept['source']} is not configured, so nothing knows how to read the delivery")
        if wanted.dry_run:
            return answers.json(await self._rehearsed(source, kept))
        receipt = await self._intake.replay(source, kept, wanted.id or codec.uuid7())
        told = {"delivery": receipt.delivery, "status": receipt.status, "reason": receipt.reason, "runs": receipt.runs}
        return answers.json(told, 202)

    async def _rehearsed(self, source: Source, kept: asyncpg.Record) -> dict[str, Any]:
        examined, _ = await self._intake.examined(*remembered(source, kept))
        return {
            "delivery": kept["id"],
            "status": examined.status,
            "type": examined.type,
            "reason": examined.reason,
            "bindings": codec.decode(examined.bindings),
            "runs": [
                {"job": run.job, "version": run.version, "scope": run.scope, "priority": run.priority}
                for run in examined.runs
            ],
        }


def _decoded(given: bytes | None) -> Any:
    return None if given is None else codec.decode(given)


def _body(body: bytes) -> dict[str, str]:
    try:
        return {"body": body.decode()}
    except UnicodeDecodeError:
        return {"body_base64": base64.b64encode(body).decode("ascii")}
