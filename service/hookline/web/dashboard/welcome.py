"""`/login`: where somebody shows a token, to go on to the page that was asked for."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from hookline.web.dashboard.render import page


async def login(request: Request) -> Response:
    """`GET /login?next=`."""
    wanted = request.query_params.get("next", "/")
    is_ours = wanted.startswith("/") and not wanted.startswith(("//", "/\\"))
    return page(request, "login.html", next=wanted if is_ours else "/")
