"""`/login`: where somebody shows a token or is sent to a provider, to go on to the page that was asked for."""

from __future__ import annotations

from urllib.parse import urlsplit

from starlette.requests import Request
from starlette.responses import Response

from hookline.web.dashboard.render import page

LONGEST_NEXT = 2000


class Welcome:
    """The page to log in on.

    Args:
        provider: the name of the one at which people can log in.
    """

    def __init__(self, provider: str | None) -> None:
        self._provider = provider

    async def show(self, request: Request) -> Response:
        """`GET /login?next=`."""
        return page(request, "login.html", next=next_of(request.query_params.get("next")), provider=self._provider)


def refusal(request: Request, status: int, why: str, next_: str) -> Response:
    """The page that says why nobody was logged in."""
    return page(request, "refused.html", status, why=why, next=next_)


def next_of(wanted: str | None) -> str:
    """`wanted` if it is a path of this service, whatever a browser makes of it; else the first page's."""
    if not wanted or len(wanted) > LONGEST_NEXT or not wanted.isascii() or not wanted.isprintable():
        return "/"  # what is not printable browsers leave out: "/\t/" is "//" to them
    is_path = wanted.startswith("/") and not wanted.startswith("//") and "\\" not in wanted
    return wanted if is_path and not urlsplit(wanted).netloc else "/"
