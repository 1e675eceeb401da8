"""Commands, requests and reports: what they send, what they refuse, and that nothing of them outlives its step."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import Route
from structlog.testing import capture_logs

from hookline import (
    App,
    Command,
    CommandFailed,
    Delete,
    Event,
    Get,
    GitHubComment,
    GitHubStatus,
    Graph,
    HttpRequest,
    Post,
    RequestFailed,
    RequestRefused,
    Retry,
)
from hookline.errors import ConfigurationError
from hookline.jobs.operators import http
from hookline.jobs.operators.http import _is_public
from hookline.testing import Serve
from hookline.web.server import Server, listen


def python(code: str, *arguments: str, **options: Any) -> Command:
    return Command(sys.executable, "-c", code, *arguments, name="python", **options)


async def test_a_command_is_given_arguments_and_no_shell_sees_them() -> None:
    echo = python("import sys; print(sys.argv[1:])", "{input.word}; rm -rf /", "$HOME", "{n}")
    told = await echo({"input": {"word": "a b"}, "n": 7})
    assert told == {"status": 0, "output": "['a b; rm -rf /', '$HOME', '7']\n"}


async def test_a_command_sees_no_secrets_of_hookline_and_what_it_is_given(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOOKLINE_API_TOKENS", "s3cret")
    show = python("import os; print(sorted(k for k in os.environ if 'TOKEN' in k or k == 'WHO'), os.environ['WHO'])",
                  env={"WHO": "{input}"})  # fmt: skip
    assert (await show({"input": "me"}))["output"] == "['WHO'] me\n"


async def test_the_last_of_much_output_is_kept_and_all_lines_are_logged() -> None:
    with capture_logs() as logs:
        told = await python("for n in range(20000): print(n)")()
    assert len(told["output"]) <= 65_536
    assert told["output"].endswith("19998\n19999\n")
    assert [each["line"] for each in logs if each["event"] == "command.output"] == [str(n) for n in range(20000)]


async def test_a_command_that_fails_tells_its_status_and_its_last_words() -> None:
    with pytest.raises(CommandFailed, match="python ended with status 3: not today"):
        await python("import sys; print('not today'); sys.exit(3)")()
    with pytest.raises(FileNotFoundError):
        await Command("no-such-program")()
    with pytest.raises(ConfigurationError):
        Command()


FAMILY = """
import subprocess, sys, time
child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'])
print(child.pid, flush=True)
%s
"""


@pytest.mark.parametrize("how", ["cancelled", "too slow", "ended"])
async def test_what_a_command_has_started_ends_with_it(how: str) -> None:
    with capture_logs() as logs:
        then = "pass" if how == "ended" else "time.sleep(600)"
        family = python(FAMILY % then, timeout=1 if how == "too slow" else 60)
        task = asyncio.ensure_future(family())
        while not [each for each in logs if each["event"] == "command.output"]:
            await asyncio.sleep(0.01)
        if how == "cancelled":
            task.cancel()
        with suppress(asyncio.CancelledError, TimeoutError):
            await task
    child = int(logs[0]["line"])
    with suppress(psutil.NoSuchProcess):
        process = psutil.Process(child)
        if process.status() != psutil.STATUS_ZOMBIE:
            process.wait(5)  # raises if it still runs


async def test_a_cancelled_run_ends_its_command(hookline: Serve, tmp_path: Path) -> None:
    app, graph = App(), Graph("build")
    code = f"import os, time; open({str(tmp_path / 'pid')!r}, 'w').write(str(os.getpid())); time.sleep(600)"
    graph.task(python(code))
    app.add(graph)
    async with hookline(app) as service:
        await service.start("build")
        while not (tmp_path / "pid").exists() or not (tmp_path / "pid").read_text():
            await asyncio.sleep(0.01)
        await service.end()
    with pytest.raises(ProcessLookupError):
        os.kill(int((tmp_path / "pid").read_text()), signal.SIG_DFL)


class Site:
    """What the requests go to."""

    def __init__(self) -> None:
        self.requests: list[dict[str, Any]] = []
        self.url = ""

    async def answer(self, request: Request) -> Response:
        body = await request.body()
        self.requests.append(
            {
                "method": request.method,
                "path": request.url.path,
                "headers": dict(request.headers),
                "body": body.decode(),
            }
        )
        status = int(request.path_params.get("status", 200))
        return Response(status_code=204) if status == 204 else JSONResponse({"n": len(self.requests)}, status)

    async def redirect(self, request: Request) -> Response:
        return RedirectResponse(f"{self.url}/200", 302)

    async def huge(self, request: Request) -> Response:
        return Response(b"x" * 11_000_000)


@pytest.fixture
async def site() -> AsyncIterator[Site]:
    site = Site()
    routes = [
        Route("/redirect", site.redirect),
        Route("/huge", site.huge),
        Route("/{status:int}", site.answer, methods=["GET", "POST", "DELETE"]),
    ]
    listening = listen("127.0.0.1", 0)
    site.url = f"http://127.0.0.1:{listening.getsockname()[1]}"
    server = Server(Starlette(routes=routes), listening, drain=0)
    serving = asyncio.create_task(server.run())
    yield site
    server.stop()
    await serving


async def test_a_request_sends_what_it_is_given_with_one_key_for_all_its_tries(hookline: Serve, site: Site) -> None:
    app, graph = App(), Graph("call")
    graph.task(
        Post(f"{site.url}/{{input.status}}", json={"commit": "{input.sha}", "n": "{input.n}"}, private=True),
        retry=Retry(attempts=2, delay=0), name="call",
    )  # fmt: skip
    app.add(graph)
    async with hookline(app) as service:
        result = await service.run("call", {"status": 200, "sha": "9fceb02", "n": 7})
        assert result.output["call"]["body"] == {"n": 1}
        failed = await service.run("call", {"status": 503, "sha": "1", "n": 1})
        refused = await service.run("call", {"status": 404, "sha": "1", "n": 1})
    assert site.requests[0]["body"] == '{"commit":"9fceb02","n":7}'
    assert site.requests[0]["headers"]["idempotency-key"] == f"{result.id}/call"
    assert [each["path"] for each in site.requests] == ["/200", "/503", "/503", "/404"]
    assert site.requests[1]["headers"]["idempotency-key"] == site.requests[2]["headers"]["idempotency-key"]
    assert "was answered 503" in str(failed.reason)
    assert "RequestRefused: POST" in str(refused.reason)


async def test_redirects_are_followed_only_if_that_is_said(site: Site) -> None:
    with pytest.raises(RequestRefused, match="was answered 302"):
        await Get(f"{site.url}/redirect", private=True)()
    told = await Get(f"{site.url}/redirect", private=True, redirects=True)()
    assert (told["status"], told["body"]) == (200, {"n": 1})
    assert (await Delete(f"{site.url}/204", private=True)())["status"] == 204


@pytest.mark.parametrize(
    "url",
    ["http://127.0.0.1/", "http://localhost:5432/", "http://[::1]/", "http://169.254.169.254/latest/meta-data",
     "http://10.0.0.1/", "http://[::ffff:127.0.0.1]/", "http://0.0.0.0/", "http://2130706433/", "file:///etc/passwd",
     "http:///nowhere", "ftp://example.com/"],
)  # fmt: skip
async def test_nothing_private_can_be_asked(url: str) -> None:
    with pytest.raises(RequestRefused):
        await Get(url)()


def test_what_is_public_is_known() -> None:
    assert _is_public("93.184.216.34")
    assert _is_public("2606:4700::1111")
    for private in ("100.64.0.1", "224.0.0.1", "fe80::1%eth0", "fc00::1", "::ffff:10.0.0.1", "2002:7f00:1::"):
        assert not _is_public(private), private


async def test_a_name_that_changes_its_address_after_it_was_judged_is_asked_at_the_one_that_was(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    port = int(site.url.rpartition(":")[2])
    asked: list[str] = []

    async def address(url: httpx.URL, *, private: bool) -> str:
        asked.append(url.host)
        return "127.0.0.1"

    monkeypatch.setattr(http, "_address", address)
    assert (await Get(f"http://rebinding.example:{port}/200")())["status"] == 200
    assert asked == ["rebinding.example"]
    assert site.requests[0]["headers"]["host"] == f"rebinding.example:{port}"


async def test_an_answer_is_not_read_without_end_and_not_waited_for_without_end(site: Site) -> None:
    with pytest.raises(RequestRefused, match="more than 10485760 bytes"):
        await Get(f"{site.url}/huge", private=True)()
    with listen("127.0.0.1", 0) as silent:
        port = silent.getsockname()[1]
        with pytest.raises(RequestFailed, match=r"took longer than 0\.1 s"):
            await Get(f"http://127.0.0.1:{port}/?token=s3cret", private=True, timeout=0.1)()
    with pytest.raises(RequestFailed, match="got no answer") as failed:
        await HttpRequest("GET", f"http://127.0.0.1:{port}/?token=s3cret", private=True)()
    assert "s3cret" not in str(failed.value)


class GitHub:
    """A stand-in for the two endpoints of GitHub's API."""

    def __init__(self) -> None:
        self.statuses: list[tuple[str, Any]] = []
        self.comments: dict[int, str] = {}
        self.tokens: set[str] = set()

    async def status(self, request: Request) -> Response:
        self.tokens.add(request.headers["authorization"])
        body = await request.json()
        self.statuses.append((request.path_params["sha"], body))
        return JSONResponse({"state": body["state"], "url": str(request.url)}, 201)

    async def list(self, _: Request) -> Response:
        return JSONResponse([{"id": id_, "body": body} for id_, body in self.comments.items()])

    async def create(self, request: Request) -> Response:
        id_ = len(self.comments) + 1
        self.comments[id_] = (await request.json())["body"]
        return JSONResponse({"id": id_, "html_url": f"https://github.com/c/{id_}"}, 201)

    async def update(self, request: Request) -> Response:
        id_ = request.path_params["id"]
        self.comments[id_] = (await request.json())["body"]
        return JSONResponse({"id": id_, "html_url": f"https://github.com/c/{id_}"})


