"""Every SQL statement prepares, and the hot ones use their indexes whatever the planner believes."""

from __future__ import annotations

import importlib
import json
import pkgutil
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any, cast

import pytest
from msgspec.structs import replace

from hookline import store
from hookline.codec import uuid7
from hookline.store import (
    claims,
    control,
    due,
    events,
    feed,
    inbox,
    logs,
    overview,
    reconciling,
    runs,
    schedules,
    scopes,
    search,
    signals,
    views,
    waits,
    workers,
)
from hookline.store.database import Connection, Database
from hookline.store.inbox import Filter
from hookline.web import health


def statements() -> Iterator[tuple[str, str]]:
    modules = [importlib.import_module(f"hookline.store.{each.name}") for each in pkgutil.iter_modules(store.__path__)]
    for module in [*modules, health]:
        for name, value in vars(module).items():
            words = value.split(None, 1) if isinstance(value, str) and name.isupper() and name[0] != "_" else ()
            if words and words[0] in ("select", "insert", "update", "delete", "with"):
                yield f"{module.__name__.rpartition('.')[2]}.{name}", value


@pytest.mark.parametrize("statement", dict(statements()).values(), ids=dict(statements()))
async def test_a_statement_prepares(dsn: str, statement: str) -> None:
    async with Database(dsn) as database, database.session() as connection:
        await connection.prepare(statement)


FILL = """
insert into hookline.runs (id, job, version, state, priority, scope, worker_id, finished_at, due_at)
select gen_random_uuid(), 'job' || n % 10, 1, state, n % 3, case when n % 2 = 0 then 'scope' || n % 1000 end,
       case when state = 'running' then gen_random_uuid() end,
       case when state = 'succeeded' then now() end, now() - make_interval(secs => n % 1000)
  from generate_series(1, 100000) as n,
       lateral (select case when n % 100 < $1 then 'queued' when n % 100 = 99 then 'running' else 'succeeded' end)
            as given (state)
"""

HOT = {
    "claim": (claims.CLAIM, (uuid7(), ["job1@1", "job2@1"], 100), "runs_due"),
    "look": (due.LOOK, (["job1@1"], []), "runs_due"),
    "release": (claims.RELEASE, ([uuid7()], 5), "runs_owned"),
    "fence": (workers.FENCE, (uuid7(),), "runs_controlled"),
    "promote": (scopes.PROMOTE, (["job0"], ["scope0"]), "runs_blocked"),
    "busy": (schedules.BUSY, ("job0", "scope0"), "runs_blocked"),
    "who is ahead": (views.AHEAD, ("job0", "scope0", 7), "runs_inside"),
    "rise": (due.RISE, (1000,), "runs_waking"),
    "look ahead": (due.LOOK, (["job1@1"], []), "runs_waking"),
    "children": (control.CANCEL_CHILDREN, ([uuid7()],), "runs_children"),
    "held signals": (signals.HELD, ([uuid7()], ["a"]), "signals_held"),
    "waits for an event": (waits.WAITING, (["github.push"], [""]), "waits_type"),
    "look back": (waits.LOOK_BACK, (datetime.now(UTC), uuid7(), ["github.push"], 100), "deliveries_type"),
    "arrived": (reconciling.ARRIVED, ("github", ["guid"]), "deliveries_key"),
    "last pass": (reconciling.LAST, ("job0",), "runs_job"),
    "events that follow": (events.FOLLOWING, (0, 500), "run_events_pkey"),
    "old events": (events.RETIRE, (3600.0, 5000), "run_events_pkey"),
    "events of a run": (events.OF_RUN, (uuid7(), ["failed"]), "run_events_run"),
    "lines too old": (logs.RETIRE, (3600.0, 5000), "run_logs_at"),
    "lines of a run": (logs.COUNT, ([uuid7()],), "run_logs_pkey"),
    "existing": (runs.EXISTING, ([uuid7()], ["job0"], ["k"], [None], [None], ["c"]), "runs_idempotency"),
}


@pytest.mark.parametrize("queued", [1, 90], ids=["few are due", "most are due"])
@pytest.mark.parametrize("analysed", [False, True], ids=["never analysed", "analysed"])
async def test_hot_statements_use_their_partial_indexes_on_a_hundred_thousand_runs(
    dsn: str, queued: int, analysed: bool
) -> None:
    async with Database(dsn) as database, database.session() as connection:
        await connection.execute("alter table hookline.runs set (autovacuum_enabled = off)")
        await connection.execute(FILL, queued)
        if analysed:
            await connection.execute("analyze hookline.runs")
        for name, (statement, arguments, index) in HOT.items():
            prepared = await connection.prepare(statement)
            plan = json.dumps(await prepared.explain(*arguments))
            assert index in plan, (name, plan)
            scans = [part for part in plan.split('"Node Type": "')[1:] if part.startswith("Seq Scan")]
            assert not [scan for scan in scans if '"Relation Name": "runs"' in scan], (name, plan)


