"""A service whose pages are full: jobs of every kind, and runs that succeed, fail, wait, are paused and are stuck."""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Literal
from uuid import UUID

import structlog
from tests.support import PUSH, Site, on_site

from hookline import App, Chain, Context, Event, Fatal, Graph, Retry, Schedule, step, telemetry
from hookline.codec import first_uuid7, uuid7
from hookline.settings import load
from hookline_parsers import github

app = App()
log = structlog.get_logger()


@step(retry=Retry(attempts=3, delay=0.05))
async def build(commit: str) -> dict[str, Any]:
    """Takes a moment, and once fails."""
    log.info("cache.read", layers=14, missing=0)
    await asyncio.sleep(0.06)
    return {
        "image": f"registry.example/octo/site:{commit[:7]}",
        "digest": f"sha256:{commit}",
        "layers": 14,
        "cached": True,
    }


@step
async def unit_tests(image: str) -> dict[str, int]:
    await asyncio.sleep(0.09)
    return {"passed": 412, "skipped": 3}


@step
async def scan(image: str) -> list[str]:
    await asyncio.sleep(0.05)
    return []


@step(retry=Retry(attempts=3, delay=0.03))
async def ship(image: str, region: str) -> str:
    await asyncio.sleep(0.04)
    if region == "mars-1":
        log.warning("region.silent", region=region, waited="60 s")
        raise ConnectionError("the region mars-1 does not answer: 60 s passed")
    return f"{image} is live in {region}"


async def roll_back(image: str) -> None:
    await asyncio.sleep(0.01)


@app.job()
async def notify(ctx: Context, about: dict[str, Any]) -> str:
    """Tell the channel."""
    return f"told #{about.get('channel', 'ops')}"


@app.job(
    on=github.push(branches=["main"]), scope="{repository}", limit=None, timeout=timedelta(days=3),
    tags=["env:production", "{repository}"],
)  # fmt: skip
async def deploy(ctx: Context, event: Event) -> dict[str, Any]:
    """Build the pushed commit, test it, ship it region by region, ask before the last one."""
    built = await ctx.step(build, event.data["after"])
    ctx.compensate(roll_back, built["image"])
    await ctx.gather(ctx.step(unit_tests, built["image"]), ctx.step(scan, built["image"]))
    await ctx.sleep(0.12)
    await ctx.set_var("image", built["image"])
    ctx.log.info("image.ready", image=built["image"], layers=built["layers"])
    regions = event.data.get("regions", ["eu-1", "us-1"])

    async def roll_out(ctx: Context, region: str) -> str:
        return await ctx.step(ship, built["image"], region)

    await ctx.map(roll_out, regions, concurrency=2, tolerate=0)
    if event.data.get("ask"):
        approval = await ctx.approval("Ship to production?", text=f"{built['image']} has passed all of its 412 tests.")
        await ctx.set_var("approval", approval.url)
        verdict = await approval
        if not verdict.approved:
            return {"shipped": False, "by": verdict.by}
    await ctx.run_job(notify, {"channel": "deploys", "image": built["image"]})
    return {"shipped": True, "image": built["image"], "regions": regions}


release = Graph("release", concurrency=4)


@release.task(retry=Retry(attempts=3))
async def compile(event: Event) -> dict[str, Any]:  # noqa: A001
    return await build.function(event.data["after"])  # type: ignore[no-any-return]


@release.task(after=compile)
async def test(compile: dict[str, Any]) -> dict[str, Any]:
    await asyncio.sleep(0.05)
    return {"passed": 412}


@release.task(after=compile)
async def lint(compile: dict[str, Any]) -> str:
    return "clean"


@release.task(after=compile)
async def sign(compile: dict[str, Any]) -> str:
    return "signed"


@release.task(after=[test, lint, sign])
async def publish(compile: dict[str, Any]) -> str:
    return str(compile["image"])


@release.task(after=publish)
async def announce(publish: str) -> str:
    return f"announced {publish}"


@release.task(after=[test, lint], rule="any_failed")
async def clean_up(compile: dict[str, Any]) -> str:
    return "nothing left"


app.add(release, on=github.push(branches=["main"]), scope="{repository}", limit=None)


@step
async def fetch(issue: int) -> dict[str, Any]:
    return {"issue": issue, "labels": ["bug", "p1"]}


@step
async def classify(labels: list[str]) -> dict[str, Any]:
    return {"team": "platform"}


@step
async def assign(team: str) -> dict[str, Any]:
    return {"assignee": "ada"}


