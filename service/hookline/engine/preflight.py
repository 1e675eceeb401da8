"""Preflight: whether unfinished runs would go on under an application, found out by replaying what they did."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from uuid import UUID

from hookline.app import App
from hookline.codec import uuid7
from hookline.engine import decide
from hookline.engine.execution import Execution
from hookline.engine.journal import Journal
from hookline.engine.ledger import Ledger
from hookline.engine.services import Services
from hookline.jobs.job import Job, offer
from hookline.store import claims, journal
from hookline.store.claims import Claim
from hookline.store.database import Database
from hookline.store.journal import Record

AT_ONCE = 100


@dataclass(frozen=True, slots=True)
class Divergence:
    """A run that would not go on, and why."""

    run: UUID
    job: str
    version: int
    why: str


async def check(app: App, database: Database) -> tuple[int, list[Divergence]]:
    """How many unfinished runs there are that have begun, and those that would diverge under `app`.

    No step is executed and nothing is written: the ledger that the executions are handed is never run.
    """
    jobs = {job.offer: job for job in app}
    seen, diverging, after = 0, list[Divergence](), UUID(int=0)
    with ThreadPoolExecutor(1) as threads:
        ledger = Ledger(database, uuid7(), [], lambda _: None)
        services = Services(app.latest, ledger, database, threads, lambda _run, _key: "", rehearsing=True)
        while True:
            async with database.session() as connection:
                found = await claims.unfinished(connection, after, AT_ONCE)
                journals = await journal.read(connection, [claim.id for claim in found])
            told = await asyncio.gather(
                *(_rehearse(claim, jobs, journals.get(claim.id, []), services) for claim in found)
            )
            diverging += [each for each in told if each is not None]
            seen += len(found)
            if len(found) < AT_ONCE:
                return seen, diverging
            after = found[-1].id


async def _rehearse(claim: Claim, jobs: dict[str, Job], records: list[Record], services: Services) -> Divergence | None:
    job = jobs.get(offer(claim.job, claim.version))
    if job is None:
        return Divergence(
            claim.id, claim.job, claim.version, "the application does not declare this version of the job"
        )
    recorded = Journal(claim, [each for each in records if each.kind != "undo"], services.ledger)
    try:
        finish = await asyncio.create_task(Execution(claim, job, recorded, services).run())
    except Exception as error:  # noqa: BLE001 - whatever it is, the run would not go on
        return Divergence(claim.id, claim.job, claim.version, decide.summary(error))
    why = None
    if finish is not None and finish.state == "paused":
        why = finish.reason
    elif recorded.is_replaying:
        why = f"the job does not ask for {recorded.missing()}, which the journal holds"
    elif finish is not None and finish.state == "failed" and not decide.came_from_step(finish):
        why = f"it would fail: {finish.reason}"
    return None if why is None else Divergence(claim.id, claim.job, claim.version, why)
