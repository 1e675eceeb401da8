"""The command line, as a person or a script uses it."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import sys
from collections.abc import AsyncIterator
from importlib.metadata import version
from pathlib import Path

import asyncpg
import pytest
from pydantic import SecretStr
from tests.conftest import of_database
from tests.support import PUSH, SECRET, on_site

from hookline import App, Context, Event, Pattern, step
from hookline.ingress.schemes import fingerprint
from hookline.source_settings import SourceSettings
from hookline.store import migrate
from hookline_parsers import github

JSON = {"Content-Type": "application/json"}
BEARER = {"Authorization": "Bearer t0ken"}
ROOT = Path(__file__).parents[2]
SERVE = ["serve", "examples.deploy:app", "--port", "0"]


async def hookline(*arguments: str, path: Path = ROOT, **environment: str) -> tuple[int, str, str]:
    """Exit status, standard output and standard error of one command, given in the folder `path`."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "hookline", *arguments, cwd=path,
        env=os.environ | {"COLUMNS": "160"} | {f"HOOKLINE_{name}": value for name, value in environment.items()},
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    out, err = await process.communicate()
    assert process.returncode is not None
    assert b"Traceback" not in err, err.decode()
    return process.returncode, out.decode(), err.decode()


async def execute(dsn: str, statements: str) -> None:
    connection = await asyncpg.connect(dsn)
    try:
        await connection.execute(statements)
    finally:
        await connection.close()


@step
async def double(x: int) -> int:
    return 2 * x


async def test_deliveries_are_listed_shown_explained_and_replayed(dsn: str, tmp_path: Path) -> None:
    app = App()

    @app.job(on=github.push(branches=["dev"]))
    async def work(ctx: Context, event: Event) -> None: ...

    async with on_site(app, dsn, tokens=["t0ken"]) as site:
        service = {"URL": str(site.client.base_url), "TOKEN": "t0ken"}
        first = (await site.push("guid-1")).json()["delivery"]
        hostile = (await site.push("guid-2", b"\x1b]0;title\x07")).json()["delivery"]

        status, out, _ = await hookline("deliveries", "list", "--status", "ignored", **service)
        assert (status, first in out, hostile in out) == (0, True, False)
        status, out, _ = await hookline("explain", first, **service)
        assert (status, "branch is 'main', not dev" in out) == (0, True)
        status, out, _ = await hookline("explain", first, "--now", "--json", **service)
        assert json.loads(out)["bindings"][0]["verdict"] == "filtered"
        status, out, _ = await hookline("deliveries", "show", first, **service)
        assert (status, "x-github-event: push" in out, '"octo/site"' in out) == (0, True, True)
        status, out, _ = await hookline("deliveries", "show", hostile, **service)
        assert (status, "\x1b" in out, "]0;title" in out) == (0, False, True)

        status, out, _ = await hookline("deliveries", "replay", "--status", "ignored", **service)
        assert (status, f"{first}  ignored" in out, "--yes" in out) == (0, True, True)
        assert len((await site.client.get("/api/deliveries", headers=BEARER)).json()["deliveries"]) == 2
        assert (await hookline("deliveries", "replay", first, "--yes", **service))[0] == 0
        assert len((await site.client.get("/api/deliveries", headers=BEARER)).json()["deliveries"]) == 3
        status, _, err = await hookline("deliveries", "replay", "--yes", **service)
        assert (status, "say which" in err) == (2, True)


