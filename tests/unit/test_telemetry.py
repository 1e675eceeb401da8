"""Logs carry ids and no secrets; metrics are declared once, and reach statsd in either of its forms."""

from __future__ import annotations

import json
import re
import socket
from collections.abc import Iterator
from pathlib import Path
from uuid import UUID

import pytest
from tests.support import KEY

from hookline import metrics, telemetry
from hookline.errors import ConfigurationError
from hookline.settings import load

DOCUMENT = Path(__file__).parents[2] / "docs" / "metrics.md"


@pytest.fixture
def statsd() -> Iterator[socket.socket]:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as receiving:
        receiving.bind(("127.0.0.1", 0))
        receiving.settimeout(5)
        yield receiving


def test_a_line_bears_the_ids_that_are_bound_and_hides_what_is_secret(capsys: pytest.CaptureFixture[str]) -> None:
    telemetry.configure(load())
    run = UUID(int=7)
    with telemetry.bound(run=run, job="deploy"), telemetry.bound(step="build"):
        telemetry.log.info("step.retried", api_token="hunter2", body=b"hunter2", attempt=1, reason=None)
    telemetry.log.info("afterwards")
    first, second = (json.loads(line) for line in capsys.readouterr().err.splitlines())
    assert (first["run"], first["job"], first["step"], first["attempt"]) == (str(run), "deploy", "build", 1)
    assert "hunter2" not in json.dumps(first)
    assert "reason" not in first
    assert second.keys() == {"event", "level", "timestamp"}


def test_less_than_the_level_is_not_logged(capsys: pytest.CaptureFixture[str]) -> None:
    telemetry.configure(load(log_level="warning"))
    telemetry.log.info("not this")
    telemetry.log.warning("this")
    assert [json.loads(line)["event"] for line in capsys.readouterr().err.splitlines()] == ["this"]


@pytest.mark.parametrize("form", ["json", "console"])
def test_an_exception_is_logged_without_what_was_in_its_variables(
    capsys: pytest.CaptureFixture[str], form: str
) -> None:
    telemetry.configure(load(log_format=form))
    fail("hunter2")
    logged = capsys.readouterr().err
    assert "boom" in logged
    assert "in fail" in logged or json.loads(logged)["exception"][0]["frames"][-1]["name"] == "fail"
    assert "hunter2" not in logged


def fail(secret: str) -> None:
    try:
        raise ValueError("boom")
    except ValueError:
        telemetry.log.exception("it.broke", about=len(secret))


@pytest.mark.parametrize(
    ("tags", "expected"),
    [
        (False, ["pre.runs.changed.de_ploy_x.failed:2|c", "pre.commit.time.engine:1.500|ms", "pre.queue.age:3|g"]),
        (True, ["pre.runs.changed:2|c|#job:de_ploy_x,state:failed", "pre.commit.time:1.500|ms|#writer:engine",
                "pre.queue.age:3|g"]),
    ],
    ids=["in the name", "as DogStatsD does"],
)  # fmt: skip
def test_metrics_reach_statsd(statsd: socket.socket, tags: bool, expected: list[str]) -> None:
    host, port = statsd.getsockname()
    telemetry.configure(load(statsd_host=host, statsd_port=port, statsd_prefix="pre", statsd_tags=tags))
    metrics.RUNS.count(2, job="de|ploy x", state="failed")
    metrics.COMMIT_TIME.time(1.5, writer="engine")
    metrics.QUEUE_AGE.set(3)
    metrics.flush()
    assert statsd.recv(1024).decode().splitlines() == expected


def test_without_a_host_metrics_go_nowhere_and_an_unknown_host_stops_the_start() -> None:
    telemetry.configure(load())
    metrics.RUNS.count(job="deploy", state="failed")
    metrics.flush()
    with pytest.raises(ConfigurationError, match=r"HOOKLINE_STATSD_HOST: cannot find nowhere\.invalid"):
        telemetry.configure(load(statsd_host="nowhere.invalid"))


def test_the_guide_lists_exactly_the_metrics() -> None:
    documented = re.findall(
        r"^\| `([a-z.]+)` \| (\w+) \| (\w+) \| ([^|]*) \| ([^|]+) \|$", DOCUMENT.read_text(), re.MULTILINE
    )
    declared = [
        (metric.name, metric.kind, metric.unit, ", ".join(f"`{tag}`" for tag in metric.tags), metric.meaning)
        for metric in metrics.METRICS
    ]
    assert documented == declared


def test_where_payloads_are_encrypted_no_line_quotes_them(capsys: pytest.CaptureFixture[str]) -> None:
    for form in ("json", "console"):
        telemetry.configure(load(encrypt_payloads=True, encryption_keys=KEY, log_format=form))
        try:
            raise ValueError(f"card {4200 + 42}")
        except ValueError:
            telemetry.log.exception("parser.failed")
        telemetry.log.info("step.retried", error="ValueError: card 4242")
        told = capsys.readouterr().err
        assert "4242" not in told
        assert "ValueError" in told
        assert "test_telemetry.py" in told


def test_redacted_fields_reach_no_log(capsys: pytest.CaptureFixture[str]) -> None:
    telemetry.configure(load(redact="**.email,user.name"))
    telemetry.log.info("job.said", user={"name": "Ann", "age": 7}, people=[{"email": "a@b"}], email="a@b")
    (line,) = capsys.readouterr().err.splitlines()
    told = json.loads(line)
    assert told["user"] == {"name": "[redacted]", "age": 7}
    assert "a@b" not in line
