"""The timetable: fires the ticks of an application's schedules, each once, whichever replica does."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from uuid import UUID

import asyncpg

from hookline import metrics, telemetry
from hookline.events import Trigger
from hookline.jobs.job import Job
from hookline.jobs.schedule import Schedule
from hookline.starts import asked_for, hooked
from hookline.store import control, runs, schedules
from hookline.store.database import Connection, transaction
from hookline.store.runs import NewRun


class Timetable:
    """The schedules of the latest version of each job.

    Args:
        jobs: the latest version of each, by name.
    """

    def __init__(self, jobs: Mapping[str, Job]) -> None:
        self._jobs = jobs

    @property
    def schedules(self) -> dict[str, tuple[Job, Schedule]]:
        """Each by its name, with the job that it starts."""
        return {name: (job, each) for job in self._jobs.values() for name, each in job.scheduled()}

    @property
    def names(self) -> list[str]:
        """What the schedules are called."""
        return sorted(self.schedules)

    async def declare(self, connection: Connection) -> None:
        """Make the schedules known."""
        if self.schedules:
            now = await schedules.now(connection)
            await schedules.declare(
                connection,
                [(name, job.name, each.spec, each.after(now)) for name, (job, each) in sorted(self.schedules.items())],
            )

    async def fire(self, connection: Connection) -> None:
        """Create the runs of the ticks that have come, and move the schedules on."""
        async with transaction(connection):
            for row in await schedules.due(connection, self.names):
                await self._fire(connection, row)

    async def _fire(self, connection: Connection, row: asyncpg.Record) -> None:
        name, now = row["name"], row["now"]
        _, schedule = self.schedules[name]
        ticks, missed = schedule.due(row["next_at"], now)
        fired, problem = None, None
        for tick in ticks:
            try:
                if schedule.filter is None or schedule.filter(tick):
                    await self.start(connection, name, tick)
                    fired = tick
            except Exception as error:  # noqa: BLE001 - a filter or an input that is broken stops no other schedule
                telemetry.log.exception("schedule.failed", schedule=name, at=tick)
                problem = f"the tick of {tick:%Y-%m-%d %H:%M:%S} UTC could not fire: {error!r}"[:500]
        metrics.TICKS.count(len(ticks), schedule=name, outcome="fired")
        metrics.TICKS.count(missed, schedule=name, outcome="missed")
        if ticks:
            metrics.TICK_LATENESS.time((now - ticks[-1]).total_seconds() * 1000, schedule=name)
        await schedules.advance(connection, name, schedule.after(now), fired, problem)

    async def start(self, connection: Connection, name: str, tick: datetime) -> UUID | None:
        """The run of one tick, new or the one that it has; `None` if an unfinished one stands in its way.

        Raises:
            InvalidInput: the schedule's input does not fit its job.
        """
        job, schedule = self.schedules[name]
        scope = None if schedule.overlap == "allow" else f"schedule:{name}"
        wanted = self.wanted(name, tick, scope)
        if scope is not None and schedule.overlap != "queue":
            for each in await schedules.busy(connection, job.name, scope):
                if schedule.overlap == "skip":
                    return None
                await control.cancel(connection, each["id"], self._hooks, why="its schedule ticked again")
        return (await runs.create(connection, [wanted]))[wanted.id]

    def wanted(self, name: str, tick: datetime, scope: str | None = None) -> NewRun:
        """The run of one tick; raises `InvalidInput`."""
        job, schedule = self.schedules[name]
        at = tick.isoformat().replace("+00:00", "Z")
        return asked_for(
            Trigger(
                job.name,
                {"schedule": name, "at": at} if schedule.input is None else schedule.input,
                scope=scope,
                delay=schedule.delay(name, tick),
                idempotency_key=f"schedule:{name}:{at}",
            ),
            self._jobs,
        )

    async def backfill(self, connection: Connection, name: str, ticks: Iterable[datetime]) -> int:
        """Create the runs of past ticks, those of them that have none; returns how many are new."""
        _, schedule = self.schedules[name]
        scope = None if schedule.overlap == "allow" else f"schedule:{name}"
        asked = [self.wanted(name, tick, scope) for tick in ticks if schedule.filter is None or schedule.filter(tick)]
        created = await runs.create(connection, asked)
        return sum(1 for each in asked if created[each.id] == each.id)

    def _hooks(self, row: asyncpg.Record, state: str) -> tuple[NewRun, ...]:
        job = self._jobs.get(row["job"])
        if job is None:
            return ()
        return hooked(job, self._jobs, row["id"], row["claims"], state, "its schedule ticked again")
