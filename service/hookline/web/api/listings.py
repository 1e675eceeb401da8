"""`/api/jobs`, `/api/workers` and `/api/connectors`: what there is to look at besides runs and deliveries."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping

from starlette.requests import Request
from starlette.responses import Response

from hookline import codec
from hookline.jobs.diagram import of_runs
from hookline.jobs.job import Job
from hookline.store import connectors, views, workers
from hookline.store.database import Database
from hookline.web import answers
from hookline.web.faults import Fault
from hookline.web.problems import Problem

RUNS_LOOKED_AT = 50


class Listings:
    """The routes of what this API only shows.

    Args:
        jobs: the latest version of each, by name.
    """

    def __init__(self, database: Database, jobs: Mapping[str, Job]) -> None:
        self._database = database
        self._jobs = jobs

    async def jobs(self, _: Request) -> Response:
        """`GET /api/jobs`: each job with its input's schema, and how many of its runs are unfinished, by state.

        A job that has unfinished runs but is not declared here is shown too: nobody may be able to run it.
        """
        counts: defaultdict[str, dict[str, int]] = defaultdict(dict)
        async with self._database.reading() as connection:
            for row in await views.unfinished(connection):
                counts[row["job"]][row["state"]] = row["count"]
            offered = await views.offered(connection)
        names = sorted({*self._jobs, *counts})
        return answers.json({"jobs": [self._told(name, offered, counts[name]) for name in names]})

    async def job(self, request: Request) -> Response:
        """`GET /api/jobs/{name}`: one of them."""
        name = request.path_params["name"]
        async with self._database.reading() as connection:
            unfinished = {
                row["state"]: row["count"] for row in await views.unfinished(connection) if row["job"] == name
            }
            offered = await views.offered(connection)
        if name not in self._jobs and not unfinished:
            raise Problem(Fault.UNKNOWN_JOB, f"there is no job {name[:50]!r}")
        return answers.json(self._told(name, offered, unfinished))

    def _told(self, name: str, offered: Collection[str], unfinished: Mapping[str, int]) -> dict[str, object]:
        job = self._jobs.get(name)
        return {
            "name": name,
            "version": job.version if job else None,
            "description": (job.function.__doc__ or "").strip() if job else "",
            "on": [type_ for pattern in job.on for type_ in pattern.types] if job else [],
            "scope": job.scope if job and isinstance(job.scope, str) else None,
            "input_schema": job.takes.schema() if job and job.takes else {},
            "offered": sorted(each for each in offered if each.rpartition("@")[0] == name),
            "unfinished": unfinished,
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
