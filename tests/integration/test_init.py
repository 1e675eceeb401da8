"""`hookline init`: the project that it makes runs at once, is tested, and says nothing that is not so."""

from __future__ import annotations

import asyncio
import json
import os
import re
import stat
import sys
import tomllib
from pathlib import Path

import pytest
import yaml
from tests.integration.test_cli import hookline

from hookline.cli.init import rendered

METADATA = "Metadata-Version: 2.1\nName: fish-shop\nVersion: 0.1.0\n"


def made_in(path: Path) -> list[Path]:
    return list(path.iterdir())


async def made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project called `fish-shop`, installed as pip would do it, but for pip: nothing is fetched in a test."""
    status, out, err = await hookline("init", "fish-shop", path=tmp_path)
    assert (status, err) == (0, "")
    assert "cd fish-shop && pip install" in out
    project = tmp_path / "fish-shop"
    groups = tomllib.loads((project / "pyproject.toml").read_text())["project"]["entry-points"]
    installed = tmp_path / "installed" / "fish_shop-0.1.0.dist-info"
    installed.mkdir(parents=True)
    (installed / "METADATA").write_text(METADATA)
    (installed / "entry_points.txt").write_text(
        "".join(f"[{group}]\n" + "".join(f"{name} = {value}\n" for name, value in points.items())
                for group, points in groups.items())
    )  # fmt: skip
    monkeypatch.setenv("PYTHONPATH", f"{project}:{installed.parent}")
    return project


async def test_its_own_tests_pass(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    project = await made(tmp_path, monkeypatch)
    pytest_ = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", cwd=project, stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    out, _ = await pytest_.communicate()
    assert pytest_.returncode == 0, out.decode()
    assert b"5 passed" in out


async def test_what_the_shop_sends_becomes_a_run_that_succeeds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    project = await made(tmp_path, monkeypatch)
    serving = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "hookline", "dev", "--port", "0", "--data", str(tmp_path / "data"), cwd=project,
        env=os.environ | {"HOOKLINE_LOG_FORMAT": "json"}, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    assert serving.stderr is not None
    try:
        async with asyncio.timeout(120):
            async for line in serving.stderr:
                if found := re.search(rb"http://127.0.0.1:\d+", line):
                    break
        assert found is not None
        service = {"URL": found[0].decode()}
        order = ("send", "shop", "order", "--file", "payloads/order.json")
        status, out, _ = await hookline(*order, path=project, **service)
        assert (status, json.loads(out)["status"]) == (0, "accepted")
        (run,) = json.loads(out)["runs"]
        status, out, _ = await hookline("runs", "watch", run, path=project, **service)
        assert (status, "left shelf-A7" in out) == (0, True)
        status, out, _ = await hookline("doctor", "--json", path=project, DATA=str(tmp_path / "data"), **service)
        assert (status, [each for each in json.loads(out)["findings"] if each["state"] != "ok"]) == (0, [])
    finally:
        serving.terminate()
        await serving.communicate()


async def test_the_compose_file_names_what_is_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    project = await made(tmp_path, monkeypatch)
    told = yaml.safe_load((project / "compose.yaml").read_text())
    settings = (project / ".env").read_text()
    services = told["services"]
    assert told["name"] == "fish-shop"
    for name, service in services.items():
        assert set(service.get("depends_on", ())) <= set(services)
        assert {each.partition(":")[0] for each in service.get("volumes", ())} <= set(told["volumes"])
        if "build" in service:
            assert (project / service["build"] / "Dockerfile").exists()
            assert (project / service["env_file"]).exists()
        assert "healthcheck" in service or name == "migrate"
        for variable in re.findall(r"\$\{(\w+)", json.dumps(service)):
            assert re.search(rf"^{variable}=\S+$", settings, re.MULTILINE), variable
    copied = re.findall(r"^COPY (.+) \S+$", (project / "Dockerfile").read_text(), re.MULTILINE)
    assert copied
    assert all((project / path).exists() for path in copied)
    assert services["replica"]["deploy"]["replicas"] == 2


async def test_nothing_is_overwritten_and_no_secret_is_shared(tmp_path: Path) -> None:
    assert (await hookline("init", "one", path=tmp_path))[0] == 0
    before = (tmp_path / "one" / ".env").read_text()
    status, _, err = await hookline("init", "one", path=tmp_path)
    assert (status, "is there already" in err) == (2, True)
    assert (tmp_path / "one" / ".env").read_text() == before
    assert stat.S_IMODE((tmp_path / "one" / ".env").stat().st_mode) == 0o600
    secrets = re.findall(r"=([0-9a-f]{64})$", before, re.MULTILINE)
    assert len(secrets) == 4
    assert not any(secret in rendered("two")[Path(".env")] for secret in secrets)
    assert not any("my-project" in text or "my_project" in text for text in rendered("two").values())
    assert ".env\n" in rendered("two")[Path(".gitignore")]


@pytest.mark.parametrize("name", ["Fish Shop", "hookline", "json", "class", "../x", "1st", ""])
async def test_a_name_that_is_no_packages_is_refused(tmp_path: Path, name: str) -> None:
    status, _, err = await hookline("init", "x", "--name", name, path=tmp_path)
    assert (status, err.startswith("hookline: "), made_in(tmp_path)) == (2, True, [])
