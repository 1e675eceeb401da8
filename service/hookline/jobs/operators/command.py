"""Command: a program, run without a shell, whose output goes to the log."""

from __future__ import annotations

import asyncio
import os
import signal
from asyncio.subprocess import PIPE, STDOUT, Process
from collections import deque
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from hookline import telemetry
from hookline.errors import ConfigurationError, HooklineError
from hookline.jobs.given import rendered
from hookline.jobs.operators.called import called
from hookline.spans import Seconds, seconds

KEPT_OUTPUT = 65_536
"""Bytes of output, the last ones, that are returned; all of it goes to the log."""

LONGEST_LINE = 4_096
"""Bytes of one line in the log."""

GRACE = 2.0
"""Seconds that a program which is no longer wanted has between SIGTERM and SIGKILL."""


class CommandFailed(HooklineError):
    """A program ended with another status than 0."""


class Command:
    """Runs a program; returns `{"status": 0, "output": ...}` with the last 64 KB of what it wrote.

    There is no shell: each argument is one argument, whatever is in it. The program sees the environment of this
    process without hookline's settings, which hold secrets. It is ended, with all that it has started, when the step is
    cancelled, times out, or the program itself has ended.

    Args:
        argv: the program and its arguments; `{dotted.path}` in them is what the task is given.
        name: what the journal calls it; the program's name unless said otherwise.
        env: further variables of the environment; `{dotted.path}` as in `argv`.
        cwd: the directory to run in.
        timeout: how long it may take.

    Raises:
        CommandFailed: it ended with another status than 0.

    Example:
        graph.task(Command("make", "test", "COMMIT={input.after}", timeout=600), name="test")
    """

    def __init__(
        self,
        *argv: str,
        name: str | None = None,
        env: Mapping[str, str] | None = None,
        cwd: str | None = None,
        timeout: Seconds | None = None,
    ) -> None:
        if not argv or not all(isinstance(each, str) for each in argv):
            raise ConfigurationError(f"a Command is a program and its arguments, all of them texts, not {argv!r}")
        self.name = self.__name__ = name or os.path.basename(argv[0])  # noqa: PTH119 - it may be a template
        self._argv = argv
        self._env = dict(env or {})
        self._cwd = cwd
        self._timeout = None if timeout is None else seconds(timeout)

    async def __call__(self, given: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """Run it once."""
        argv = [str(each) for each in rendered(self._argv, given or {})]
        env = {name: value for name, value in os.environ.items() if not name.startswith("HOOKLINE_")}
        env |= {name: str(value) for name, value in rendered(self._env, given or {}).items()}
        with called("RUN", argv[0], good=(0,)) as call:
            status, output = await self._run(argv, env)
            call["status"] = status
        if status:
            raise CommandFailed(f"{self.name} ended with status {status}: {output[-500:].strip()}")
        return {"status": status, "output": output}

    async def _run(self, argv: list[str], env: dict[str, str]) -> tuple[int, str]:
        """Run the program to its end; returns its status, and what it wrote last."""
        process = await asyncio.create_subprocess_exec(
            *argv, stdin=asyncio.subprocess.DEVNULL, stdout=PIPE, stderr=STDOUT, env=env, cwd=self._cwd,
            start_new_session=True,
        )  # fmt: skip
        output = Output(self.name)
        try:
            async with asyncio.timeout(self._timeout):
                reading = asyncio.ensure_future(output.read(process))
                try:
                    status = await process.wait()
                    await asyncio.wait((reading,), timeout=1)  # a child that lives on may hold the pipe open
                finally:
                    reading.cancel()
        finally:
            await _end(process)
        return status, output.text


class Output:
    """What a program writes: its lines go to the log, and the last of it is kept."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._kept: deque[bytes] = deque()
        self._size = 0
        self._line = b""

    @property
    def text(self) -> str:
        """What is kept."""
        return b"".join(self._kept)[-KEPT_OUTPUT:].decode("utf-8", "replace").replace("\0", "�")

    async def read(self, process: Process) -> None:
        """Read until there is no more."""
        assert process.stdout is not None  # noqa: S101 - it was asked for
        while part := await process.stdout.read(16_384):
            self._keep(part)
            *lines, self._line = (self._line + part).split(b"\n")
            if len(self._line) > LONGEST_LINE:
                lines, self._line = [*lines, self._line], b""
            for line in lines:
                self._tell(line)
        if self._line:
            self._tell(self._line)

    def _keep(self, part: bytes) -> None:
        self._kept.append(part)
        self._size += len(part)
        while self._size - len(self._kept[0]) > KEPT_OUTPUT:
            self._size -= len(self._kept.popleft())

    def _tell(self, line: bytes) -> None:
        telemetry.log.info("command.output", command=self._name, line=line[:LONGEST_LINE].decode("utf-8", "replace"))


async def _end(process: Process) -> None:
    """End the program, if it has not, and all that it has started."""
    if process.returncode is None:
        _signal(process, signal.SIGTERM)
        with suppress(TimeoutError):
            async with asyncio.timeout(GRACE):
                await process.wait()
    _signal(process, signal.SIGKILL)
    await process.wait()


def _signal(process: Process, number: signal.Signals) -> None:
    with suppress(ProcessLookupError, PermissionError):  # the group is gone
        os.killpg(process.pid, number)
