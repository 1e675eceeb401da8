"""What `hookline doctor` makes of what it finds, check by check, and that it tells no secret."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import msgspec
import pytest
from pydantic import SecretStr

from hookline.cli.doctor import judge
from hookline.cli.doctor.facts import Facts, Here, SecretFile, There, look_here
from hookline.settings import Settings
from hookline.store.database import PLANS

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
AGO = NOW - timedelta(hours=3)
SERVER = {
    "version": 18, "standby": False, "plans": PLANS, "autovacuum": True, "fsync": True, "commits": True,
    "connections": 97, "connected": 9, "age": 1000, "oldest_transaction": 0.0,
}  # fmt: skip
WORKER = {"id": "w1", "name": "host", "lease_seconds": 25.0, "seen_at": NOW, "expires_at": NOW + timedelta(seconds=30)}
WELL = There(server=SERVER, schema="0015", expected="0015", now=NOW.timestamp(), workers=[WORKER])
SOURCE = {
    "source": "github", "received_at": AGO, "seen": 10, "accepted": 10, "ignored": 0, "quarantined": 0, "conflict": 0,
}  # fmt: skip
SCHEDULE = {"name": "nightly", "active": True, "next_at": NOW + timedelta(hours=1), "problem": None}
PAUSED = {"job": "deploy", "runs": 2, "id": "r1", "reason": "an operator paused it"}
QUEUE = {"job": "deploy", "version": 1, "runs": 4, "since": AGO, "offered": True}


def here(**settings: Any) -> Here:
    return Here(settings=Settings(**settings), app=None)


def told(facts: Facts) -> list[str]:
    """What is not ok, as `state area: what`."""
    return [f"{each.state} {each.area}: {each.found}" for each in judge(facts) if each.state != "ok"]


def test_where_all_is_well_nothing_is_to_be_done() -> None:
    assert told(Facts(here(), WELL, ready={"status": "ready", "database": "ok", "lease": "no engine here"})) == []


@pytest.mark.parametrize(
    ("settings", "what"),
    [
        ({"database_url": "postgresql://h/d", "data": "/x"}, "warning settings: HOOKLINE_DATA is not used"),
        ({"reader_url": "postgresql://h/d"}, "problem settings: HOOKLINE_READER_URL is set without"),
        ({"max_in_flight_bytes": 1024}, "problem settings: HOOKLINE_MAX_BODY is more than"),
        ({"statsd_tags": True}, "warning settings: HOOKLINE_STATSD_TAGS is set without"),
        ({"trusted_proxies": (ip_network("0.0.0.0/0"),)}, "problem settings: HOOKLINE_TRUSTED_PROXIES is everybody"),
        ({"api_tokens": "hunter2"}, "warning settings: a token in HOOKLINE_API_TOKENS has under 16"),
        ({"public_url": "http://hooks.example.com"}, "warning settings: HOOKLINE_PUBLIC_URL is not https"),
        ({"host": "0.0.0.0"}, "warning settings: HOOKLINE_PUBLIC_URL is not set"),
        ({"always_replay": True}, "warning settings: HOOKLINE_ALWAYS_REPLAY is set"),
    ],
)
def test_settings_that_contradict_each_other_are_told(settings: dict[str, Any], what: str) -> None:
    (found,) = told(Facts(here(**settings), WELL))
    assert found.startswith(what)
    assert "hunter2" not in found


@pytest.mark.parametrize(
    ("changes", "what"),
    [
        ({"wrong": ["HOOKLINE_PROT is not a setting"]}, "problem settings: HOOKLINE_PROT is not a setting"),
        (
            {"files": [SecretFile("/s", "the secrets of source x", problem="No such file")]},
            "problem files: /s, the sec",
        ),
        ({"files": [SecretFile("/s", "the secrets of source x", 0o644)]}, "warning files: /s, the secrets of source x"),
        ({"disk": (10, 10**12), "data": Path("/d")}, "problem disk: 10 bytes of 931.3 GB are free"),
        ({"disk": (10**9, 10**10), "data": Path("/d")}, "warning disk: "),
        ({"app": "there is no application"}, "warning application: no application is named"),
        ({"refused": {"x": "there is no parser 'x'"}}, "problem sources: x: there is no parser 'x'"),
        ({"jobs": {"deploy@1": ["github.push"]}}, "warning sources: job deploy@1 is on events of github"),
    ],
)
def test_what_is_wrong_on_this_machine_is_told(changes: dict[str, Any], what: str) -> None:
    (found,) = told(Facts(msgspec.structs.replace(here(), **changes), WELL))
    assert found.startswith(what)


@pytest.mark.parametrize(
    ("changes", "what"),
    [
        ({"server": SERVER | {"version": 12}}, "problem database: Postgres 12 is no longer maintained"),
        ({"server": SERVER | {"standby": True}}, "problem database: this is a read replica"),
        ({"server": SERVER | {"fsync": False}}, "problem database: fsync is off"),
        ({"server": SERVER | {"commits": False}}, "problem database: synchronous_commit is off"),
        ({"server": SERVER | {"plans": "auto"}}, "problem database: a pooler between"),
        ({"heard": False}, "problem database: a pooler between"),
        ({"server": SERVER | {"connections": 10}}, "warning database: 1 replica may need 15 connections"),
        ({"server": SERVER | {"connected": 95}}, "warning database: 95 of 97 connections are taken"),
        ({"server": SERVER | {"oldest_transaction": 7300.0}}, "warning database: a transaction is open for 2 h"),
        ({"latency": 0.05}, "warning database: Postgres is 50 ms away"),
        ({"reader": "Postgres does not answer"}, "problem reader: HOOKLINE_READER_URL"),
        ({"lag": 30.0}, "warning reader: the read replica is 30.0 s behind"),
        ({"schema": None}, "problem schema: the database has no hookline schema"),
        ({"schema": "0001"}, "problem schema: the schema is 0001, and this hookline needs 0015"),
        ({"schema": "0099"}, "problem schema: the schema is 0099, which this hookline (0015) does not know"),
        ({"lacking": ["runs: delete"]}, "problem schema: this user lacks privileges on runs: delete"),
        ({"skew": -90.0}, "problem clock: this clock is 90 s behind Postgres's"),
        ({"skew": 5.0}, "warning clock: this clock is 5 s ahead of Postgres's"),
        ({"workers": []}, "warning workers: no worker is alive"),
        ({"workers": [WORKER, WORKER | {"lease_seconds": -9.0}]}, "warning workers: worker host (w1) is dead for 9 s"),
        ({"workers": [WORKER | {"lease_seconds": 4.0}]}, "warning workers: worker host (w1) has 4.0 of 30 s left"),
        ({"kept": [{"name": "shop", "parser": "github", "problem": "it is sealed by the key ab", "first": False}]},
         "problem sources: shop: it is sealed by the key ab"),
        ({"kept": [{"name": "shop", "parser": "github", "problem": None, "first": False}]},
         "warning sources: shop is sealed by an older key"),
        ({"sources": [SOURCE]}, "warning sources: github is no source here any more, last delivery 3 h ago"),
        ({"unloadable": {"release": "no step"}}, "problem definitions: release: no step"),
        ({"unoffered": [{"job": "deploy", "version": 1, "runs": 3}]}, "problem runs: nobody offers deploy"),
        ({"queues": [QUEUE]}, "problem runs: the oldest run that is due waits for 3 h"),
        ({"paused": [PAUSED]}, "warning runs: 2 runs of deploy paused: an operator"),
        ({"paused": [PAUSED | {"reason": "its worker was lost 5 times while it ran"}]}, "problem runs: 2 runs of"),
        ({"schedules": [SCHEDULE | {"next_at": AGO}]}, "problem schedules: nightly is late by 3 h"),
        ({"schedules": [SCHEDULE | {"problem": "no job"}]}, "problem schedules: nightly could not fire: no job"),
        ({"connectors": [{"name": "orders", "problem": "OSError"}]}, "problem schedules: connector orders stands"),
        ({"server": SERVER | {"autovacuum": False}}, "problem tables: autovacuum is off"),
        ({"server": SERVER | {"age": 2 * 10**9}}, "problem tables: the oldest transaction number"),
        ({"tables": [{"name": "runs", "live": 5, "dead": 200_000, "bytes": 9}]}, "warning tables: runs has 200000"),
        ({"events_age": 172_800.0}, "warning tables: events of 2 d ago are there still"),
    ],
)  # fmt: skip
def test_what_is_wrong_in_the_database_is_told(changes: dict[str, Any], what: str) -> None:
    (found,) = told(Facts(here(), msgspec.structs.replace(WELL, **changes)))
    assert found.startswith(what)


@pytest.mark.parametrize(("quarantined", "state"), [(1, "warning"), (9, "problem")])
def test_a_source_that_quarantines_most_of_what_comes_is_a_problem(quarantined: int, state: str) -> None:
    seen = msgspec.structs.replace(WELL, sources=[SOURCE | {"quarantined": quarantined}])
    facts = Facts(msgspec.structs.replace(here(), parsers={"github": "github"}), seen)
    assert told(facts) == [
        f"{state} sources: github: {quarantined} of 10 deliveries of a day are quarantined, last delivery 3 h ago"
    ]


def test_stranded_versions_are_not_told_where_nobody_is_alive() -> None:
    seen = msgspec.structs.replace(WELL, workers=[], unoffered=[{"job": "deploy", "version": 1, "runs": 3}])
    assert [each.partition(":")[0] for each in told(Facts(here(), seen))] == ["warning workers"]


def test_a_source_in_two_places_is_told() -> None:
    kept = [{"name": "shop", "parser": "github", "problem": None, "first": True}]
    facts = Facts(msgspec.structs.replace(here(), parsers={"shop": "github"}), msgspec.structs.replace(WELL, kept=kept))
    assert told(facts) == ["warning sources: shop is kept in the service and declared here, which goes first"]


def test_a_database_that_does_not_answer_is_a_problem_and_one_that_is_not_there_yet_a_warning() -> None:
    assert told(Facts(here(), None, "Postgres does not answer: refused")) == [
        "problem database: Postgres does not answer: refused"
    ]
    assert told(Facts(here())) == ["warning database: there is no database yet"]


def test_a_replica_that_is_not_ready_says_why() -> None:
    ready = {"status": "not ready", "database": "ok", "schema": "is 0001, not 0015", "lease": "ok"}
    assert told(Facts(here(), WELL, ready=ready)) == ["problem replica: schema: is 0001, not 0015"]
    assert told(Facts(here(), WELL, ready={"status": "does not answer: refused"})) == [
        "problem replica: status: does not answer: refused"
    ]
    migrated = {"status": "not ready", "database": "ok", "schema": "newer", "lease": "none"}
    assert told(Facts(here(), WELL, ready=migrated)) == ["problem replica: lease: none"]


def test_a_replica_whose_database_a_newer_version_has_migrated_is_ready_and_to_be_replaced() -> None:
    ready = {"status": "ready", "database": "ok", "schema": "newer", "lease": "ok"}
    assert told(Facts(here(), WELL, ready=ready)) == ["warning replica: a newer version has migrated its database"]


def test_all_that_is_wrong_with_settings_and_sources_is_found_at_once_and_no_secret_is_told(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "secrets").write_text("hunter2")
    for name, value in {
        "PROT": "1", "PORT": "many", "X_SECRETS": "hunter2", "ENCRYPTION_KEYS": "hunter2", "GITHUB_SECRETS": "hunter2",
        "GITHUB_SECRETS_FILE": str(tmp_path / "secrets"), "SHOP_SECRETS_FILE": "/nowhere", "SHOP_PARSER": "github",
        "STRIPE_SECRETS": "hunter2", "STRIPE_UNSIGNED": "true", "API_TOKENS": "hunter2",
    }.items():  # fmt: skip
        monkeypatch.setenv(f"HOOKLINE_{name}", value)
    (tmp_path / "secrets").chmod(0o644)
    found, _ = look_here()
    lines = told(Facts(found, WELL))
    assert not any("hunter2" in each for each in lines)
    assert [each.partition(";")[0][:60] for each in lines] == [
        "problem settings: HOOKLINE_PROT is not a setting",
        "problem settings: HOOKLINE_PORT: Input should be a valid int",
        "problem settings: HOOKLINE_ENCRYPTION_KEYS: a key is 32 byte",
        "problem settings: source stripe has secrets and says HOOKLIN",
        "warning settings: a token in HOOKLINE_API_TOKENS has under 1",
        f"warning files: {tmp_path / 'secrets'}, the secrets of source github, is open to others (644)"[:60],
        "problem files: /nowhere, the secrets of source shop: No such",
        "warning application: no application is named, so its jobs we",
        "problem sources: shop: HOOKLINE_SHOP_SECRETS_FILE: cannot re",
        "problem sources: x: there is no parser 'x', only alertmanage",
    ]
    assert found.parsers == {"github": "github"}
    assert isinstance(found.settings.api_tokens[0], SecretStr)
