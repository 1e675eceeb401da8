"""A database as it is after a long time: so many runs in all states, and in proportion all that comes with them."""

from __future__ import annotations

from hookline.store.database import Connection

_ID = """
(lpad(to_hex((extract(epoch from {at}) * 1000)::bigint), 12, '0') || '7' || lpad(to_hex({n} % 4096), 3, '0') || '{kind}'
 || lpad(to_hex({n}), 15, '0'))::uuid
"""
"""As `uuid7` makes them: their order is that of their moments."""

_MOMENT = "now() - interval '30 days' * (1 - {n}::float8 / $1::bigint) ^ 3"
"""The nearer to now the more: a third came in the last day, a tenth in the last hour."""

DELIVERIES = f"""
insert into hookline.deliveries (id, source, key, type, subject, status, reason, secret, headers, body, received_at)
select {_ID.format(at="at", n="n", kind="8")}, case when n % 5000 = 0 then 'rare' else 'source' || n % 7 end,
       'key-' || n, 'kind.' || n % 7 || '.' || n % 20, case when n % 3 > 0 then 'octo/site-' || n % 2000 end,
       case when n % 500 = 0 then 'quarantined' when n % 1000 = 1 then 'conflict' when n % 5 = 0 then 'ignored'
            else 'accepted' end,
       case when n % 500 = 0 then 'the body is no JSON' end, '', '[["content-type","application/json"]]',
       decode(repeat('7b7d0a20', 60), 'hex'), at
  from (select n, {_MOMENT.format(n="n")} as at from generate_series(1, $1::bigint) as n) as given
"""

RUNS = f"""
insert into hookline.runs (id, job, version, state, priority, scope, delivery_id, event_index, parent_id, worker_id,
                           due_at, created_at, started_at, finished_at, idempotency_key, correlation, reason, attempt,
                           source, subject, tags)
select {_ID.format(at="at", n="n", kind="9")}, 'job' || n % 11, 1, state, n % 3,
       case when n % 2 = 0 then 'scope' || n % 4000 end,
       case when n % 4 > 0 then {_ID.format(at="at", n="n", kind="8")} end, case when n % 4 > 0 then 0 end,
       case when n % 10 = 3 then {_ID.format(at=_MOMENT.format(n="(n - 1)"), n="(n - 1)", kind="9")} end,
       case when state = 'running' then '018f0000-0000-7000-8000-000000000001'::uuid end,
       case when state in ('waiting', 'paused') then now() + interval '1 day'
            else at + make_interval(secs => n % 10) end,
       at, case when state not in ('queued', 'blocked') then at + make_interval(secs => n % 100 / 50.0) end,
       case when state in ('succeeded', 'failed', 'cancelled') then at + make_interval(secs => 3 + n % 100) end,
       case when n % 20 = 0 then 'once-' || n end, case when n % 30 = 0 then 'about-' || n end,
       case when state in ('failed', 'paused') then 'HttpError: 502 from upstream ' || n % 9 end, 1,
       case when n % 4 = 0 then null when n % 5000 = 1 then 'rare' else 'source' || n % 7 end,
       case when n % 4 > 0 then 'octo/site-' || n % 2000 end,
       case when n % 3 = 0 then array['env:' || (array['prod', 'test'])[1 + n % 2], 'team:' || n % 500] end
  from (select n, {_MOMENT.format(n="n")} as at,
               case when n % 1000 < 30 then 'failed' when n % 1000 < 40 then 'cancelled'
                    when n < 0.9 * $1 or n % 1000 >= 290 then 'succeeded'
                    when n % 1000 < 240 then 'queued' when n % 1000 < 245 then 'blocked'
                    when n % 1000 < 285 then 'waiting' when n % 1000 < 289 then 'paused' else 'running' end as state
          from generate_series(1, $1::bigint) as n) as given
"""
"""Of the newest tenth a fifth is queued and a twentieth waits; of all three in a hundred have failed."""

