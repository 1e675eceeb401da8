"""The command line in a terminal and in a script: what it prints where, how it ends, and what it completes."""

from __future__ import annotations

import asyncio
import json
import os
import pty
import re
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.cluster.app import app as cluster
from tests.integration.test_cli import ROOT, double, hookline
from tests.support import SECRET, Site, on_site

from hookline import App, Context
from hookline.cli.client import asked
from hookline.errors import ConfigurationError

COMMAND = str(Path(sys.executable).with_name("hookline"))


def app() -> App:
    made = App()

    @made.job()
    async def work(ctx: Context, x: int) -> int:
        """Double it."""
        return await ctx.step(double, x)

    return made


STARTED: list[asyncio.subprocess.Process] = []


@pytest.fixture(autouse=True)
async def nothing_is_left() -> AsyncIterator[None]:
    """What a test has started ends with it, also if the test fails."""
    yield
    while STARTED:
        process = STARTED.pop()
        if process.returncode is None:
            process.kill()
        await process.communicate()


async def start(
    *arguments: str, stdout: int = asyncio.subprocess.PIPE, **environment: str
) -> asyncio.subprocess.Process:
    process = await asyncio.create_subprocess_exec(
        COMMAND, *arguments, cwd=ROOT, stdout=stdout, stderr=asyncio.subprocess.PIPE, env=os.environ | environment,
    )  # fmt: skip
    STARTED.append(process)
    return process


async def listened_to(site: Site) -> None:
    """Return once a stream is open."""
    feed = site.server._feed
    assert feed is not None
    while not feed._listeners:  # present it is before it is known from where on
        await asyncio.sleep(0.02)  # it tells nobody