@pytest.fixture
async def stand_in() -> AsyncIterator[tuple[GitHub, str]]:
    stand_in, at = GitHub(), "/repos/octo/site"
    routes = [
        Route(f"{at}/statuses/{{sha}}", stand_in.status, methods=["POST"]),
        Route(f"{at}/issues/comments/{{id:int}}", stand_in.update, methods=["PATCH"]),
        Route(f"{at}/issues/7/comments", stand_in.list, methods=["GET"]),
        Route(f"{at}/issues/7/comments", stand_in.create, methods=["POST"]),
    ]
    listening = listen("127.0.0.1", 0)
    server = Server(Starlette(routes=routes), listening, drain=0)
    serving = asyncio.create_task(server.run())
    yield stand_in, f"http://127.0.0.1:{listening.getsockname()[1]}"
    server.stop()
    await serving


async def test_a_run_is_reported_to_its_commit_and_its_pull_request(
    stand_in: tuple[GitHub, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    api, url = stand_in
    event = Event("github.push", fields={"repository": "octo/site", "sha": "9fceb02", "number": 7})
    status = GitHubStatus("success", context="release", description="{ship}" + "!" * 200, api=url, private=True)
    with pytest.raises(ConfigurationError, match="needs a token: set GITHUB_TOKEN"):
        await status({"event": event, "ship": "out"})
    monkeypatch.setenv("GITHUB_TOKEN", "t0ken")
    await status({"event": event, "ship": "out"})
    ((sha, sent),) = api.statuses
    assert (sha, sent["state"], sent["context"], len(sent["description"])) == ("9fceb02", "success", "release", 140)
    assert api.tokens == {"Bearer t0ken"}

    comment = GitHubComment("Released {ship}.", marker="release", api=url, private=True)
    first = await comment({"event": event, "ship": "1.0 {input}"})
    second = await comment({"event": event, "ship": "1.1"})
    assert first["id"] == second["id"]
    assert list(api.comments.values()) == ["Released 1.1.\n\n<!-- hookline release -->"]
    with pytest.raises(ConfigurationError, match="one of error, failure, pending, success"):
        GitHubStatus("great")
