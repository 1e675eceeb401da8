"""Answers: what Postgres keeps, as the JSON that the API speaks."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import asyncpg
import msgspec
from starlette.responses import Response, StreamingResponse

from hookline import codec
from hookline.peek import LARGE
from hookline.store.search import Found
from hookline.store.views import Insight


class _Json(Response):
    """What starlette makes of the same arguments, in a third of the time: each webhook is answered by one."""

    media_type = "application/json"
    background = None

    def __init__(self, body: bytes, status: int, headers: Mapping[str, str]) -> None:
        self.body, self.status_code = body, status
        self.raw_headers = [(b"content-length", b"%d" % len(body)), (b"content-type", b"application/json")]
        self.raw_headers += [(name.lower().encode("latin-1"), each.encode("latin-1")) for name, each in headers.items()]


def json(content: object, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """`content` as a JSON response; ids and times are written as text."""
    return _Json(msgspec.json.encode(content), status, headers or {})


def with_body(told: Mapping[str, object], body: bytes) -> Response:
    """`told` as a JSON response, with `body` as a text, or else under `body_base64`; a large one goes out in parts."""
    written = _written(told, body)
    if len(body) <= LARGE:
        return Response(b"".join(written), media_type="application/json")
    return StreamingResponse(written, media_type="application/json")


def _written(told: Mapping[str, object], body: bytes) -> Iterator[bytes]:
    yield msgspec.json.encode(told)[:-1]
    try:
        for _ in codec.texts(body):
            pass
    except UnicodeDecodeError:
        yield b',"body_base64":"'
        for start in range(0, len(body), 3 * codec.PART):
            yield base64.b64encode(body[start : start + 3 * codec.PART])
    else:
        yield b',"body":"'
        for text in codec.texts(body):
            yield msgspec.json.encode(text)[1:-1]
    yield b'"}'


def page(name: str, rows: list[dict[str, Any]], limit: int) -> dict[str, Any]:
    """A page of `rows`: under `name`, with the cursor of the `next` page if there may be one."""
    return {name: rows, "next": rows[-1]["id"] if len(rows) == limit else None}


def found(name: str, page: Found) -> dict[str, Any]:
    """A page of what was looked for, under `name`, with the `next` one's cursor, and how far back it has looked."""
    return {name: [dict(row) for row in page.rows], "next": page.next, "looked_back_to": page.looked_at}


def run_with_data(row: asyncpg.Record, journal: Iterable[asyncpg.Record]) -> dict[str, Any]:
    """A run with what went in, what came out, and its journal."""
    told = dict(row)
    body, event = told.pop("body"), told.pop("event")
    return told | {
        "event": None if event is None else _without_fields(msgspec.json.decode(event)),
        "input": raw(body if told["input"] is None else told["input"]),
        "output": raw(told["output"]),
        "error": raw(told["error"]),
        "journal": [dict(each) | {"output": raw(each["output"]), "error": raw(each["error"])} for each in journal],
    }


def _without_fields(event: Any) -> Any:
    """An event's envelope as it is told; what was withheld of it as it is."""
    return {k: v for k, v in event.items() if k != "fields"} if isinstance(event, dict) else event


def debugged(
    row: asyncpg.Record, journal: Iterable[asyncpg.Record], insight: Insight, variables: Mapping[str, bytes]
) -> dict[str, Any]:
    """A run with all that explains why it does what it does."""
    underneath = insight.underneath
    return run_with_data(row, journal) | {
        "why": why(row, insight),
        "offered": underneath["offered"],
        "control": underneath["control"],
        "losses": underneath["losses"],
        "claims": underneath["claims"],
        "variables": {name: msgspec.Raw(value) for name, value in variables.items()},
        "waits": [
            {"key": each["key"], "kind": each["kind"], "state": each["state"], "due_at": each["due_at"]}
            for each in insight.waits
        ],
        "held": {each["name"]: each["held"] for each in insight.held},
        "children": [dict(each) for each in insight.children],
    }


def why(row: asyncpg.Record, insight: Insight) -> str:
    """Why the run is not running, or that it is, in one sentence."""
    underneath, state = insight.underneath, row["state"]
    if state == "blocked" and insight.ahead is not None:
        return f"run {insight.ahead['id']} of the same scope is {insight.ahead['state']} and goes first"
    if state == "paused":
        return f"it is paused: {row['reason']}"
    if state == "running":
        asked = f", and has been asked to {underneath['control']}" if underneath["control"] else ""
        return f"worker {underneath['worker_id']} runs it{asked}"
    if state in ("queued", "blocked") and not underneath["offered"]:
        return f"no live worker offers {row['job']} version {row['version']}"
    if state == "queued":
        return (
            f"it is due at {row['due_at']:%Y-%m-%d %H:%M:%S%z}"
            if underneath["early"]
            else "it is due: a worker with a free slot takes it"
        )
    if state == "waiting":
        return "it waits for " + (", ".join(f"{each['kind']} {each['key']}" for each in insight.waits[:5]) or "a time")
    return f"it has {state}"


def raw(stored: bytes | None) -> msgspec.Raw | None:
    """JSON as it is stored, to the letter."""
    return None if stored is None else msgspec.Raw(stored)