async def test_what_only_looks_is_answered_by_the_database_as_by_a_service(
    dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with on_site(cluster, dsn) as site:
        push = (await site.push("guid-1")).json()["delivery"]
        run = await site.house.start("three_steps")
        for name, value in {
            "DATABASE_URL": dsn, "APP": "tests.cluster.app:app", "GITHUB_SECRETS": SECRET, "GENERIC_SECRETS": SECRET,
        }.items():  # fmt: skip
            monkeypatch.setenv(f"HOOKLINE_{name}", value)
        monkeypatch.chdir(ROOT)
        direct = await asyncio.to_thread(asked, None, None, database=True)
        for path in (
            "runs", f"runs/{run}", f"runs/{run}/debug", "jobs", "jobs/three_steps/graph", "deliveries",
            f"deliveries/{push}",
            "sources", "sources/github", "schedules", "definitions", "workers", "connectors", "tokens", "audit",
        ):  # fmt: skip
            there = (await site.client.get(f"/api/{path}")).json()
            assert await asyncio.to_thread(direct.get, f"/api/{path}") == there, path
        status, out, _ = await hookline("runs", "show", str(run), "--database", "--json", DATABASE_URL=dsn)
        assert (status, json.loads(out)["id"]) == (0, str(run))
    with pytest.raises(ConfigurationError, match="asks no service"):
        asked("http://x", None, database=True)


async def test_a_watch_tells_every_change_and_ends_quietly_with_ctrl_c(dsn: str) -> None:
    async with on_site(app(), dsn, tokens=["t0ken"]) as site, site.house.replica():
        service = {"HOOKLINE_URL": str(site.client.base_url), "HOOKLINE_TOKEN": "t0ken"}
        watching = await start("watch", "--json", **service)
        assert watching.stdout is not None
        assert watching.stderr is not None
        async with asyncio.timeout(60):
            await listened_to(site)
            run = await site.house.start("work", 21)
            seen: list[str] = []
            while seen[-1:] != ["succeeded"]:
                told = json.loads(await watching.stdout.readline())
                seen += [told["state"]] if (told["event"], told["id"]) == ("run", str(run)) else []
        assert seen == ["queued", "running", "succeeded"]
        watching.send_signal(signal.SIGINT)
        assert (await watching.wait(), await watching.stderr.read()) == (130, b"")


async def test_a_run_is_watched_to_its_end_while_it_waits_and_its_outcome_is_the_exit_code(dsn: str) -> None:
    async with on_site(app(), dsn) as site, site.house.replica():
        late = await site.house.start("work", 1, delay=3600)
        watching = await start("runs", "watch", str(late), HOOKLINE_URL=str(site.client.base_url))
        assert watching.stdout is not None
        async with asyncio.timeout(60):
            await listened_to(site)
            await site.client.post(f"/api/runs/{late}/cancel")
            assert await watching.wait() == 1
        assert (await watching.stdout.read()).startswith(b"cancelled  work")


async def test_whoever_reads_no_further_is_not_complained_to() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    process = await start("settings", stdout=writing)
    os.close(writing)
    _, err = await process.communicate()
    assert err == b""


@pytest.mark.parametrize("colour", [True, False])
async def test_there_is_colour_in_a_terminal_unless_it_is_not_wanted(colour: bool, tmp_path: Path) -> None:
    ours, theirs = pty.openpty()
    environment = {"TERM": "xterm-256color", "HOOKLINE_DATA": str(tmp_path / "data")} | (
        {} if colour else {"NO_COLOR": "1"}
    )
    process = await start("doctor", stdout=theirs, **environment)
    os.close(theirs)
    await process.wait()
    assert (b"\x1b[33m" in os.read(ours, 100_000)) == colour
    os.close(ours)


async def complete(*words: str, **environment: str) -> tuple[list[str], str]:
    typed = {
        "COMP_WORDS": " ".join(["hookline", *words]),
        "COMP_CWORD": str(len(words)),
        "_HOOKLINE_COMPLETE": "complete_bash",
    }
    process = await start(**typed, **environment)
    out, err = await process.communicate()
    return out.decode().split(), err.decode()


async def test_a_shell_is_told_commands_and_what_a_service_knows_and_nothing_where_none_answers(dsn: str) -> None:
    async with on_site(app(), dsn, tokens=["t0ken"]) as site:
        run = await site.house.start("work", 1)
        service = {"HOOKLINE_URL": str(site.client.base_url), "HOOKLINE_TOKEN": "t0ken"}
        assert "doctor" in (await complete("do"))[0]
        assert await complete("runs", "watch", "0", **service) == ([str(run)], "")
        assert await complete("jobs", "run", "w", **service) == (["work"], "")
        assert await complete("sources", "show", "g", **service) == (["generic", "github"], "")
        assert await complete("jobs", "run", "w", **service | {"HOOKLINE_TOKEN": "wrong"}) == ([], "")
        assert await complete("jobs", "run", "w", **service | {"HOOKLINE_PROT": "1"}) == ([], "")
    assert await complete("jobs", "run", "w", HOOKLINE_URL="http://127.0.0.1:1") == ([], "")


@pytest.mark.parametrize(
    ("shell", "word"), [("bash", "complete -o"), ("zsh", "compdef"), ("fish", "complete --command")]
)
async def test_each_shell_can_be_taught(shell: str, word: str) -> None:
    process = await start("--show-completion", shell, _TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION="1")
    out, err = await process.communicate()
    assert (process.returncode, err, word in out.decode()) == (0, b"", True)
    assert "_HOOKLINE_COMPLETE" in out.decode()


async def test_what_is_done_with_several_is_told_a_line_each(dsn: str) -> None:
    async with on_site(app(), dsn) as site:
        runs = [str(await site.house.start("work", x, delay=3600)) for x in range(3)]
        service = {"URL": str(site.client.base_url)}
        status, out, _ = await hookline("runs", "cancel", *runs[:2], "--job", "work", "--json", **service)
        told = [json.loads(line) for line in out.splitlines()]
        assert (status, [each.get("state") for each in told]) == (0, ["cancelled", "cancelled", None])
        assert told[2]["fitting"] == 1
        assert await hookline("runs", "cancel", runs[0], **service) == (
            4, "", f"hookline: 409 The run has ended: run {runs[0]} is cancelled already\n",
        )  # fmt: skip
        assert (await hookline("runs", "show", "nothing", **service))[0] == 1
        assert (await hookline("runs", "cancel", **service))[0] == 2


async def whole_request(reader: asyncio.StreamReader) -> bytes:
    head = await reader.readuntil(b"\r\n\r\n")
    size = re.search(rb"content-length: (\d+)", head, re.IGNORECASE)
    return head + await reader.readexactly(int(size[1]) if size else 0)


async def test_what_was_answered_to_nobody_is_asked_again_and_done_once(dsn: str) -> None:
    async with on_site(app(), dsn) as site:
        heard: list[bytes] = []

        async def lose_the_first(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            heard.append(await whole_request(reader))
            answer = await site.dial(heard[-1])
            if len(heard) > 1:
                writer.write(answer)
            writer.close()

        async with await asyncio.start_server(lose_the_first, "127.0.0.1", 0) as between:
            url = f"http://127.0.0.1:{between.sockets[0].getsockname()[1]}"
            status, out, err = await hookline("jobs", "run", "work", "--input", "7", "--json", URL=url)
        runs = (await site.client.get("/api/runs")).json()["runs"]
    assert (status, [run["id"] for run in runs], len(heard)) == (0, [json.loads(out)["id"]], 2), err
    assert heard[0] == heard[1]


IN_PROGRESS = b"HTTP/1.1 409 Conflict\r\nRetry-After: 1\r\nContent-Length: 2\r\n\r\n{}"
DONE = b'HTTP/1.1 200 OK\r\nContent-Length: 11\r\n\r\n{"id": "7"}'


@pytest.mark.parametrize(
    ("answers", "status", "asked"),
    [
        ((b"", IN_PROGRESS, b"", DONE), 0, 4),
        ((IN_PROGRESS, DONE), 4, 1),  # whoever lost nothing is told at once
        ((b"", b"", b"", b"", DONE), 3, 4),
    ],
    ids=["at last", "at once", "never"],
)
async def test_a_lost_answer_is_asked_for_some_times(answers: tuple[bytes, ...], status: int, asked: int) -> None:
    heard: list[bytes] = []

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heard.append(await whole_request(reader))
        writer.write(answers[len(heard) - 1])
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as service:
        url = f"http://127.0.0.1:{service.sockets[0].getsockname()[1]}"
        ended, _, err = await hookline("jobs", "run", "work", URL=url)
    assert (ended, len(heard)) == (status, asked), err
    keys = {line for each in heard for line in each.lower().split(b"\r\n") if line.startswith(b"idempotency-key: ")}
    assert len(keys) == 1
    assert ("look first" in err) == (status == 3)