@step
async def complain(issue: int) -> dict[str, Any]:
    return {}


app.add(Chain("triage", fetch.then(classify.then(assign).otherwise(complain))))


@dataclass
class Order:
    """What somebody buys."""

    number: int
    customer: str
    amount: float = 9.5
    express: bool = False
    currency: Literal["EUR", "USD", "JPY"] = "EUR"
    items: list[str] = field(default_factory=lambda: ["hook", "line"])


@step(retry=Retry(attempts=4, delay=0.02))
async def charge(order: Order) -> str:
    if order.customer.startswith("broke"):
        raise Fatal("the card of broke@example.org was declined: insufficient funds")
    return f"receipt-{order.number}"


async def parcel(number: int) -> str:
    return f"parcel-{number}"


@app.job(version=2, on_failed="notify")
async def sell(ctx: Context, order: Order) -> dict[str, str]:
    """Charge the customer, wait for the warehouse, send the parcel."""
    receipt = await ctx.step(charge, order)
    await ctx.set_var("receipt", receipt)
    if order.express:
        packed = await ctx.wait_for("packed", timeout=timedelta(days=2))
        await ctx.set_var("packed by", packed)
    return {"receipt": receipt, "parcel": await ctx.step(parcel, order.number)}


async def import_rows(day: str) -> int:
    raise ValueError(f"row 1,207 of {day}.csv has 11 columns, not 12")


@app.job(
    on_error="pause",
    schedule=[Schedule("30 2 * * *", timezone="Europe/Berlin", name="nightly"), Schedule("@every 6h", name="catch-up")],
)
async def imports(ctx: Context, about: dict[str, str]) -> int:
    """Import what the partners left overnight."""
    return await ctx.step(import_rows, about.get("at", "today")[:10])


@app.job(on=github.check_suite(), scope="{repository}")
async def checks(ctx: Context, event: Event) -> str:
    """One at a time for each repository."""
    await ctx.wait_for("done", timeout=timedelta(hours=4))
    return "done"


DEFINITION = """\
description: Mirror a repository to the archive.
on:
  - type: github.create
tasks:
  fetch:
    step: fetch
    with: {issue: 1}
  classify:
    step: classify
    with: {labels: "{fetch.labels}"}
    after: fetch
"""
app.step(fetch)
app.step(classify)

PAST_RUNS = """
insert into hookline.runs (id, job, version, state, scope, created_at, started_at, finished_at)
select * from unnest($1::uuid[], $2::text[], $3::int[], $4::text[], $5::text[], $6::timestamptz[], $7::timestamptz[],
                     $8::timestamptz[])
"""
PAST_DELIVERIES = """
insert into hookline.deliveries (id, source, key, type, status, secret, headers, body, received_at)
select id, source, id::text, type, status, 'secret 1 of 1', '[["content-type", "application/json"]]', '{}', at
  from unnest($1::uuid[], $2::text[], $3::text[], $4::text[], $5::timestamptz[]) as given (id, source, type, status, at)
"""


@dataclass
class Shown:
    """A showcase: the site, and the ids of what there is one of each of."""

    site: Site
    runs: dict[str, UUID]
    deliveries: dict[str, str]

    async def waiting(self) -> UUID:
        """A new run that waits for the signal `packed`."""
        run = await self.site.house.start("sell", {"number": 70, "customer": "ada@example.org", "express": True})
        return await self._once_waiting(run)

    async def asking(self) -> UUID:
        """A new run that waits for an approval."""
        run = await self.site.house.start("deploy", {"after": "41d5bb3e90", "ask": True}, scope="octo/api")
        return await self._once_waiting(run)

    async def _once_waiting(self, run: UUID) -> UUID:
        await self.site.house.watch.value("select true from hookline.runs where id = $1 and state = 'waiting'", run)
        return run


@asynccontextmanager
async def showcase(dsn: str, *, past: int = 0) -> AsyncIterator[Shown]:
    """A full service on the database at `dsn`, a replica at work.

    Args:
        past: so many runs of the last hours, for charts.
    """
    telemetry.configure(load())  # which keeps what runs say
    try:
        async with on_site(app, dsn, slots=50, definitions_commands=False) as site, site.house.replica():
            if past:
                await _live_through(site, past)
            yield await _fill(site)
    finally:
        structlog.reset_defaults()