async def test_all_that_is_in_quarantine_is_tried_again_also_replays_and_behind_what_is_refused(dsn: str) -> None:
    def make_app(on: Pattern) -> App:
        app = App()

        @app.job(on=on)
        async def work(ctx: Context, event: Event) -> None: ...

        return app

    broken = make_app(github.event("push", when=lambda event: event.data["absent"]))
    async with on_site(make_app(github.push()), dsn) as site:
        first = (await site.push("guid-1")).json()["delivery"]
    async with on_site(broken, dsn) as site:
        unreadable = await site.client.post(
            "/webhooks/generic", content=b"{", headers={"Authorization": f"Bearer {SECRET}", **JSON}
        )
        replayed = await site.client.post(f"/api/deliveries/{first}/replay", json={})
        pushed = [(await site.push(f"guid-{number}")).json() for number in (2, 3)]
        kept = [unreadable.json(), replayed.json(), *pushed]
        assert [each["status"] for each in kept] == ["quarantined"] * 4
    only = (SourceSettings("github", "github", (SecretStr(SECRET),), unsigned=False),)
    async with on_site(make_app(github.push()), dsn, tokens=["t0ken"], sources=only) as site:
        service = {"URL": str(site.client.base_url), "TOKEN": "t0ken"}
        status, out, _ = await hookline("deliveries", "list", "--status", "quarantined", **service)
        assert (status, "the binding of job work failed: KeyError" in out, "octo/site" in out) == (0, True, True)
        status, out, _ = await hookline("deliveries", "replay", "--status", "quarantined", "--yes", **service)
        assert (status, [line.split()[1] for line in out.splitlines()]) == (1, ["refused", *["accepted"] * 3])
        assert "source generic is not configured" in out
        status, out, _ = await hookline("deliveries", "list", "--status", "quarantined", "--json", **service)
        assert [each["id"] for each in json.loads(out)["deliveries"]] == [kept[0]["delivery"]]
        status, out, _ = await hookline("deliveries", "list", "--subject", "octo/site", "--json", **service)
        assert [len(each["runs"]) for each in json.loads(out)["deliveries"]] == [1] * 4


async def test_a_dry_run_tells_what_a_webhook_would_start_here_and_sends_nothing(tmp_path: Path) -> None:
    (tmp_path / "push.json").write_bytes(PUSH)
    (tmp_path / "bad.json").write_bytes(b"{")
    dry = ("--dry-run", "--app", "examples.deploy:app")
    status, out, _ = await hookline("send", "github", "push", "-f", str(tmp_path / "push.json"), *dry)
    assert (status, "deploy  matched" in out, "would run deploy in scope octo/site" in out) == (0, True, True)
    status, out, _ = await hookline("send", "github", "push", "-f", str(tmp_path / "bad.json"), *dry)
    assert (status, out.startswith("quarantined  github.push  the payload is not a JSON object")) == (1, True)


async def test_the_command_line_says_which_it_is() -> None:
    assert await hookline("--version") == (0, f"hookline {version('hookline')}\n", "")


async def test_a_command_that_is_misused_says_so_in_one_line() -> None:
    said = "hookline: Missing argument 'RUN'; see `hookline runs show --help`\n"
    assert await hookline("runs", "show") == (2, "", said)


async def test_parsers_are_listed_and_checked() -> None:
    status, out, _ = await hookline("parsers", "list")
    assert (status, "pagerduty" in out, "application/cloudevents-batch+json" in out) == (0, True, True)
    status, out, _ = await hookline("parsers", "check")
    assert (status, "parsers load" in out) == (0, True)


async def test_runs_are_listed_shown_watched_and_cancelled(dsn: str, tmp_path: Path) -> None:
    app = App()

    @app.job()
    async def work(ctx: Context, x: int) -> int:
        return await ctx.step(double, x)

    (tmp_path / "push.json").write_bytes(PUSH)
    async with on_site(app, dsn, tokens=["t0ken"]) as site, site.house.replica():
        service = {"URL": str(site.client.base_url), "TOKEN": "t0ken"}
        good, bad = await site.house.start("work", 21), await site.house.start("work", 1, delay=3600)
        await site.house.watch.ended(good)

        status, out, _ = await hookline("runs", "watch", str(good), **service)
        assert (status, "succeeded" in out, "42" in out) == (0, True, True)
        status, out, _ = await hookline("runs", "list", "--state", "queued", **service)
        assert (status, str(bad) in out, str(good) in out) == (0, True, False)
        assert await hookline("runs", "cancel", str(bad), **service) == (0, "cancelled\n", "")
        assert (await hookline("runs", "watch", str(bad), **service))[0] == 1
        status, out, _ = await hookline("runs", "show", str(good), "--json", **service)
        assert json.loads(out)["journal"][0]["key"] == "double"
        for words in (["workers"], ["workers", "list"]):
            status, out, _ = await hookline(*words, **service)
            assert (status, "work@1" in out, "Usage" in out) == (0, True, False)

        sent = await hookline(
            "send", "github", "push", "-f", str(tmp_path / "push.json"), "--secret", SECRET, **service
        )
        assert (sent[0], json.loads(sent[1])["status"]) == (0, "ignored")
        forged = await hookline("send", "github", "push", "-f", str(tmp_path / "push.json"), "--secret", "x", **service)
        assert (forged[0], json.loads(forged[1])["status"]) == (4, 401)

        status, _, err = await hookline("runs", "list", **service | {"TOKEN": "wrong"})
        assert (status, err) == (4, "hookline: 401 Token needed: send `Authorization: Bearer` with an API token\n")


