"""`/docs`: the API, to be read and tried; `/problems`: what can go wrong, for whoever follows a problem's `type`."""

from __future__ import annotations

from collections.abc import Sequence

from starlette.requests import Request
from starlette.responses import Response

from hookline.web.dashboard import pretty
from hookline.web.dashboard.calls import by_noun, calls
from hookline.web.dashboard.render import as_page, page
from hookline.web.endpoint import Endpoint
from hookline.web.faults import BY_SLUG, Fault
from hookline.web.openapi import document
from hookline.web.problems import Problem

LONGEST_SHAPE = 50_000


class ApiPage:
    """The page of the API, made of the table that answers it."""

    def __init__(self, endpoints: Sequence[Endpoint]) -> None:
        self._nouns = by_noun(calls(endpoints, document(endpoints)))

    @as_page
    async def show(self, request: Request) -> Response:
        """`GET /docs`."""
        return page(request, "docs.html", nouns=self._nouns, pretty=_laid_out)


def _laid_out(shape: str) -> pretty.Shown | None:
    return pretty.shown(shape, most=LONGEST_SHAPE)


class ProblemPages:
    """The pages of problems, which anybody may read: they tell nothing of this service but what all of them do."""

    @as_page
    async def list(self, request: Request) -> Response:
        """`GET /problems`: every type of problem."""
        return page(request, "problems.html", faults=list(Fault), one=None)

    @as_page
    async def show(self, request: Request) -> Response:
        """`GET /problems/{name}`: one of them."""
        fault = BY_SLUG.get(name := request.path_params["name"])
        if fault is None:
            raise Problem(Fault.NO_SUCH_PATH, f"there is no type of problem {name[:50]!r}; /problems lists them")
        return page(request, "problems.html", faults=[fault], one=fault)
