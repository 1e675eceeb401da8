"""Callbacks: the address that a run gave away, where an outsider or a person answers it, once."""

from __future__ import annotations

from html import escape
from string import Template
from urllib.parse import parse_qs
from uuid import UUID

import asyncpg
import msgspec
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from hookline import codec, tickets
from hookline.errors import Rejected
from hookline.ingress.intake import Intake
from hookline.ingress.schemes import Headers
from hookline.store import keys, signals
from hookline.store.database import Database
from hookline.web import answers
from hookline.web.api.actions import Completion, complete
from hookline.web.body import Gate, Limits, media_type, read
from hookline.web.faults import Fault
from hookline.web.problems import Problem

LARGEST = 1_048_576
"""Bytes that an outsider may send."""

_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; frame-ancestors 'none'"
    ),
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
    "X-Content-Type-Options": "nosniff",
}

_PAGE = Template("""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="robots" content="noindex"><title>$title</title><style>
:root { color-scheme: light dark; --ink: #1b1f24; --paper: #f6f7f9; --card: #fff; --line: #d5dae1; --soft: #57606a }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e6e9ee; --paper: #0f1216; --card: #181c22; --line: #313844; --soft: #9aa4b2 } }
body { margin: 0; min-height: 100vh; display: grid; place-items: center; background: var(--paper); color: var(--ink);
  font: 16px/1.5 system-ui, sans-serif }
main { background: var(--card); border: 1px solid var(--line); border-radius: 12px; padding: 32px; margin: 16px;
  width: min(520px, calc(100vw - 96px)) }
h1 { font-size: 1.35rem; margin: 0 0 8px } p { margin: 0 0 16px; white-space: pre-wrap }
small { color: var(--soft); display: block; margin-bottom: 20px } label { display: block; margin-bottom: 6px }
textarea, input { box-sizing: border-box; width: 100%; font: inherit; color: inherit; background: transparent;
  border: 1px solid var(--line); border-radius: 8px; padding: 8px 10px; margin-bottom: 16px }
div { display: flex; gap: 12px } button { flex: 1; font: inherit; font-weight: 600; padding: 10px; border-radius: 8px;
  border: 1px solid transparent; cursor: pointer; color: #fff }
.yes { background: #1a7f37 } .no { background: #b62324 } button:focus-visible { outline: 3px solid #4c8dff }
</style></head><body><main><h1>$title</h1>$body</main></body></html>
""")

_FORM = Template("""<small>$job &middot; run $run</small><p>$text</p><form method="post">
<label for="by">Your name</label><input id="by" name="by" maxlength="200" autocomplete="name">
<label for="comment">Comment</label><textarea id="comment" name="comment" rows="3" maxlength="5000"></textarea>
<div><button class="yes" name="verdict" value="approve">Approve</button>
<button class="no" name="verdict" value="reject">Reject</button></div></form>""")


class Callbacks:
    """The routes that need no token but the ticket in their address."""

    def __init__(self, database: Database, intake: Intake, gate: Gate, limits: Limits) -> None:
        self._database = database
        self._intake = intake
        self._gate = gate
        self._limits = Limits(min(LARGEST, limits.size), limits.time)
        self._secret: bytes | None = None

    async def show(self, request: Request) -> Response:
        """`GET /callbacks/{ticket}`: the page to approve or reject, or whether the callback is still open."""
        run, key = await self._redeemed(request)
        asked = await self._asked(run, key)
        told = codec.decode(asked["output"] or b"{}")
        page = told.get("page")
        is_open = asked["state"] == "waiting" and not asked["expired"]
        if page is None:
            return answers.json({"callback": key, "open": is_open}, 200, _HEADERS)
        body = (
            _FORM.substitute(job=escape(asked["job"]), run=run, text=escape(page["text"]))
            if is_open
            else "<p>This has been decided, or is no longer asked.</p>"
        )
        return HTMLResponse(_PAGE.substitute(title=escape(page["title"]), body=body), 200, _HEADERS)

    async def complete(self, request: Request) -> Response:
        """`POST /callbacks/{ticket}`: 202 once it is held for the run; 410 if it is not open any more."""
        run, key = await self._redeemed(request)
        asked = await self._asked(run, key)
        headers = Headers(request.headers.raw)
        with self._gate.passing() as share:
            body = await read(request, headers, share, self._limits)
            if media_type(headers) == "application/x-www-form-urlencoded":
                await complete(self._intake, run, key, Completion(data=msgspec.Raw(_verdict(body))))
                title = codec.decode(asked["output"] or b"{}").get("page", {}).get("title", key)
                page = _PAGE.substitute(title=escape(title), body="<p>Thank you: it has been recorded.</p>")
                return HTMLResponse(page, 200, _HEADERS)
            wanted = _completion(request, body)
            await complete(self._intake, run, key, wanted)
        return answers.json({"callback": key, "status": "accepted"}, 202)

    async def beat(self, request: Request) -> Response:
        """`POST /callbacks/{ticket}/heartbeat`: 200 with the seconds that are left until the next; 410 if not open."""
        run, key = await self._redeemed(request)
        async with self._database.session() as connection:
            left = await signals.beat(connection, run, key)
        if left is None:
            raise Problem(Fault.CALLBACK_CLOSED, "this callback is no longer open, or takes no heartbeats")
        return answers.json({"callback": key, "seconds": round(left, 3)})

    async def _redeemed(self, request: Request) -> tuple[UUID, str]:
        if self._secret is None:
            async with self._database.session() as connection:
                self._secret = await keys.ensure(connection, keys.CALLBACKS)
        try:
            return tickets.redeem(self._secret, request.path_params["ticket"])
        except Rejected:
            raise Problem(Fault.UNKNOWN_CALLBACK, "there is no such callback") from None

    async def _asked(self, run: UUID, key: str) -> asyncpg.Record:
        async with self._database.session() as connection:
            asked = await connection.fetchrow(signals.ASKED, run, key)
        if asked is None:
            raise Problem(Fault.UNKNOWN_CALLBACK, "there is no such callback")
        return asked


def _completion(request: Request, body: bytes) -> Completion:
    if body and media_type(Headers(request.headers.raw)) != "application/json":
        raise Problem(Fault.MEDIA_TYPE, "send application/json, or nothing")
    try:
        return msgspec.json.decode(body or b"{}", type=Completion)
    except msgspec.ValidationError as error:
        raise Problem(Fault.INVALID_BODY, f'{error}: send {{"data": ...}} or {{"error": "..."}}') from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Problem(Fault.BODY_NOT_JSON, f"the body is not JSON: {error}") from None


def _verdict(body: bytes) -> bytes:
    """What a person pressed, as JSON."""
    try:
        form = parse_qs(body.decode(), max_num_fields=10)
    except ValueError:
        raise Problem(Fault.BODY_NOT_JSON, "this is not the form of the page") from None
    verdict = form.get("verdict", [""])[0]
    if verdict not in ("approve", "reject"):
        raise Problem(Fault.INVALID_BODY, "press approve or reject")
    told = {
        "approved": verdict == "approve",
        "comment": form.get("comment", [""])[0][:5000].replace("\0", ""),
        "by": form.get("by", [""])[0][:200].replace("\0", ""),
    }
    return codec.encode(told)