class Asked:
    """Stands in for a connection, and explains what it is asked."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self.plan = ""

    async def fetch(self, statement: str, *arguments: Any) -> list[Any]:
        prepared = await self._connection.prepare(statement)
        self.plan = json.dumps(await prepared.explain(*arguments))
        return []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._connection, name)

    async def fetchrow(self, statement: str, *arguments: Any) -> Any:
        plan = self.plan
        await self.fetch(statement, *arguments)
        self.plan += plan
        return await self._connection.fetchrow(statement, *arguments)


@pytest.mark.parametrize(
    ("filters", "index"),
    [
        ({}, "runs_pkey"),
        ({"job": "job1"}, "runs_job"),
        ({"state": "failed"}, "runs_state"),
        ({"before": uuid7()}, "runs_pkey"),
    ],
    ids=["all", "job", "state", "cursor"],
)
async def test_lists_of_runs_are_read_from_an_index_in_their_order(
    dsn: str, filters: dict[str, Any], index: str
) -> None:
    async with Database(dsn) as database, database.session() as connection:
        await connection.execute(FILL, 10)
        await connection.execute("analyze hookline.runs")
        asked = Asked(connection)
        before = filters.pop("before", None)
        await search.runs(cast("Connection", asked), search.Wanted(**filters), before=before)
        assert index in asked.plan
        assert '"Sort"' not in asked.plan


FILL_DELIVERIES = """
insert into hookline.deliveries (id, source, key, type, subject, status, secret, headers, body)
select (lpad(to_hex(n), 12, '0') || '70008000000000000000')::uuid, case when n = 7 then 'rare' else 'github' end,
       'key-' || n, case when n = 7 then 'stripe.invoice.paid' else 'github.push' end,
       case when n = 7 then 'octo/rare' when n % 3 = 0 then 'octo/site' end,
       case when n = 7 then 'quarantined' else 'accepted' end, '', '[]', ''
  from generate_series(1, 20000) as n
"""


@pytest.mark.parametrize("analysed", [False, True], ids=["never analysed", "analysed"])
@pytest.mark.parametrize(
    ("wanted", "index"),
    [
        ({}, "deliveries_pkey"),
        ({"since": datetime(1970, 1, 1, tzinfo=UTC), "until": datetime.now(UTC)}, "deliveries_pkey"),
        ({"source": "rare"}, "deliveries_source"),
        ({"key": "key-7"}, "deliveries_key"),
        ({"key": "key-7", "source": "rare"}, "deliveries_conflict"),
        ({"type": "stripe"}, "deliveries_type"),
        ({"subject": "octo/rare"}, "deliveries_subject"),
        ({"status": "quarantined"}, "deliveries_status"),
        ({"status": "accepted", "source": "rare"}, "deliveries_source"),
        ({"status": "quarantined", "source": "github", "type": "stripe.invoice.paid"}, "deliveries_status"),
        ({"subject": "octo/rare", "type": "stripe", "status": "quarantined"}, "deliveries_subject"),
    ],
    ids=lambda given: " ".join(given) or "all" if isinstance(given, dict) else None,
)
async def test_lists_of_deliveries_are_read_from_the_index_of_what_is_rarest(
    dsn: str, wanted: dict[str, Any], index: str, analysed: bool
) -> None:
    async with Database(dsn) as database, database.session() as connection:
        await connection.execute(FILL_DELIVERIES)
        if analysed:
            await connection.execute("analyze hookline.deliveries")
        asked = Asked(connection)
        await inbox.listed(cast("Connection", asked), Filter(**wanted))
        scanned = set(re.findall(r'"Index Name": "(deliveries_\w+)"', asked.plan))
        assert index in scanned
        if not wanted.keys() & {"key", "type"} or "subject" in wanted:
            assert scanned == {index}
            assert '"Sort Key": ["deliveries' not in asked.plan
        if wanted.keys() & {"subject", "key", "type"}:
            found = await inbox.listed(connection, Filter(**wanted))
            assert len(found.rows) == (0 if "github" in wanted.values() else 1)


async def test_a_page_of_the_feed_is_read_in_the_order_of_ids(dsn: str) -> None:
    async with Database(dsn) as database, database.session() as connection:
        await connection.execute(FILL_DELIVERIES)
        asked = Asked(connection)
        cursor = await feed.begin(connection, datetime.now(UTC))
        await feed.read(cast("Connection", asked), replace(cursor, seen="7:7:", after=uuid7()), Filter(), limit=200)
        assert '"Index Name": "deliveries_pkey"' in asked.plan


FILL_SOURCES = """
insert into hookline.deliveries (id, source, key, type, status, secret, headers, body)
select (lpad(to_hex(n), 8, '0') || '-0000-7000-8000-000000000000')::uuid,
       case when n % 1000 = 0 then 'rare' else 'common' end, n::text, 'common.' || n % 50,
       case when n % 100 = 0 then 'quarantined' else 'accepted' end, '', '[]', ''
  from generate_series(1, 20000) as n
