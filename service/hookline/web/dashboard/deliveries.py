"""`/deliveries`: what came in, what became of it and why; one as it came, and two side by side."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any
from uuid import UUID

import asyncpg
import msgspec
from starlette.requests import Request
from starlette.responses import Response

from hookline.ingress.register import Register
from hookline.store import excerpts, inbox
from hookline.store.database import Database
from hookline.store.delivery import Status
from hookline.store.inbox import Filter
from hookline.web.access import sees
from hookline.web.api import parameters
from hookline.web.dashboard import asked, pretty
from hookline.web.dashboard.render import as_page, page
from hookline.web.dashboard.runs import WITHIN, times
from hookline.web.faults import Fault
from hookline.web.problems import Problem

STATUSES: tuple[Status, ...] = ("accepted", "ignored", "quarantined", "conflict")

WITHHELD = "[encrypted]"

SAID = ("source", "type", "subject", "key")


class DeliveryPages:
    """The pages of deliveries.

    Args:
        url: where senders reach the service.
    """

    def __init__(self, database: Database, register: Register, url: str) -> None:
        self._database = database
        self._register = register
        self._url = url

    @as_page
    async def list(self, request: Request) -> Response:
        """`GET /deliveries?source=&status=&type=&subject=&key=&within=&since=&until=`."""
        source, type_, subject, key = (asked.text(request, name) or None for name in SAID)
        status = asked.one_of(request, "status", STATUSES) if request.query_params.get("status") else None
        since, until = times(request)
        paging = asked.page(request)
        wanted = Filter(source, key, type_, subject, status, since, until)
        async with self._database.reading() as connection:
            found = await inbox.listed(connection, wanted, before=paging.cursor, limit=paging.limit)
        return page(
            request,
            "deliveries.html",
            found=found,
            sources=sorted(await self._register.known()),
            statuses=STATUSES,
            within=[*WITHIN],
            query=request.query_params,
            url=self._url,
            is_filtered=any(request.query_params.get(name) for name in (*SAID, "status", "within")),
        )

    @as_page
    async def show(self, request: Request) -> Response:
        """`GET /deliveries/{id}`."""
        row, started, before = await self._read(request, parameters.id_(request, "delivery"))
        headers = _headers(row)
        is_withheld = _list(row["headers"]) is None
        return page(
            request,
            "delivery.html",
            row=row,
            started=started,
            before=before,
            headers=headers,
            is_withheld=is_withheld,
            body=pretty.shown(row["body"], most=excerpts.MOST),
            bindings=_list(row["bindings"]) or [],
            events=_list(row["events"]) or [],
            curl=pretty.curl(f"{self._url}/webhooks/{row['source']}", headers, row["body"])
            if row["size"] < excerpts.MOST and not is_withheld
            else None,
            is_configured=row["source"] in await self._register.known(),
        )

    @as_page
    async def compare(self, request: Request) -> Response:
        """`GET /deliveries/compare?a=&b=`."""
        rows = []
        for name in ("a", "b"):
            try:
                rows.append((await self._read(request, UUID((asked.text(request, name) or "").strip())))[0])
            except ValueError:
                raise Problem(Fault.INVALID_PARAMETER, "give the ids of two deliveries") from None
        texts = [
            (
                "\n".join(f"{name}: {value}" for name, value in sorted(_headers(row))),
                pretty.shown(row["body"], most=excerpts.MOST),
            )
            for row in rows
        ]
        (a_headers, a_body), (b_headers, b_body) = texts
        return page(
            request,
            "compare.html",
            rows=rows,
            headers=pretty.compared(a_headers, b_headers, 1),
            body=await asyncio.to_thread(pretty.compared, a_body.text if a_body else "", b_body.text if b_body else ""),
            is_cut=any(body is not None and body.cut for _, body in texts),
        )

    async def _read(
        self, request: Request, id_: UUID
    ) -> tuple[asyncpg.Record, Sequence[asyncpg.Record], asyncpg.Record | None]:
        """The delivery, the runs that it started, and the one before it of the same source and type."""
        async with self._database.reading(payloads=sees(request)) as connection:
            found = await excerpts.delivery(connection, id_)
            if found is None:
                raise Problem(Fault.UNKNOWN_DELIVERY, f"there is no delivery {id_}")
            row, started = found
            same = Filter(source=row["source"], type=row["type"])
            before = await inbox.listed(connection, same, before=id_, limit=1)
        return row, started, before.rows[0] if before.rows else None


def _headers(row: asyncpg.Record) -> list[tuple[str, str]]:
    headers = _list(row["headers"])
    return [(str(name), str(value)) for name, value in headers] if headers is not None else [("", WITHHELD)]


def _list(stored: bytes | None) -> list[Any] | None:
    """A list that is stored; `None` of what is withheld."""
    told = [] if stored is None else msgspec.json.decode(stored)
    return told if isinstance(told, list) else None
