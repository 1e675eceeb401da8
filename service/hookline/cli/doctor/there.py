"""What the facts of the database mean, each judged by itself."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib.metadata import entry_points
from typing import Any

from hookline.cli.doctor.facts import Here, There
from hookline.cli.doctor.findings import Found, State, many, size, span
from hookline.ingress.parser import GROUP
from hookline.store.database import PLANS, POOL

KEPT_CONNECTIONS = 5
"""Connections that a replica keeps besides those that it borrows: two writers, heartbeat, scheduler, stream."""

OLDEST_POSTGRES = 14
LATE = 60.0


def server(_: Here, there: There) -> Found:
    """Whether Postgres is one that keeps what it was told, and is set up for us."""
    told = there.server
    yield "ok", f"Postgres {told['version']}, {there.latency * 1000:.1f} ms away", ""
    if told["version"] < OLDEST_POSTGRES:
        yield "problem", f"Postgres {told['version']} is no longer maintained", "upgrade it; 18 is what is tested"
    if told["standby"]:
        yield "problem", "this is a read replica, which takes no webhooks", "name the primary in HOOKLINE_DATABASE_URL"
    if not told["fsync"] or not told["commits"]:
        what = "fsync" if not told["fsync"] else "synchronous_commit"
        yield "problem", f"{what} is off: what senders were told is kept may be lost in a crash", f"switch {what} on"
    if there.latency > 0.02:
        yield (
            "warning",
            f"Postgres is {there.latency * 1000:.0f} ms away, which each commit takes several times",
            "run replicas beside it",
        )
    if told["plans"] != PLANS or not there.heard:
        yield (
            "problem",
            "a pooler between here and Postgres drops what a session sets, or its notifications",
            "connect to Postgres itself: hookline pools its connections, and transaction pooling cannot serve it",
        )
    if told["oldest_transaction"] > 600:
        yield (
            "warning",
            f"a transaction is open for {span(told['oldest_transaction'])}, so nothing can be vacuumed",
            "find it in pg_stat_activity by xact_start, and end it",
        )
    alive = sum(1 for each in there.workers if each["lease_seconds"] > 0)
    needed = max(alive, 1) * (POOL + KEPT_CONNECTIONS)
    if needed > told["connections"]:
        yield (
            "warning",
            f"{many(alive, 'replica')} may need {needed} connections, and there are {told['connections']}",
            "raise max_connections",
        )
    elif told["connected"] > told["connections"] * 0.9:
        yield (
            "warning",
            f"{told['connected']} of {told['connections']} connections are taken",
            "raise max_connections, or see who takes them in pg_stat_activity",
        )


def reader(_: Here, there: There) -> Found:
    """Whether the read replica keeps up."""
    if there.reader is not None:
        yield "problem", f"HOOKLINE_READER_URL: {there.reader}", "correct it, or unset it: the API reads there"
    elif there.lag is not None:
        state: State = "ok" if there.lag < 10 else "warning" if there.lag < 60 else "problem"
        yield (
            state,
            f"the read replica is {there.lag:.1f} s behind",
            "" if state == "ok" else "see what holds replication up, or unset HOOKLINE_READER_URL",
        )


def schema(_: Here, there: There) -> Found:
    """Whether the tables are those that this version knows, and may be used."""
    if there.schema is None:
        yield "problem", "the database has no hookline schema yet", "run `hookline migrate`"
    elif there.schema < there.expected:
        yield (
            "problem",
            f"the schema is {there.schema}, and this hookline needs {there.expected}",
            "run `hookline migrate`",
        )
    elif there.schema > there.expected:
        yield (
            "problem",
            f"the schema is {there.schema}, which this hookline ({there.expected}) does not know",
            "a newer version has migrated it: deploy that one",
        )
    elif there.lacking:
        yield (
            "problem",
            f"this user lacks privileges on {'; '.join(there.lacking)}",
            "grant select, insert, update, delete on all tables in schema hookline to it",
        )
    else:
        yield "ok", f"the schema is {there.schema}, as it should be", ""


def clock(_: Here, there: There) -> Found:
    """Whether the clock here is right: senders' timestamps are held against it, all else goes by Postgres's."""
    ahead = f"{span(abs(there.skew))} {'ahead of' if there.skew > 0 else 'behind'} Postgres's"
    off = abs(there.skew) - there.latency
    if off > 60:
        yield "problem", f"this clock is {ahead}: signatures with a time in them will be refused", "set it by NTP"
    elif off > 2:
        yield "warning", f"this clock is {ahead}", "set it by NTP"
    else:
        yield "ok", f"this clock is {abs(there.skew) * 1000:.0f} ms off Postgres's", ""


def sources(here: Here, there: There) -> Found:
    """Sources that are kept and cannot be used, that quarantine what comes, and jobs that nothing can start."""
    for each in there.kept:
        if each["name"] in here.parsers:
            yield (
                "warning",
                f"{each['name']} is kept in the service and declared here, which goes first",
                f"remove one: `hookline sources remove {each['name']}`",
            )
        elif each["problem"]:
            todo = "add the key that sealed it to HOOKLINE_ENCRYPTION_KEYS" if "sealed" in each["problem"] else \
                f"see `hookline sources show {each['name']}`"  # fmt: skip
            yield "problem", f"{each['name']}: {each['problem']}", todo
        elif not each["first"]:
            yield "warning", f"{each['name']} is sealed by an older key", "run `hookline sources reseal`"
    last = {each["source"]: each for each in there.sources}
    usable = dict(here.parsers) | {each["name"]: each["parser"] for each in there.kept if not each["problem"]}
    for name in sorted({*usable, *last}):
        yield from _source(name, last.get(name), there.now, usable=name in usable)
    yield from _deaf(here, set(usable.values()))


def _source(name: str, row: Mapping[str, Any] | None, now: float, *, usable: bool) -> Found:
    if row is None or row["received_at"] is None:
        yield "ok", f"{name}: nothing has come yet", ""
        return
    ago = f"last delivery {span(now - row['received_at'].timestamp())} ago"
    for status in ("quarantined", "conflict"):
        if share := row[status]:
            state: State = "problem" if share * 2 > row["seen"] else "warning"
            yield (
                state,
                f"{name}: {share} of {row['seen']} deliveries of a day are {status}, {ago}",
                f"`hookline deliveries list --source {name} --status {status}` tells why",
            )
    if not usable:
        yield "warning", f"{name} is no source here any more, {ago}", "its senders are answered 404, if there are any"
    elif not row["quarantined"] and not row["conflict"]:
        yield "ok", f"{name}: {ago}", ""


def replicas(_: Here, there: There) -> Found:
    """Whether there are workers, and renew their leases."""
    alive = [each for each in there.workers if each["lease_seconds"] > 0]
    if alive:
        yield "ok", f"{many(len(alive), 'worker')} alive", ""
    else:
        yield "warning", "no worker is alive: nothing runs", "start a replica: `hookline serve`"
    for each in there.workers:
        left, lease = each["lease_seconds"], (each["expires_at"] - each["seen_at"]).total_seconds()
        if left <= 0:
            yield (
                "warning",
                f"worker {each['name']} ({each['id']}) is dead for {span(-left)}, and has its row still",
                "a living replica removes it and takes its runs over: start one",
            )
        elif left < lease / 3:
            yield (
                "warning",
                f"worker {each['name']} ({each['id']}) has {left:.1f} of {lease:.0f} s left of its lease",
                "it is starved of CPU, or cannot reach Postgres: look at its log and load",
            )


def runs(_: Here, there: There) -> Found:
    """Runs that are late, paused, or that nobody can run."""
    if any(each["lease_seconds"] > 0 for each in there.workers):
        for each in there.unoffered:
            yield (
                "problem",
                f"nobody offers {each['job']} version {each['version']}: {many(each['runs'], 'unfinished run')}",
                "deploy that version beside the new one until they end, or see `hookline preflight`",
            )
    oldest = max((there.now - each["since"].timestamp() for each in there.queues), default=0.0)
    if oldest > LATE:
        yield (
            "problem",
            f"the oldest run that is due waits for {span(oldest)}",
            "start more replicas, or raise HOOKLINE_SLOTS; `hookline runs list --state queued` shows them",
        )
    for each in there.paused:
        resume = f"hookline runs resume --job {each['job']} --state paused"
        yield (
            "problem" if "its worker was lost" in (each["reason"] or "") else "warning",
            f"{many(each['runs'], 'run')} of {each['job']} paused: {each['reason']}",
            f"look at one, `hookline runs debug {each['id']}`, and then `{resume}`",
        )
    if oldest <= LATE and not there.paused:
        yield "ok", "no run is late or paused", ""


def schedules(_: Here, there: There) -> Found:
    """Schedules that do not fire."""
    for each in there.schedules:
        late = 0.0 if not each["active"] or each["next_at"] is None else there.now - each["next_at"].timestamp()
        if each["problem"]:
            yield (
                "problem",
                f"{each['name']} could not fire: {each['problem']}",
                "correct the job's schedule or its input",
            )
        elif late > LATE:
            yield (
                "problem",
                f"{each['name']} is late by {span(late)}",
                f"no living replica declares it: deploy one, or `hookline schedules off {each['name']}`",
            )
    for each in there.connectors:
        if each["problem"]:
            yield "problem", f"connector {each['name']} stands still: {each['problem']}", "correct what it names"


def stored_definitions(_: Here, there: There) -> Found:
    """Definitions that cannot be run by this application."""
    for name, problem in sorted(there.unloadable.items()):
        yield "problem", f"{name}: {problem}", "register its steps, apply a corrected one, or delete it"


def tables(here: Here, there: There) -> Found:
    """Whether Postgres cleans up behind us, and we behind ourselves."""
    if not there.server["autovacuum"]:
        yield "problem", "autovacuum is off: tables grow without an end", "switch it on"
    if there.server["age"] > 1_500_000_000:
        yield (
            "problem",
            f"the oldest transaction number is {there.server['age']} old: Postgres will stop",
            "run VACUUM FREEZE",
        )
    for each in there.tables:
        if each["dead"] > 100_000 and each["dead"] > each["live"]:
            yield (
                "warning",
                f"{each['name']} has {each['dead']} dead rows besides {each['live']}",
                f"see what holds autovacuum up (an old transaction, a slot), then VACUUM hookline.{each['name']}",
            )
    if there.tables:
        first = there.tables[0]
        whole = sum(each["bytes"] for each in there.tables)
        yield "ok", f"{size(whole)} in all, of which {first['name']} is {size(first['bytes'])}", ""
    if there.events_age > here.settings.events_kept + 600:
        yield (
            "warning",
            f"events of {span(there.events_age)} ago are there still, to be kept for {span(here.settings.events_kept)}",
            "a replica deletes them while it runs: start one",
        )


def _deaf(here: Here, parsers: set[str]) -> Found:
    """Jobs on the events of a sender that no source takes in."""
    known = {point.name for point in entry_points(group=GROUP)}
    for offer, types in sorted(here.jobs.items()):
        for parser in sorted({type_.partition(".")[0] for type_ in types} & known - parsers):
            yield (
                "warning",
                f"job {offer} is on events of {parser}, and no source takes them in",
                f"set HOOKLINE_{parser.upper()}_SECRETS, or run `hookline sources add {parser}`",
            )


CHECKS: Mapping[str, Callable[[Here, There], Found]] = {
    "database": server, "reader": reader, "schema": schema, "clock": clock, "workers": replicas, "sources": sources,
    "definitions": stored_definitions, "runs": runs, "schedules": schedules, "tables": tables,
}  # fmt: skip