async def _fill(site: Site) -> Shown:
    house = site.house
    push = json.loads(PUSH) | {"repository": {"full_name": "octo/site"}}

    async def pushed(guid: str, **more: Any) -> dict[str, Any]:
        told: dict[str, Any] = (
            await site.push(guid, json.dumps(push | more).encode(), User_Agent="GitHub-Hookshot/044aadd")
        ).json()
        return told

    async def of(job: str, *ids: str) -> UUID:
        rows = await house.watch.connection.fetch("select id, job from hookline.runs where id = any($1)", ids)
        return next(row["id"] for row in rows if row["job"] == job)

    good = await pushed("8f1c5a0e-0001")
    asking = await pushed("8f1c5a0e-0002", ask=True, after="41d5bb3e90")
    bad = await pushed("8f1c5a0e-0003", regions=["eu-1", "mars-1"], after="bad5eed000")
    runs = {
        "succeeded": await of("deploy", *good["runs"]),
        "graph": await of("release", *good["runs"]),
        "asking": await of("deploy", *asking["runs"]),
        "failed": await of("deploy", *bad["runs"]),
    }
    suite = {"action": "completed", "check_suite": {"head_sha": "9fceb02"}, "repository": {"full_name": "octo/site"}}
    for number in range(2):
        await site.push(f"suite-{number}", json.dumps(suite).encode(), X_GitHub_Event="check_suite")
    nothing = (await site.push("watch-1", b'{"action": "started"}', X_GitHub_Event="watch")).json()
    quarantined = (await site.push("8f1c5a0e-0009", b'{"ref": ')).json()
    conflict = (await site.push("8f1c5a0e-0001", b'{"ref": "refs/heads/other"}')).json()
    runs["chain"] = await house.start("triage", {"issue": 4711})
    runs["waiting"] = await house.start("sell", {"number": 7, "customer": "ada@example.org", "express": True})
    runs["declined"] = await house.start("sell", {"number": 8, "customer": "broke@example.org"})
    runs["sold"] = await house.start("sell", {"number": 9, "customer": "grace@example.org"})
    runs["paused"] = await house.start("imports", {"at": "2026-11-21"})
    runs["delayed"] = await house.start("notify", {"channel": "tomorrow"}, delay=40_000)
    await site.client.put("/api/definitions/mirror", content=DEFINITION, headers={"Content-Type": "application/yaml"})
    await house.watch.ended(
        *(runs[name] for name in ("succeeded", "graph", "failed", "chain", "declined", "sold", "paused"))
    )
    for name in ("asking", "waiting"):
        await house.watch.value("select true from hookline.runs where id = $1 and state = 'waiting'", runs[name])
    return Shown(
        site,
        runs,
        {"accepted": good["delivery"], "second": asking["delivery"], "ignored": nothing["delivery"],
         "quarantined": quarantined["delivery"], "conflict": conflict["delivery"]},
    )  # fmt: skip


async def _live_through(site: Site, count: int) -> None:
    """Runs and deliveries of the last hour, as they might have been."""
    chance, now = random.Random(7), datetime.now(UTC)
    jobs = {"deploy": 1, "release": 1, "sell": 2, "triage": 1, "notify": 1}
    runs: list[tuple[Any, ...]] = []
    deliveries: list[tuple[Any, ...]] = []
    for _ in range(count):
        at = now - timedelta(minutes=62 * chance.betavariate(1.2, 1.5))
        job = chance.choice(list(jobs))
        state = chance.choices(["succeeded", "failed", "cancelled"], [95, 4, 1])[0]
        begun = at + timedelta(seconds=chance.lognormvariate(-1.6, 0.9))
        runs.append((_at(at), job, jobs[job], state, chance.choice(["octo/site", "octo/api", None]), at, begun,
                     begun + timedelta(seconds=chance.lognormvariate(1, 0.8))))  # fmt: skip
        if chance.random() < 0.6:
            status = chance.choices(["accepted", "ignored"], [80, 20])[0]
            deliveries.append((_at(at), chance.choice(["github", "github", "generic"]), "github.push", status, at))
    connection = site.house.watch.connection
    await connection.execute(PAST_RUNS, *(list(column) for column in zip(*sorted(runs), strict=True)))
    await connection.execute("insert into hookline.run_data (run_id, input) select id, '{}' from hookline.runs")
    await connection.execute(PAST_DELIVERIES, *(list(column) for column in zip(*sorted(deliveries), strict=True)))


def _at(moment: datetime) -> UUID:
    """An id that was made then."""
    return UUID(int=first_uuid7(moment).int & ~((1 << 62) - 1) | uuid7().int & ((1 << 62) - 1))