REST = (
    """
    insert into hookline.run_data (run_id, body_from, input, output)
    select id, delivery_id, case when delivery_id is null then '{"page": 7}'::json end, '{"rows": 700}'
      from hookline.runs
    """,
    """
    insert into hookline.journal (run_id, key, position, claim, attempt, kind, state, output, started_at, finished_at)
    select id, 'step' || n, n, 1, 1, 'step', 'succeeded', '{"ok": true}', started_at, started_at
      from hookline.runs cross join generate_series(0, 2) as n where started_at is not null
    """,
    """
    insert into hookline.journal (run_id, key, position, claim, attempt, kind, state, started_at)
    select id, 'approved', 3, 1, 1, 'signal', 'waiting', started_at from hookline.runs where state = 'waiting'
    """,
    """
    insert into hookline.waits (run_id, key, type, anchor, pattern)
    select id, 'arrived', 'kind.1.' || row_number() over () % 20, '', '{}' from hookline.runs where state = 'waiting'
    """,
    """
    insert into hookline.signals (id, run_id, name, data, taken_by)
    select gen_random_uuid(), id, 'approved', '{}', case when state <> 'waiting' then 'approved' end
      from hookline.runs where left(scope, 7) in ('scope10', 'scope12') or state = 'waiting'
    """,
    "insert into hookline.run_tags (tag, run_id) select unnest(tags), id from hookline.runs where tags is not null",
    """
    insert into hookline.run_logs (run_id, key, at, claim, number, level, kind, step, attempt, data)
    select id, n, started_at, 1, n, 20, 'log', 'step0', 1, '{"event": "said", "fields": {"n": 1}}'
      from hookline.runs cross join generate_series(1, 2) as n where finished_at > now() - interval '1 day'
    """,
    """
    insert into hookline.run_events (at, run_id, job, scope, state)
    select created_at, id, job, scope, each
      from hookline.runs cross join unnest(array['queued', 'running', state]) as each
     where created_at > now() - interval '1 day' order by created_at
    """,
    """
    insert into hookline.run_events (at, delivery_id, source, type, state)
    select received_at, id, source, type, status from hookline.deliveries where received_at > now() - interval '1 day'
    """,
    """
    insert into hookline.scopes (job, scope) select distinct job, scope from hookline.runs where scope is not null
    """,
    """
    insert into hookline.audit (id, at, who, role, method, path, status)
    select id, created_at, 'ada', 'operator', 'POST', '/api/runs/' || id || '/retry', 201
      from hookline.runs where left(scope, 7) in ('scope11', 'scope13')
    """,
)


async def populate(connection: Connection, runs: int) -> None:
    """Fill a new database with so many runs, and as many deliveries, and have Postgres look at it."""
    await connection.execute("alter table hookline.runs disable trigger user")
    for statement in (DELIVERIES, RUNS):
        await connection.execute(statement, runs, timeout=7200)
    for statement in REST:
        await connection.execute(statement, timeout=7200)
    await connection.execute("alter table hookline.runs enable trigger user")
    await connection.execute("vacuum analyze", timeout=7200)


