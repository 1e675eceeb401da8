"""Every SQL statement prepares, and the hot ones use their indexes whatever the planner believes."""

from __future__ import annotations

import importlib
import json
import pkgutil
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any, cast

import pytest

from hookline import store
from hookline.codec import uuid7
from hookline.store import (
    claims,
    control,
    due,
    reconciling,
    runs,
    schedules,
    scopes,
    signals,
    views,
    waits,
    workers,
)
from hookline.store.database import Connection, Database
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
        await views.runs(cast("Connection", asked), **filters)
        assert index in asked.plan
        assert '"Sort"' not in asked.plan


async def test_lists_of_alarming_deliveries_are_read_from_their_index(dsn: str) -> None:
    async with Database(dsn) as database, database.session() as connection:
        asked = Asked(connection)
        await views.deliveries(cast("Connection", asked), status="quarantined")
        assert "deliveries_status" in asked.plan
