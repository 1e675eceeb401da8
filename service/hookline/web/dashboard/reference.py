"""`/problems` and `/problems/{name}`: what can go wrong, told to whoever follows the `type` of a problem."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from hookline.web.dashboard.render import as_page, page
from hookline.web.faults import BY_SLUG, Fault
from hookline.web.problems import Problem


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