async def test_sources_are_added_shown_rotated_and_removed(dsn: str, tmp_path: Path) -> None:
    key = SecretStr(base64.b64encode(bytes(32)).decode())
    (tmp_path / "secret").write_text("hunter2\n")
    async with on_site(App(), dsn, tokens=["t0ken"], encryption_keys=(key,)) as site:
        service = {"URL": str(site.client.base_url), "TOKEN": "t0ken"}
        status, out, _ = await hookline("sources", "add", "shop", "--parser", "github", "--rate", "9/m", **service)
        assert (status, "rate: 9/m" in out, "not told again" in out) == (0, True, True)
        status, out, _ = await hookline("sources", "add", "shop", "--allow", "127.0.0.0/8", **service)
        assert (status, "rate: 9/m" in out, "allow: 127.0.0.0/8" in out, "not told" in out) == (0, True, True, False)
        file = str(tmp_path / "secret")
        status, out, _ = await hookline("sources", "rotate", "shop", "--secret-file", file, "--overlap", "0", **service)
        assert (status, fingerprint(b"hunter2") in out, "hunter2" in out) == (0, True, False)
        status, out, _ = await hookline("sources", "rotate", "github", **service)
        assert (status, "HOOKLINE_GITHUB_SECRETS" in out, "put this new one before" in out) == (0, True, True)
        assert SECRET not in out
        status, out, _ = await hookline("sources", "list", **service)
        assert [line.split()[:4] for line in out.splitlines()[1:]] == [
            ["generic", "generic", "settings", "1"], ["github", "github", "settings", "1"],
            ["shop", "github", "api", "1"],
        ]  # fmt: skip
        status, out, _ = await hookline("sources", "show", "shop", "--json", **service)
        assert json.loads(out)["allow"] == ["127.0.0.0/8"]
        assert await hookline("sources", "reseal", **service) == (0, "0 secrets are resealed\n", "")
        assert await hookline("sources", "remove", "shop", **service) == (0, "shop is removed\n", "")
        status, _, err = await hookline("sources", "rotate", "shop", **service)
        assert (status, err) == (1, "hookline: 404 Unknown source: there is no such source 'shop'\n")


async def test_a_replica_says_at_its_start_which_sources_it_cannot_use(dsn: str) -> None:
    old, new = (base64.b64encode(bytes([each]) * 32).decode() for each in range(2))
    async with on_site(App(), dsn, encryption_keys=(SecretStr(old),)) as site:
        assert (await site.client.put("/api/sources/shop", json={"parser": "github"})).status_code == 201
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "hookline", *SERVE, cwd=ROOT, stderr=asyncio.subprocess.PIPE,
        env=os.environ | {"HOOKLINE_DATABASE_URL": dsn, "HOOKLINE_API_TOKENS": "t", "HOOKLINE_ENCRYPTION_KEYS": new},
    )  # fmt: skip
    assert process.stderr is not None
    async with asyncio.timeout(60):
        lines = [json.loads(line) async for line in _until(process.stderr, b"http.listening")]
    process.terminate()
    await process.wait()
    (line,) = (each for each in lines if each["event"] == "source.unusable")
    assert (line["level"], line["source"]) == ("error", "shop")
    assert "which HOOKLINE_ENCRYPTION_KEYS has not" in line["problem"]


async def _until(stream: asyncio.StreamReader, last: bytes) -> AsyncIterator[bytes]:
    async for line in stream:
        yield line
        if last in line:
            return