async def reads(connection: Connection) -> dict[str, list[str]]:
    """Whatever can be asked for by GET, in ways that differ for Postgres, by the route that answers."""

    async def one(statement: str) -> str:
        return str(await connection.fetchval(statement))

    finished, blocked, waiting, scoped, about = [
        await one(f"select id from hookline.runs where {fits} order by id desc limit 1")
        for fits in ("state = 'succeeded'", "state = 'blocked'", "state = 'waiting'", "scope is not null",
                     "correlation is not null")
    ]  # fmt: skip
    delivery, other = [
        await one(f"select id from hookline.deliveries where status = '{status}' order by id desc limit 1")
        for status in ("accepted", "quarantined")
    ]
    scope = await one(f"select scope from hookline.runs where id = '{scoped}'")
    correlation = await one(f"select correlation from hookline.runs where id = '{about}'")
    key = await one(f"select key from hookline.deliveries where id = '{delivery}'")
    states = ("queued", "blocked", "running", "waiting", "paused", "failed", "cancelled", "succeeded")
    narrow = [f"state={state}" for state in states] + [
        "job=job1", "job=absent", "job=job1&state=failed", "job=absent&state=succeeded", "job=absent&state=failed",
        "source=rare", "source=absent", "source=source1&state=failed", "subject=octo/site-7", "subject=absent",
        "subject=octo/site-7&job=absent", "tag=env:prod", "tag=team:7", "tag=absent", "tag=env:prod&job=absent",
        "tag=env:*", "tag=absent*",
        f"scope={scope}", "scope=absent", f"job=job1&scope={scope}", f"job=job1&scope={scope}&state=blocked",
    ]  # fmt: skip
    of_deliveries = [
        "", "source=source1", "source=rare", "source=absent", f"key={key}", f"key={key}&source=source1", "key=absent",
        "type=kind", "type=kind.1", "type=kind.1.7", "type=absent", "subject=octo/site-7", "subject=absent",
        "status=quarantined", "status=conflict", "status=accepted", "source=rare&status=accepted",
        "source=rare&type=kind.1", "source=source1&status=quarantined&type=kind.2",
        "subject=octo/site-7&status=ignored",
        "since=2020-01-01T00:00Z", "until=2020-01-01T00:00Z", f"cursor={delivery}", f"source=rare&cursor={delivery}",
    ]  # fmt: skip
    around = ["", f"cursor={finished}"]
    feed = [
        "", "since=2020-01-01T00:00Z", "since=2020-01-01T00:00Z&source=rare", "since=2020-01-01T00:00Z&source=absent",
        "since=2020-01-01T00:00Z&status=quarantined", "since=2020-01-01T00:00Z&type=kind.2",
        "since=2020-01-01T00:00Z&subject=absent", f"since=2020-01-01T00:00Z&key={key}",
    ]  # fmt: skip
    asked = {
        "/": ["", "window=6h", "window=1d", "window=7d"],
        "/find": [f"q={finished}", f"q={delivery}", f"q={key}", "q=absent"],
        "/runs": [*around, *narrow, "within=1d", "job=job1&within=30d&state=succeeded"],
        "/deliveries": [each.replace("T00:00Z", "") for each in of_deliveries],
        "/deliveries/compare": [f"a={delivery}&b={other}"],
        "/api/runs": [*around, *narrow, f"correlation={correlation}", "correlation=absent",
                      f"job=job1&correlation={correlation}", f"job=job1&cursor={finished}"],
        "/api/deliveries": of_deliveries,
        "/api/deliveries/feed": feed,
        "/audit": ["", f"cursor={finished}"],
        "/api/audit": ["", f"cursor={finished}"],
        "/api/overview": ["", "window=7d"],
    }  # fmt: skip
    told = {path: [f"{path}?{query}" if query else path for query in queries] for path, queries in asked.items()}
    for each in ("jobs", "schedules", "definitions", "sources", "workers", "connectors", "tokens", "me"):
        told |= {f"/{each}": [f"/{each}"], f"/api/{each}": [f"/api/{each}"]}
    for absent in ("/connectors", "/me"):
        del told[absent]
    for prefix in ("", "/api"):
        told[f"{prefix}/runs/{{id}}"] = [f"{prefix}/runs/{each}" for each in (finished, blocked, waiting, scoped)]
        told[f"{prefix}/deliveries/{{id}}"] = [f"{prefix}/deliveries/{each}" for each in (delivery, other)]
    told["/api/runs/{id}/debug"] = [f"/api/runs/{each}/debug" for each in (finished, blocked, waiting)]
    told["/api/runs/{id}/await"] = [f"/api/runs/{finished}/await"]
    told["/api/runs/{id}/stream"] = [f"/api/runs/{finished}/stream"]
    told["/api/runs/{id}/logs"] = [f"/api/runs/{finished}/logs", f"/api/runs/{finished}/logs?level=error&kind=call"]
    told["/jobs/{name}"] = ["/jobs/job1"]
    told["/api/jobs/{name}"] = ["/api/jobs/job1"]
    told["/api/schedules/{name}"] = ["/api/schedules/absent"]
    told["/definitions/{name}"] = ["/definitions/absent"]
    told["/api/definitions/{name}"] = ["/api/definitions/absent"]
    told["/api/sources/{name}"] = ["/api/sources/absent"]
    told["/api/jobs/{name}/graph"] = ["/api/jobs/job1/graph"]
    return told
