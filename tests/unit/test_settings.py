"""Settings come from the command line, the environment or a file, and say so; what is wrong stops the start."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from hookline import App
from hookline.errors import ConfigurationError
from hookline.ingress.sources import configured
from hookline.settings import NAMES, Settings, listing, load

DOCUMENT = Path(__file__).parents[2] / "docs" / "settings.md"


@pytest.fixture(autouse=True)
def elsewhere(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_defaults_are_enough() -> None:
    assert load().port == 8000


def test_the_environment_beats_the_file_and_the_command_line_beats_both(
    monkeypatch: pytest.MonkeyPatch, elsewhere: Path
) -> None:
    (elsewhere / ".env").write_text("HOOKLINE_PORT=1\nHOOKLINE_HOST=from.file\nHOOKLINE_SLOTS=3\nOTHER=1\n")
    monkeypatch.setenv("HOOKLINE_PORT", "2")
    monkeypatch.setenv("HOOKLINE_HOST", "from.environment")
    settings = load(port=4, app=None)
    assert (settings.port, settings.host, settings.slots) == (4, "from.environment", 3)


@pytest.mark.parametrize(
    ("given", "asked"),
    [
        ({}, "http://127.0.0.1:8000"),
        ({"port": 8123}, "http://127.0.0.1:8123"),
        ({"host": "0.0.0.0", "port": 8123}, "http://127.0.0.1:8123"),
        ({"host": "::1"}, "http://[::1]:8000"),
        ({"port": 8123, "url": "https://hooks.example/"}, "https://hooks.example"),
    ],
)
def test_the_command_line_asks_the_service_that_the_same_settings_start(given: dict[str, Any], asked: str) -> None:
    assert load(**given).asked == asked


def test_a_source_is_switched_on_by_its_secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOOKLINE_GITHUB_SECRETS", "old, new")
    monkeypatch.setenv("HOOKLINE_ACME_PROD_SECRETS", "x")
    monkeypatch.setenv("HOOKLINE_ACME_PROD_PARSER", "github")
    monkeypatch.setenv("HOOKLINE_OPEN_UNSIGNED", "true")
    found = {source.name: source for source in load().sources}
    assert [secret.get_secret_value() for secret in found["github"].secrets] == ["old", "new"]
    assert found["acme_prod"].parser == "github"
    assert found["open"].unsigned


def test_secrets_come_from_a_file_and_from_a_program_too(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "secrets").write_text("from-file\n\n  shared \n")
    (tmp_path / "tell").write_text("#!/bin/sh\necho shared; echo from-program; echo noise >&2\n")
    (tmp_path / "tell").chmod(0o755)
    monkeypatch.setenv("HOOKLINE_GITHUB_SECRETS", "plain")
    monkeypatch.setenv("HOOKLINE_GITHUB_SECRETS_FILE", str(tmp_path / "secrets"))
    monkeypatch.setenv("HOOKLINE_GITHUB_SECRETS_COMMAND", str(tmp_path / "tell"))
    source = configured(load(), App())["github"]
    assert source.secrets == (b"plain", b"from-file", b"shared", b"from-program")


def test_a_program_that_tells_secrets_is_not_listed_with_its_arguments(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOOKLINE_GITHUB_SECRETS_COMMAND", "tell --token=hush")
    assert not any("hush" in row.value for row in listing(load()))
    with pytest.raises(ConfigurationError, match="cannot run 'tell'") as caught:
        configured(load(), App())
    assert "hush" not in str(caught.value)


@pytest.mark.parametrize(
    ("variables", "message"),
    [
        ({"SECRETS_FILE": "/nowhere"}, "HOOKLINE_GITHUB_SECRETS_FILE: cannot read /nowhere: No such file"),
        ({"SECRETS_FILE": "/dev/null"}, "source github has no secret: what it was to be read from is empty"),
        (
            {"SECRETS_COMMAND": "/nowhere x"},
            "HOOKLINE_GITHUB_SECRETS_COMMAND: cannot run '/nowhere': File",
        ),
        ({"SECRETS_COMMAND": "false"}, "'false' ended with 1"),
        ({"SECRETS_COMMAND": "echo 'x"}, "cannot run 'echo': ValueError"),
        ({"PARSER": "svix", "SECRETS": "plain"}, "secret 1 of 1 is of no use: a secret is whsec_"),
        ({"PARSER": "nobody", "SECRETS": "plain"}, "there is no parser 'nobody'"),
    ],
)
def test_secrets_that_cannot_be_had_stop_the_start(
    monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], message: str
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(f"HOOKLINE_GITHUB_{name}", value)
    with pytest.raises(ConfigurationError, match=message) as caught:
        configured(load(), App())
    assert "plain" not in str(caught.value)


@pytest.mark.parametrize(
    ("variables", "message"),
    [
        ({"PORT": "http"}, "HOOKLINE_PORT: Input should be a valid integer.*not 'http'"),
        ({"LEASE": "0"}, "HOOKLINE_LEASE: Input should be greater than or equal to 1"),
        ({"GITHUB_SECRET": "x"}, "HOOKLINE_GITHUB_SECRET is not a setting; did you mean HOOKLINE_GITHUB_SECRETS"),
        ({"DATABSE_URL": "x"}, "HOOKLINE_DATABSE_URL is not a setting; did you mean HOOKLINE_DATABASE_URL"),
        ({"QQQ": "x"}, "HOOKLINE_QQQ is not a setting; `hookline settings` lists them"),
        ({"GITHUB_SECRETS": ""}, "HOOKLINE_GITHUB_SECRETS: a list of secrets has an empty one"),
        ({"GITHUB_SECRETS": "a,,b"}, "HOOKLINE_GITHUB_SECRETS: a list of secrets has an empty one"),
        ({"API_TOKENS": ","}, "a list of secrets has an empty one"),
        ({"GITHUB_PARSER": "github"}, "source github has no secret: set HOOKLINE_GITHUB_SECRETS"),
        ({"GITHUB_UNSIGNED": "false"}, "source github has no secret"),
        ({"GITHUB_UNSIGNED": "yes"}, "HOOKLINE_GITHUB_UNSIGNED is true or false"),
        ({"GITHUB_SECRETS": "s", "GITHUB_WAIT": "61"}, "HOOKLINE_GITHUB_WAIT is from 0 to 60 seconds, not '61'"),
        ({"GITHUB_SECRETS": "s", "GITHUB_WAIT": "nan"}, "HOOKLINE_GITHUB_WAIT is from 0 to 60 seconds"),
        ({"GITHUB_SECRETS": "s", "GITHUB_UNSIGNED": "true"}, "keep one of them"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(
    monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], message: str
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(f"HOOKLINE_{name}", value)
    with pytest.raises(ConfigurationError, match=message) as caught:
        load()
    assert "\n" not in str(caught.value)


def test_the_listing_says_where_each_came_from_and_hides_secrets(
    monkeypatch: pytest.MonkeyPatch, elsewhere: Path
) -> None:
    (elsewhere / ".env").write_text("HOOKLINE_SLOTS=3\n")
    monkeypatch.setenv("HOOKLINE_DATABASE_URL", "postgresql://mona:hunter2@db/hookline")
    monkeypatch.setenv("HOOKLINE_API_TOKENS", "hunter2,hunter3")
    monkeypatch.setenv("HOOKLINE_GITHUB_SECRETS", "hunter2")
    monkeypatch.setenv("HOOKLINE_TOKEN", "hunter2")
    rows = {row.name: row for row in listing(load(port=4))}
    assert {name: rows[name].origin for name in ("HOOKLINE_PORT", "HOOKLINE_SLOTS", "HOOKLINE_LEASE")} == {
        "HOOKLINE_PORT": "command line",
        "HOOKLINE_SLOTS": ".env",
        "HOOKLINE_LEASE": "default",
    }
    assert rows["HOOKLINE_GITHUB_SECRETS"].origin == "environment"
    assert rows["HOOKLINE_DATABASE_URL"].value == "postgresql://mona:********@db/hookline"
    assert "hunter" not in repr(rows)
    assert "hunter" not in repr(load())
    assert rows.keys() >= NAMES.keys()


def test_the_guide_lists_exactly_the_settings_with_their_defaults() -> None:
    documented = dict(re.findall(r"^\| `(HOOKLINE_[A-Z_]+)` \| `?([^`|]*?)`? \|", DOCUMENT.read_text(), re.MULTILINE))
    expected = {}
    for variable, name in NAMES.items():
        default = Settings.model_fields[name].default
        expected[variable] = "" if default is None or default == () else str(default)
    assert documented == expected