@pytest.mark.parametrize(
    ("arguments", "environment", "message"),
    [
        ([*SERVE], {"DATABASE_URL": "{dsn}"}, "HOOKLINE_API_TOKENS is not set"),
        (["serve", "--no-http", "--no-engine"], {}, "leaves nothing to do"),
        (["serve", "nowhere:app"], {"API_TOKENS": "t"}, "cannot load application nowhere:app"),
        (["serve"], {"API_TOKENS": "t", "PROT": "1"}, "HOOKLINE_PROT is not a setting; did you mean HOOKLINE_PORT?"),
        (["serve", "--port", "0"], {"API_TOKENS": "t"}, "there is no application to run"),
        ([*SERVE], {"API_TOKENS": "t", "DATABASE_URL": "postgresql://127.0.0.1:1/x"}, "cannot reach Postgres"),
        ([*SERVE], {"API_TOKENS": "t", "DATABASE_URL": "nonsense"}, "HOOKLINE_DATABASE_URL is postgresql://"),
        ([*SERVE], {"API_TOKENS": "t", "ENCRYPTION_KEYS": "hunter2"}, "a key is 32 bytes in base64"),
        (["dev", *SERVE[1:]], {"X_SECRETS": "s", "DATABASE_URL": "{dsn}"}, "there is no parser 'x', only "),
        (["runs", "list"], {"URL": "http://127.0.0.1:1"}, "http://127.0.0.1:1 does not answer"),
        (["send", "github", "push", "-f", "/nowhere"], {}, "cannot read /nowhere"),
        (["migrate", "--sql", "--check"], {}, "exclude each other"),
    ],
)
async def test_what_is_wrong_ends_a_command_with_one_clear_line(
    dsn: str, arguments: list[str], environment: dict[str, str], message: str
) -> None:
    status, _, err = await hookline(*arguments, **{k: v.replace("{dsn}", dsn) for k, v in environment.items()})
    assert status == (3 if "127.0.0.1:1" in "".join(environment.values()) else 2)
    assert message in err
    assert err.startswith("hookline: ")
    assert err.count("\n") == 1


async def test_a_replica_refuses_a_schema_that_it_does_not_know_and_says_what_to_run(postgres: str, dsn: str) -> None:
    await execute(postgres, "create database unmigrated")
    empty = of_database(postgres, "unmigrated")
    status, _, err = await hookline(*SERVE, DATABASE_URL=empty, API_TOKENS="t")
    assert (status, "run `hookline migrate`" in err) == (2, True)
    assert (await hookline("migrate", "--check", DATABASE_URL=empty))[0] == 1
    migrated = await asyncio.gather(*(hookline("migrate", DATABASE_URL=empty) for _ in range(3)))
    assert [status for status, _, _ in migrated] == [0, 0, 0]
    assert (await hookline("migrate", "--check", DATABASE_URL=empty))[0] == 0

    await execute(empty, "update hookline.alembic_version set version_num = '9999'")
    for words in (SERVE, ["migrate"]):
        status, out, err = await hookline(*words, DATABASE_URL=empty, API_TOKENS="t")
        assert (status, out, "a newer version has migrated it" in err, err.count("\n")) == (2, "", True, 1)


def test_revisions_come_in_the_order_of_their_names_as_text() -> None:
    names = [path.name[:5] for path in (ROOT / "migrations" / "versions").glob("*.py")]
    told = [each.revision for each in migrate._revisions().walk_revisions()]
    assert told == sorted(told, reverse=True)
    assert sorted(names) == [f"{each}_" for each in reversed(told)]
    assert all(len(each) == 4 and each.isdecimal() for each in told)


async def test_the_printed_statements_make_the_same_schema(postgres: str) -> None:
    status, sql, _ = await hookline("migrate", "--sql")
    assert status == 0
    await execute(postgres, "create database on_paper")
    await execute(of_database(postgres, "on_paper"), sql)
    await migrate.check(of_database(postgres, "on_paper"))


async def test_settings_are_listed_with_their_origins_and_without_secrets() -> None:
    status, out, _ = await hookline("settings", PORT="1234", GITHUB_SECRETS="hunter2")
    assert status == 0
    assert "hunter2" not in out
    assert any(line.split()[:3] == ["HOOKLINE_PORT", "1234", "environment"] for line in out.splitlines())
