"""Reconciling: a job of each source that asks its provider what it sent of late, and gets what never arrived."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from pydantic import AwareDatetime, BaseModel, ConfigDict

from hookline import metrics, telemetry
from hookline.app import App
from hookline.errors import Unavailable
from hookline.ingress.intake import Intake
from hookline.ingress.reconcilers.api import Failed, Limited, Refused
from hookline.ingress.reconcilers.configured import configured
from hookline.ingress.reconcilers.fates import Fate, Missing, decide
from hookline.ingress.reconcilers.provider import Listed, Provider
from hookline.ingress.reconcilers.report import LATE, Begun, Report, report, settled_by
from hookline.jobs.context import Context
from hookline.jobs.current import current_step
from hookline.jobs.job import JobFunction
from hookline.jobs.retry import Retry
from hookline.jobs.step import Step
from hookline.settings import Settings
from hookline.store import reconciling
from hookline.store.database import Database

PREFIX = "hookline.reconcile."
"""What the name of a source's job begins with."""

BATCH = 20
"""Deliveries that are asked for before it is looked whether any of them comes."""

MOST = 1000
"""Deliveries that one pass asks for; the next asks for the rest."""

PATIENCE, LOOK = 20.0, 0.5
"""Seconds that what was asked for has to arrive, and between two looks whether it has."""

MOST_WAITS = 5
"""Times in a row that a provider may ask to wait; each time it is waited twice as long."""

RETRY = Retry(attempts=5, delay=2.0, factor=3.0, cap=60.0, on=(Failed, Unavailable))

LONGEST = timedelta(hours=12)
"""For which a pass may go on, most of which it waits."""


class Wanted(BaseModel):
    """What a pass is to do.

    Args:
        since: from when on to look, and to ask also for what was given up or asked for a while ago; else it looks from
            where the last pass has settled everything.
        dry_run: whether only to tell what is missing.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    since: AwareDatetime | None = None
    dry_run: bool = False


@dataclass(frozen=True, slots=True)
class Looked:
    """What of a page is not there; nothing yet, if the provider wants to be left alone for so many seconds."""

    missing: tuple[Listed, ...] = ()
    looked_at: int = 0
    next: str | None = None
    problem: str | None = None
    wait: float = 0.0


@dataclass(frozen=True, slots=True)
class Asked:
    """What has become of what was asked for; not of all yet, if the provider wants to be left alone."""

    fates: dict[str, Fate]
    wait: float = 0.0


def declare(app: App, settings: Settings, database: Database, intake: Intake) -> None:
    """Declare the job of each source whose provider the settings tell how to ask; raises `ConfigurationError`."""
    for source, provider, schedule in configured(settings, intake):
        made = _job(Reconciler(source, provider, database))
        app.job(PREFIX + source, scope=source, policy="skip", schedule=schedule, timeout=LONGEST)(made)


def _job(reconciler: Reconciler) -> JobFunction:
    async def reconcile(ctx: Context, wanted: Wanted) -> Report:
        """Ask a source's provider what it sent of late, and get what never arrived."""
        return await reconciler.run(ctx, wanted)

    return reconcile


