"""`/api/jobs`, `/api/workers` and `/api/connectors`: what there is to look at besides runs and deliveries."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping

from starlette.requests import Request
from starlette.responses import Response

from hookline import codec
from hookline.jobs.diagram import of_runs
from hookline.jobs.job import Job, Scope
from hookline.spans import seconds
from hookline.store import connectors, overview, views, workers
from hookline.store.database import Database
from hookline.terms import Debounce, Terms
from hookline.web import answers
from hookline.web.faults import Fault
from hookline.web.problems import Problem

RUNS_LOOKED_AT = 50

UNDECLARED: dict[str, object] = {
    "version": None, "description": "", "on": [], "picks": [], "scope": None, "terms": None, "correlate": None,
    "attempts": None, "timeout": None, "on_error": None, "input_schema": {},
}  # fmt: skip


class Listings:
    """The routes of what this API only shows.

    Args:
        jobs: the latest version of each, by name.
    """

    def __init__(self, database: Database, jobs: Mapping[str, Job]) -> None:
        self._database = database
        self._jobs = jobs

    async def jobs(self, _: Request) -> Response:
        """`GET /api/jobs`: what this application declares, who offers it, and how many runs are unfinished.

        A job that has unfinished runs but is not declared here is shown too: nobody may be able to run it.
        """
        return answers.json({"jobs": list((await self._told()).values())})

    async def job(self, request: Request) -> Response:
        """`GET /api/jobs/{name}`: one of them."""
        name = request.path_params["name"]
        if (told := (await self._told()).get(name)) is None:
            raise Problem(Fault.UNKNOWN_JOB, f"there is no job {name[:50]!r}")
        return answers.json(told)

    async def _told(self) -> dict[str, dict[str, object]]:
        """What there is to tell of each job, by its name."""
        counts: defaultdict[str, dict[str, int]] = defaultdict(dict)
        at_least: defaultdict[str, list[str]] = defaultdict(list)
        async with self._database.reading() as connection:
            for row in await overview.open_by_job(connection):
                counts[row["job"]][row["state"]] = row["count"]
                at_least[row["job"]] += [row["state"]] if row["is_more"] else []
            offered = await views.offered(connection)
        return {
            name: {"name": name}
            | _declared(self._jobs.get(name))
            | {
                "offered": sorted(each for each in offered if each.rpartition("@")[0] == name),
                "unfinished": counts[name],
                "at_least": at_least[name],
            }
            for name in sorted({*self._jobs, *counts})
        }

    async def graph(self, request: Request) -> Response:
        """`GET /api/jobs/{name}/graph`: what the job may do, as nodes, edges and Mermaid.

        Of a coroutine, whose code only shows by running, what its newest runs have done.
        """
        job = self._jobs.get(name := request.path_params["name"])
        if job is None:
            raise Problem(Fault.UNKNOWN_JOB, f"there is no job {name[:50]!r}")
        if (drawn := job.diagram) is None:
            async with self._database.reading() as connection:
                drawn = of_runs(await views.recent_calls(connection, name, RUNS_LOOKED_AT))
        return answers.json({"job": name, "nodes": drawn.nodes, "edges": drawn.edges, "mermaid": drawn.mermaid()})

    async def connectors(self, _: Request) -> Response:
        """`GET /api/connectors`: every foreign stream, how far it was read, and what is wrong with it."""
        async with self._database.reading() as connection:
            rows = await connectors.listed(connection)
        told = [dict(row) | {"cursor": None if row["cursor"] is None else codec.decode(row["cursor"])} for row in rows]
        return answers.json({"connectors": told})

    async def workers(self, _: Request) -> Response:
        """`GET /api/workers`: every worker that has a row, with what is left of its lease."""
        async with self._database.reading() as connection:
            rows = await workers.listed(connection)
        return answers.json({"workers": [dict(row) for row in rows]})


def _declared(job: Job | None) -> dict[str, object]:
    """What this application says of a job, if it has it."""
    if job is None:
        return UNDECLARED
    return {
        "version": job.version,
        "description": (job.function.__doc__ or "").strip(),
        "on": [type_ for pattern in job.on for type_ in pattern.types],
        "picks": [str(pattern) for pattern in job.on],
        "scope": _template(job.scope),
        "terms": None if job.scope is None else _terms(job.terms),
        "correlate": _template(job.correlate),
        "attempts": job.retry.attempts,
        "timeout": job.timeout,
        "on_error": job.on_error,
        "input_schema": job.takes.schema() if job.takes else {},
    }


def _template(given: Scope) -> str | None:
    """A template as it was written; what a function answers nobody knows before."""
    return given if isinstance(given, str) else None


def _terms(terms: Terms) -> dict[str, object]:
    quiet = terms.policy if isinstance(terms.policy, Debounce) else None
    return {
        "policy": "debounce" if quiet else terms.policy,
        "limit": terms.limit,
        "rate": None if terms.rate is None else {"count": terms.rate.count, "per": seconds(terms.rate.per)},
        "quiet": None if quiet is None else seconds(quiet.quiet),
        "at_most": None if quiet is None or quiet.at_most is None else seconds(quiet.at_most),
    }
