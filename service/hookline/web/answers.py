"""Answers: what Postgres keeps, as the JSON that the API speaks."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import asyncpg
import msgspec
from starlette.responses import Response


def json(content: object, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """`content` as a JSON response; ids and times are written as text."""
    return Response(msgspec.json.encode(content), status, headers, "application/json")


def page(name: str, rows: list[dict[str, Any]], limit: int) -> dict[str, Any]:
    """A page of `rows`: under `name`, with the cursor of the `next` page if there may be one."""
    return {name: rows, "next": rows[-1]["id"] if len(rows) == limit else None}


def run(row: asyncpg.Record) -> dict[str, Any]:
    """A run without its data."""
    return dict(row)


def run_with_data(row: asyncpg.Record, journal: Iterable[asyncpg.Record]) -> dict[str, Any]:
    """A run with what went in, what came out, and its journal."""
    told = dict(row)
    body, event = told.pop("body"), told.pop("event")
    return told | {
        "event": None if event is None else {k: v for k, v in msgspec.json.decode(event).items() if k != "fields"},
        "input": _raw(body if told["input"] is None else told["input"]),
        "output": _raw(told["output"]),
        "error": _raw(told["error"]),
        "journal": [dict(each) | {"output": _raw(each["output"]), "error": _raw(each["error"])} for each in journal],
    }


def _raw(stored: bytes | None) -> msgspec.Raw | None:
    """JSON as it is stored, to the letter."""
    return None if stored is None else msgspec.Raw(stored)