class Reconciler:
    """Compares what a provider says that it sent to a source with what is there.

    It keeps nothing: what was asked for, and when, the provider's own list tells, and up to when everything is settled
    the last run's output. Whatever is done twice, since a worker was lost, arrives as a duplicate.
    """

    def __init__(self, source: str, provider: Provider, database: Database) -> None:
        self._source = source
        self._provider = provider
        self._database = database

    async def run(self, ctx: Context, wanted: Wanted) -> Report:
        """One pass; raises `Failed` at its end if a list could not be read."""
        begun = await ctx.step(Step(self.begin, "begin", retry=RETRY), await ctx.now(), wanted.since)
        listed: list[Listed] = []
        problems = [] if begun.problem is None else [begun.problem]
        failures, looked_at, asked = [], 0, 0
        for of in self._provider.lists:
            try:
                for page in await self._pages(ctx, of, begun.since):
                    listed += page.missing
                    looked_at += page.looked_at
                    problems += [page.problem] if page.problem and page.problem not in problems else []
            except (Failed, Refused) as error:
                failures.append(str(error))
        missing = decide(listed, begun.now, insisting=wanted.since is not None)
        if not wanted.dry_run:
            missing, asked, stuck = await self._get(ctx, missing)
            problems += [stuck] if stuck else []
        told = report(
            self._source, begun, missing, looked_at=looked_at, asked=asked, dry_run=wanted.dry_run,
            moves=wanted == Wanted() and not failures, problems=[*problems, *failures],
        )  # fmt: skip
        await ctx.step(Step(self.tell, "tell"), told)
        if failures:
            raise Failed("; ".join(failures))
        return told

    async def _pages(self, ctx: Context, of: str, since: datetime) -> list[Looked]:
        """What one of the provider's lists tells, back to `since`."""
        pages, waits, cursor = list[Looked](), 0, None
        while True:
            page = await ctx.step(Step(self.look, "look", retry=RETRY), of, cursor, since)
            if page.wait:
                waits = await self._waited(ctx, page.wait, waits)
                continue
            pages.append(page)
            if page.next is None:
                return pages
            waits, cursor = 0, page.next

    async def _get(self, ctx: Context, missing: Sequence[Missing]) -> tuple[list[Missing], int, str | None]:
        """Ask for what is due, the oldest first; returns what became of all, how many were asked for, and a problem."""
        due = [each.latest for each in missing if each.fate == "due"][:MOST]
        fates: dict[str, Fate] = {}
        asked, stuck = 0, None
        while due and stuck is None:
            batch, due = due[:BATCH], due[BATCH:]
            told = await self._asked(ctx, batch)
            sent = [key for key, fate in told.items() if fate == "redelivered"]
            come = await ctx.step(Step(self.arrive, "arrive", retry=RETRY), sent) if sent else []
            if sent and not come:
                stuck = f"{len(sent)} deliveries were asked for and none arrived: can {self._provider.name} reach us?"
            asked += sum(fate in ("redelivered", "fetched") for fate in told.values())
            fates |= told | dict.fromkeys(come, "arrived")
        return [each.with_fate(fates.get(each.key, each.fate)) for each in missing], asked, stuck

    async def _asked(self, ctx: Context, batch: Sequence[Listed]) -> dict[str, Fate]:
        """What has become of each of a batch, once all were asked for."""
        fates: dict[str, Fate] = {}
        waits, left = 0, list(batch)
        while left:
            told = await ctx.step(Step(self.ask, "ask", retry=RETRY), left)
            fates |= told.fates
            still = [each for each in left if each.key not in fates]
            if still:
                waits = await self._waited(ctx, told.wait, waits if len(still) == len(left) else 0)
            left = still
        return fates

    async def _waited(self, ctx: Context, seconds: float, waits: int) -> int:
        """Leave the provider alone as it wants, longer each time in a row; returns how often that was."""
        if waits == MOST_WAITS:
            raise Failed(f"{self._provider.name} was to be left alone {MOST_WAITS} times in a row")
        await ctx.sleep(seconds * 2**waits)
        return waits + 1

    async def begin(self, now: datetime, since: datetime | None) -> Begun:
        """A step: find out from when on to look."""
        earliest = now - self._provider.window
        async with self._database.session() as connection:
            settled = settled_by(await reconciling.last(connection, PREFIX + self._source))
            first = since or settled or await reconciling.oldest(connection, self._source, earliest)
        wanted = first or now - LATE
        problem = None
        if since is None and wanted < earliest:
            problem = (
                f"what was sent from {wanted:%Y-%m-%d %H:%M} to {earliest:%Y-%m-%d %H:%M} UTC cannot be had any more"
            )
        return Begun(now, max(wanted, earliest), settled, problem)

    async def look(self, of: str, cursor: str | None, since: datetime) -> Looked:
        """A step: read one page, and find out what of it is not there."""
        try:
            page = await self._provider.page(of, cursor, since)
        except Limited as limited:
            return Looked(wait=limited.seconds)
        there = await self._there([each.key for each in page.listed])
        missing = tuple(each for each in page.listed if each.key not in there)
        return Looked(missing, len(page.listed), page.next, page.problem)

    async def ask(self, wanted: Sequence[Listed]) -> Asked:
        """A step: ask for each that has not come meanwhile, and that an earlier try of this step has not asked for."""
        current = current_step()
        fates: dict[str, Fate] = dict.fromkeys(await self._there([each.key for each in wanted]), "arrived")
        fates |= current.checkpoint or {}
        for each in wanted:
            if each.key in fates:
                continue
            try:
                await self._provider.recover(self._source, each)
            except Limited as limited:
                return Asked(fates, limited.seconds)
            except Refused as refused:
                if not refused.is_gone:
                    raise
                telemetry.log.warning("reconcile.refused", source=self._source, key=each.key, reason=str(refused))
                fates[each.key] = "refused"
            else:
                fates[each.key] = self._provider.does
            current.progress(len(fates) / len(wanted), state=fates)
            await asyncio.sleep(self._provider.pause)
        return Asked(fates)

    async def arrive(self, keys: Sequence[str]) -> list[str]:
        """A step: those that have come, as soon as all have, or when their time is over."""
        loop = asyncio.get_running_loop()
        until = loop.time() + PATIENCE
        while True:
            there = await self._there(keys)
            if len(there) == len(keys) or loop.time() >= until:
                return sorted(there)
            await asyncio.sleep(LOOK)  # they are another process's to commit

    async def tell(self, told: Report) -> Report:
        """A step: log and measure what a pass has come to."""
        if not told.dry_run:
            for outcome in ("missing", "asked", "arrived", "gave_up"):
                metrics.RECONCILED.count(getattr(told, outcome), source=told.source, outcome=outcome)
        for each in told.found:
            if each.fate in ("gave_up", "refused"):
                telemetry.log.warning(
                    "reconcile.gave_up", source=told.source, key=each.key, type=each.type, at=each.at, tries=each.tries
                )
        say = telemetry.log.warning if told.problem or told.gave_up else telemetry.log.info
        say(
            "reconcile.done",
            source=told.source,
            looked_at=told.looked_at,
            missing=told.missing,
            asked=told.asked,
            arrived=told.arrived,
            gave_up=told.gave_up,
            problem=told.problem,
        )
        return told

    async def _there(self, keys: Sequence[str]) -> set[str]:
        if not keys:
            return set()
        async with self._database.session() as connection:
            return await reconciling.arrived(connection, self._source, keys)