"""

DAY = datetime.now(UTC) - timedelta(days=1)


@pytest.mark.parametrize("analysed", [False, True], ids=["never analysed", "analysed"])
async def test_what_the_dashboard_asks_is_read_from_indexes(dsn: str, analysed: bool) -> None:
    asks: dict[str, tuple[Any, tuple[Any, ...], dict[str, Any], str]] = {
        "all runs": (search.runs, (search.Wanted(),), {}, "runs_pkey"),
        "a job's": (search.runs, (search.Wanted(job="job1"),), {}, "runs_job"),
        "a job's that none are of": (search.runs, (search.Wanted(job="absent"),), {}, "runs_job"),
        "failed ones": (search.runs, (search.Wanted(state="failed", job="job1"),), {}, "runs_state"),
        "running ones": (search.runs, (search.Wanted(state="running"),), {}, "runs_state"),
        "a scope's": (search.runs, (search.Wanted(scope="scope2"),), {}, "runs_pkey"),
        "a source's": (search.runs, (search.Wanted(source="rare"),), {}, "runs_source"),
        "a repository's": (
            search.runs,
            (search.Wanted(subject="octo/site", job="job1", state="failed"),),
            {},
            "runs_subject",
        ),
        "those about one thing": (search.runs, (search.Wanted(job="job1", correlation="7"),), {}, "runs_about"),
        "those of a tag": (search.runs, (search.Wanted(tag="env:prod", state="failed"),), {}, "run_tags_pkey"),
        "those of like tags": (search.runs, (search.Wanted(tag="env:*", job="job1"),), {}, "runs_job"),
        "runs over time": (overview.run_spans, ([DAY, datetime.now(UTC)],), {}, "runs_pkey"),
        "deliveries over time": (overview.delivery_spans, ([DAY, datetime.now(UTC)],), {}, "deliveries_pkey"),
        "counts": (overview.counts, (DAY,), {}, "runs_state"),
        "queues": (overview.queues, (), {}, "runs_due"),
        "sources": (overview.sources, (["rare"], DAY), {}, "deliveries_source"),
        "recent ones": (overview.recent, (["job1"], 30), {}, "runs_job"),
        "unfinished ones": (overview.open_by_job, (), {}, "runs_state"),
    }
    async with Database(dsn) as database, database.session() as connection:
        await connection.execute("alter table hookline.runs set (autovacuum_enabled = off)")
        await connection.execute(FILL, 10)
        await connection.execute(FILL_SOURCES)
        if analysed:
            await connection.execute("analyze hookline.runs, hookline.deliveries")
        for name, (ask, arguments, options, index) in asks.items():
            asked = Asked(connection)
            await ask(cast("Connection", asked), *arguments, **options)
            assert index in asked.plan, f"{name}: {asked.plan}"
            scans = [part for part in asked.plan.split('"Node Type": "')[1:] if part.startswith("Seq Scan")]
            assert not [each for each in scans if '"runs"' in each or '"deliveries"' in each], (name, asked.plan)


KEPT = """
select heap.relname, heap.reloptions as rows, toast.reloptions as payloads
  from pg_class as heap join pg_class as toast on toast.oid = heap.reltoastrelid
 where heap.oid = any(array['hookline.deliveries', 'hookline.run_data', 'hookline.journal']::regclass[])
"""


async def test_what_is_written_once_and_kept_is_frozen_by_the_first_vacuum_and_so_are_its_payloads(dsn: str) -> None:
    async with Database(dsn) as database, database.session() as connection:
        kept = await connection.fetch(KEPT)
    assert len(kept) == 3
    for each in kept:
        assert "autovacuum_freeze_min_age=0" in each["rows"], each["relname"]
        assert "autovacuum_freeze_min_age=0" in each["payloads"], each["relname"]
