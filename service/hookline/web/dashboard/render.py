"""Rendering: a page, or the part of it that changes, from a template and what it shows."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from functools import wraps
from typing import Any, TypeVar
from urllib.parse import urlencode

import msgspec
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape
from starlette.requests import Request
from starlette.responses import Response

from hookline.errors import HooklineError, Unavailable
from hookline.spans import seconds
from hookline.web.access import Principal, Role
from hookline.web.dashboard import assets, words
from hookline.web.faults import Fault
from hookline.web.problems import Problem
from hookline.web.sessions import COOKIE

HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
        "form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
    ),
    "Cache-Control": "no-store",
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
    "Vary": "X-Fragment",
}

Page = TypeVar("Page", bound=Callable[..., Awaitable[Response]])


def _moment(moment: datetime | None, now: datetime | None = None, *, is_full: bool = False) -> Markup:
    """The element of a moment: how long ago, or exactly, and always exactly for whoever points at it."""
    if moment is None:
        return Markup('<span class="none">\N{EN DASH}</span>')
    told = words.exact(moment) if is_full else words.ago(moment, now or datetime.now(UTC))
    return Markup('<time datetime="{}" title="{}"{}>{}</time>').format(
        moment.astimezone(UTC).isoformat(), words.exact(moment), Markup("") if is_full else Markup(" data-ago"), told
    )


def _told(text: str) -> Markup:
    """A sentence, with what it says in backticks as code."""
    parts = escape(text).split("`")
    return Markup("").join(Markup("<code>{}</code>").format(part) if at % 2 else part for at, part in enumerate(parts))


def _seconds(start: datetime | None, end: datetime | None) -> float | None:
    return None if start is None or end is None else (end - start).total_seconds()


def _json(value: object) -> str:
    """`value` as JSON for an attribute; the template escapes it."""
    return msgspec.json.encode(value).decode()


ENVIRONMENT = Environment(
    loader=PackageLoader("hookline.web.dashboard"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
    auto_reload=False,
)
ENVIRONMENT.filters |= {
    "moment": _moment,
    "seconds": seconds,
    "span": words.span,
    "size": words.size,
    "count": words.count,
    "short": words.short,
    "address": words.web_address,
    "json": _json,
    "told": _told,
}
ENVIRONMENT.globals |= {"asset": assets.address, "seconds": _seconds}


def page(request: Request, template: str, /, status: int = 200, **shown: Any) -> Response:
    """The page of `template`; only what changes of it, if the request says so."""
    is_fragment = request.headers.get("x-fragment") == "main"
    layout = "fragment.html" if is_fragment else "layout.html"
    path = request.url.path
    text = ENVIRONMENT.get_template(template).render(
        layout=layout,
        path=path,
        who=_who(request),
        may=_permitting(request),
        now=shown.pop("now", None) or datetime.now(UTC),
        turned=_turning(request),
        **shown,
    )
    return Response(text, status, HEADERS, "text/html; charset=utf-8")


def _who(request: Request) -> Principal | None:
    """Who has logged in; `None` of whoever needed not to."""
    return request.scope.get("principal") if COOKIE in request.cookies else None


def _permitting(request: Request) -> Callable[[str], bool]:
    def may(line: str) -> bool:
        """Whether whoever sees the page may ask that of the API, which is told as in its table; nothing else is."""
        who: Principal | None = request.scope.get("principal")
        needed: Role = request.app.state.needs[line]
        return who is not None and who.may(needed)

    return may


def demand(request: Request, line: str) -> None:
    """Raise `Problem` 403 unless whoever wants a page may ask that of the API."""
    if not _permitting(request)(line):
        who: Principal = request.scope["principal"]
        needed = request.app.state.needs[line]
        raise Problem(Fault.ROLE_TOO_LOW, f"This page asks for the role {needed}, and {who.name} is {who.role}.")


def _turning(request: Request) -> Callable[..., str]:
    def turned(**changes: object) -> str:
        """The address of this page with other parameters; those that are `None` are left out."""
        query: dict[str, object] = dict(request.query_params) | changes
        told = urlencode({name: value for name, value in query.items() if value not in (None, "")})
        return f"{request.url.path}?{told}" if told else request.url.path

    return turned


def as_page(handler: Page) -> Page:
    """Have what `handler` raises for the person who asked be told on a page."""

    @wraps(handler)
    async def shown(self: Any, request: Request) -> Response:
        try:
            return await handler(self, request)
        except Problem as problem:
            return page(request, "problem.html", problem.status_code, code=problem.status_code, detail=problem.detail)
        except Unavailable:
            told = "Postgres does not answer. What was accepted is safe; this page tries again by itself."
            return page(request, "problem.html", 503, code=503, detail=told)
        except HooklineError as error:
            return page(request, "problem.html", 422, code=422, detail=str(error))

    return shown  # type: ignore[return-value]
