"""Scrubbing: what is left of a run when its data are deleted."""

from __future__ import annotations

from collections.abc import Mapping

from hookline import codec, telemetry
from hookline.codec import Unopened
from hookline.jobs.job import Job
from hookline.starts import hooked
from hookline.store import deletion, runs
from hookline.store.database import Connection, transaction


async def scrub_requested(connection: Connection, jobs: Mapping[str, Job]) -> None:
    """Delete the data of the runs of which that was requested; of their inputs the user's scrubbers leave what they do.

    Args:
        jobs: the latest version of each, by name.
    """
    async with transaction(connection):
        for row in await deletion.take(connection):
            if any(type(each) is Unopened for each in (row["body"], row["input"])):
                telemetry.log.error("scrub.unsealable", run=row["id"], next="a replica that has the key will do it")
                continue
            job = jobs.get(row["job"])
            await deletion.delete(connection, row["id"], _scrubbed(job, row["body"] or row["input"]))
            if job is not None:
                reason = "its data were deleted"
                hooks = hooked(job, jobs, row["id"], row["claims"], "data_deleted", reason)
                await runs.create(connection, hooks)
            telemetry.log.info("run.data_deleted", run=row["id"], job=row["job"])


def _scrubbed(job: Job | None, input_: bytes | None) -> bytes:
    if job is None or job.scrub is None or input_ is None:
        return codec.NULL
    try:
        return codec.encode(job.scrub(codec.decode(input_)))
    except Exception:  # noqa: BLE001 - what the scrubber cannot make sense of is not kept
        telemetry.log.exception("scrub.failed", job=job.name)
        return codec.NULL
