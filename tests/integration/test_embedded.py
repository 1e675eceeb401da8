"""The embedded Postgres: shared, durable, brought back, and stopped by whoever leaves last."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from hookline import embedded
from hookline.errors import ConfigurationError

USER = """
import sys
from pathlib import Path
from hookline import embedded
with embedded.running(Path(sys.argv[1]), durable=False) as dsn:
    print(dsn, flush=True)
    sys.stdin.read()
"""


@contextmanager
def user(data: Path) -> Iterator[subprocess.Popen[str]]:
    """Another process that uses the server until its standard input ends."""
    process = subprocess.Popen(
        [sys.executable, "-c", USER, str(data)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        assert process.stdout.readline().startswith("postgresql://")
        yield process
    finally:
        process.stdin.close()
        process.wait()
        process.stdout.close()


async def value(dsn: str, query: str) -> Any:
    connection = await asyncpg.connect(dsn)
    try:
        return await connection.fetchval(query)
    finally:
        await connection.close()


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return tmp_path / "pg"


async def test_data_stays_when_the_last_user_has_left_and_the_server_has_stopped(data: Path) -> None:
    with embedded.running(data, durable=False) as dsn:
        await value(dsn, "create table kept (x int)")
        assert embedded._is_alive(data)
    assert not embedded._is_alive(data)
    with embedded.running(data) as again:
        assert again == dsn
        assert await value(again, "select count(*) from kept") == 0


async def test_the_server_stays_for_those_who_are_left_even_if_one_was_killed(data: Path) -> None:
    with user(data) as other:
        with user(data) as killed:
            killed.kill()
        with embedded.running(data) as dsn:
            assert await value(dsn, "select 1") == 1
        assert embedded._is_alive(data)
        assert other.poll() is None
    assert not embedded._is_alive(data)


async def test_a_killed_server_is_brought_back_where_it_was(data: Path, caplog: pytest.LogCaptureFixture) -> None:
    with embedded.running(data, durable=False) as dsn:
        await value(dsn, "create table kept (x int)")
        os.kill(int((data / "postmaster.pid").read_text().split()[0]), signal.SIGKILL)
        while embedded._is_alive(data):
            pass  # nobody tells when a process that is not ours is gone
        assert embedded.revive(data)
        assert await value(dsn, "select count(*) from kept") == 0
        before = (data / "postmaster.pid").read_text()
        assert not embedded.revive(data)
        assert (data / "postmaster.pid").read_text() == before
    assert not caplog.records, "what the wheel says of starts that are tried again"


def test_only_its_owner_reads_the_data(data: Path) -> None:
    with embedded.running(data, durable=False):
        assert data.stat().st_mode & 0o777 == 0o700


def test_what_cannot_be_a_data_directory_is_said_in_one_line(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(embedded, "START_WITHIN", 0)
    data.mkdir()
    (data / "PG_VERSION").write_text("18\n")
    with pytest.raises(ConfigurationError, match=r"the embedded Postgres in .* does not start"), embedded.running(data):
        pass
