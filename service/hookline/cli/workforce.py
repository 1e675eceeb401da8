"""The workforce: several replicas on one machine, each a process, on one listening socket."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from types import FrameType

from hookline import embedded, telemetry

RESPAWN = 1.0
"""Seconds between two looks at whether a worker has died, so a worker that cannot start does not spin."""


def supervise(
    workers: int,
    app: str | None,
    listening: socket.socket | None,
    dsn: str,
    *,
    engine: bool,
    embedded_at: Path | None,
) -> None:
    """Keep `workers` processes running `app` until SIGTERM or SIGINT; start anew what dies."""
    command = [sys.executable, "-m", "hookline", "serve"]
    command += ["--no-http"] if listening is None else ["--fd", str(listening.fileno())]
    command += [] if app is None else [app]
    command += ["--parent", str(os.getpid())] + ([] if engine else ["--no-engine"])
    kept = () if listening is None else (listening.fileno(),)
    environment = os.environ | {"HOOKLINE_DATABASE_URL": dsn}
    stopping = False

    def stop(_number: int, _frame: FrameType | None) -> None:
        nonlocal stopping
        stopping = True
        for each in running:
            each.terminate()

    def start() -> subprocess.Popen[bytes]:
        return subprocess.Popen(command, env=environment, pass_fds=kept, start_new_session=True)

    running: list[subprocess.Popen[bytes]] = []
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, stop)
    running += [start() for _ in range(workers)]
    while not stopping:
        time.sleep(RESPAWN)  # one that dies at its start is not started in a rush
        if embedded_at is not None and embedded.revive(embedded_at):
            telemetry.log.warning("postgres.revived", data=str(embedded_at))
        for index, each in enumerate(running):
            if each.poll() is not None and not stopping:
                telemetry.log.warning("worker.died", pid=each.pid, status=each.returncode)
                running[index] = start()
    for each in running:
        each.wait()
