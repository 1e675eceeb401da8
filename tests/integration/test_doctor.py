"""`hookline doctor` on a real database: what is broken there is found, with what to do, and nothing is changed."""

from __future__ import annotations

import base64
import json
from pathlib import Path

import asyncpg
from pydantic import SecretStr
from tests.conftest import of_database
from tests.integration.test_cli import execute, hookline
from tests.support import SECRET, on_site

from hookline import App, Context, Event
from hookline_parsers import github

KEY = base64.b64encode(bytes(32)).decode()

BROKEN = """
insert into hookline.workers (id, name, offers, slots, expires_at)
values ('01900000-0000-7000-8000-000000000001', 'dead', '{}', 1, now() - interval '1 hour'),
       ('01900000-0000-7000-8000-000000000002', 'alive', '{other@1}', 1, now() + interval '1 hour');
update hookline.runs set due_at = now() - interval '1 hour';
insert into hookline.schedules (name, job, spec, next_at)
values ('nightly', 'deploy', '@daily', now() - interval '1 hour');
insert into hookline.definitions (name, version, source) values ('release', 1, 'no: definition');
"""


def app() -> App:
    made = App()

    @made.job(on=github.push())
    async def deploy(ctx: Context, event: Event) -> None: ...

    return made


async def test_all_that_is_broken_is_found_and_no_secret_is_told(dsn: str, tmp_path: Path) -> None:
    async with on_site(app(), dsn, encryption_keys=(SecretStr(KEY),)) as site:
        assert (await site.push("guid-1")).json()["runs"]
        assert (await site.push("guid-2", b"{")).json()["status"] == "quarantined"
        assert (await site.client.put("/api/sources/shop", json={"parser": "stripe"})).status_code == 201
        await execute(dsn, BROKEN)
        told = {"DATABASE_URL": dsn, "GITHUB_SECRETS": SECRET, "READER_URL": dsn}
        url = str(site.client.base_url)
        status, out, err = await hookline("doctor", "--json", "--url", url, path=tmp_path, **told)
        findings = json.loads(out)["findings"]
        found = {f"{each['state']} {each['area']}": each["found"] for each in findings if each["state"] != "ok"}
        assert (status, err, json.loads(out)["status"]) == (1, "", "problem")
        assert all(each["todo"] for each in findings if each["state"] != "ok")
        assert "shop: secret" in found["problem sources"]
        assert "1 of 2 deliveries of a day are quarantined" in found["warning sources"]
        assert "dead" in found["warning workers"]
        assert "release" in found["problem definitions"]
        assert "waits for 60 min" in found["problem runs"]
        assert any("nobody offers deploy version 1: 1" in each["found"] for each in findings)
        assert "nightly is late" in found["problem schedules"]
        assert any(each["area"] == "replica" and each["state"] == "ok" for each in findings)
        assert SECRET not in out
        assert "warning application" in found
        status, out, _ = await hookline("doctor", path=tmp_path, **told)
        assert (status, "\n" in out, "-> a living replica removes it" in " ".join(out.split())) == (1, True, True)


async def test_warnings_alone_are_an_exit_code_only_if_they_are_asked_for(tmp_path: Path) -> None:
    status, out, _ = await hookline("doctor", path=tmp_path, DATA=str(tmp_path / "data"))
    assert (status, "there is no database yet" in out) == (0, True)
    assert not (tmp_path / "data").exists()
    assert (await hookline("doctor", "--strict", path=tmp_path, DATA=str(tmp_path / "data")))[0] == 1


async def test_a_user_without_privileges_and_a_database_without_tables_are_told(postgres: str, dsn: str) -> None:
    connection = await asyncpg.connect(dsn)
    name = await connection.fetchval("select current_database()")
    await connection.execute(f'create role "{name}" login; grant usage on schema hookline to "{name}"')
    await connection.execute(f'grant select on all tables in schema hookline to "{name}"')
    await connection.close()
    status, out, _ = await hookline("doctor", DATABASE_URL=dsn.replace("postgres:", f"{name}:", 1), APP="app:app")
    assert (status, "lacks privileges on" in out, "runs: delete, insert, update" in out) == (1, True, True)
    status, out, _ = await hookline("doctor", DATABASE_URL=postgres)
    assert (status, "no hookline schema yet" in out, "run `hookline migrate`" in out) == (1, True, True)
    assert (await hookline("doctor", DATABASE_URL=of_database(postgres, "nowhere")))[0] == 1


async def test_what_is_wrong_with_an_address_is_not_told_for_it_may_be_of_the_password(tmp_path: Path) -> None:
    address = "postgresql://me:sw0rd/fish@127.0.0.1/x"
    for command in ("doctor", "migrate"):
        status, out, err = await hookline(command, path=tmp_path, DATABASE_URL=address)
        assert status != 0
        assert "sw0rd" not in out + err
        assert "percent-encoded" in " ".join((out + err).split())
