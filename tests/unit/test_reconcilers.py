"""Whom to ask about a source is said by its settings; what is wrong stops the start, and no secret is told."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import pytest
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1
from cryptography.hazmat.primitives.asymmetric.ec import generate_private_key as generate_ec_key
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from tests import providers

from hookline.errors import ConfigurationError
from hookline.ingress.reconcilers.configured import configured
from hookline.ingress.reconcilers.github import GitHub
from hookline.settings import listing, load

HOOK = providers.HOOK
INTAKE = cast("Any", None)


@pytest.fixture(autouse=True)
def elsewhere(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOOKLINE_GITHUB_SECRETS", "hush")


def said(monkeypatch: pytest.MonkeyPatch, **variables: str) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(f"HOOKLINE_{name}", value)


def test_a_source_that_says_nothing_is_not_reconciled() -> None:
    assert configured(load(), INTAKE) == []


def test_a_source_says_about_what_to_ask_whom_and_when(monkeypatch: pytest.MonkeyPatch) -> None:
    said(
        monkeypatch, GITHUB_RECONCILE=f" {HOOK}, orgs/octo/hooks/5,{HOOK}", GITHUB_RECONCILE_TOKEN="t0ken",
        GITHUB_RECONCILE_URL="https://ghe.example/api/v3", GITHUB_RECONCILE_SCHEDULE="7 * * * *",
        PAY_SECRETS="hush", PAY_PARSER="stripe", PAY_RECONCILE="we_1", PAY_RECONCILE_TOKEN="rk_t0ken",
    )  # fmt: skip
    first, second = configured(load(), INTAKE)
    assert (first.source, first.provider.name, first.schedule.cron) == ("github", "GitHub", "7 * * * *")
    assert first.provider.lists == (HOOK, "orgs/octo/hooks/5")
    assert (second.source, second.provider.name, second.schedule.cron) == ("pay", "Stripe", "@every 10m")
    assert "t0ken" not in repr([each.value for each in listing(load())]) + repr(load())


def test_an_apps_key_is_read_from_a_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "key.pem").write_bytes(providers.GitHub().pem)
    said(
        monkeypatch, GITHUB_RECONCILE="app", GITHUB_RECONCILE_APP_ID="Iv1",
        GITHUB_RECONCILE_APP_KEY_FILE=str(tmp_path / "key.pem"),
    )  # fmt: skip
    (found,) = configured(load(), INTAKE)
    assert isinstance(found.provider, GitHub)


@pytest.mark.parametrize(
    ("variables", "message"),
    [
        ({"": HOOK}, "_RECONCILE_TOKEN or HOOKLINE_GITHUB_RECONCILE_APP_ID with .* is needed, and not both"),
        ({"": HOOK, "_TOKEN": "s3cret", "_APP_ID": "1"}, "_RECONCILE_TOKEN or .* is needed, and not both"),
        ({"": HOOK, "_APP_ID": "1"}, "_RECONCILE_TOKEN or .* is needed"),
        ({"": "app", "_TOKEN": "s3cret"}, "_RECONCILE_APP_ID and .* are needed for an App's own webhook"),
        ({"": HOOK, "_TOKEN": "s3cret and more"}, "_RECONCILE_TOKEN has characters that no token has"),
        ({"": HOOK, "_TOKEN": "s3cret\nX: y"}, "_RECONCILE_TOKEN has characters that no token has"),
        ({"": "octo/site", "_TOKEN": "s3cret"}, "_RECONCILE is repos/OWNER/NAME/hooks/ID, .* not 'octo/site'"),
        ({"": f"{HOOK},", "_TOKEN": "s3cret"}, "_RECONCILE is repos/OWNER/NAME/hooks/ID, .* not ''"),
        ({"_TOKEN": "s3cret"}, "HOOKLINE_GITHUB_RECONCILE is not set, which says about what"),
        ({"": HOOK, "_TOKEN": "s3cret", "_SCHEDULE": "hourly"}, "_RECONCILE_SCHEDULE: schedule 'hourly' is not as"),
        ({"": HOOK, "_TOKEN": "s3cret", "_URL": "http://ghe.example"}, "_RECONCILE_URL is the https address"),
        (
            {"": HOOK, "_TOKEN": "s3cret", "_URL": "https://me:s3cret@ghe.example"},
            "_RECONCILE_URL is the https address",
        ),
        ({"": HOOK, "_TOKEN": "s3cret", "_URL": "ghe.example"}, "_RECONCILE_URL is the https address"),
        ({"": "app", "_APP_ID": "1", "_APP_KEY_FILE": "/nowhere"}, "_APP_KEY_FILE: cannot read /nowhere: No such file"),
        ({"": "app", "_APP_ID": "1", "_APP_KEY_FILE": "s3cret"}, "_APP_KEY_FILE: s3cret holds no private key without"),
        ({"": "app", "_APP_ID": "1", "_APP_KEY_FILE": "ec.pem"}, "_APP_KEY_FILE: the key in ec.pem is not RSA"),
        ({"": HOOK, "_TOKN": "s3cret"}, "RECONCILE_TOKN is not a setting; did you mean HOOKLINE_GITHUB_RECONCILE"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, variables: dict[str, str], message: str
) -> None:
    (tmp_path / "s3cret").write_text("-----BEGIN RSA PRIVATE KEY-----\nno\n-----END RSA PRIVATE KEY-----\n")
    key = generate_ec_key(SECP256R1())
    (tmp_path / "ec.pem").write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    said(monkeypatch, **{f"GITHUB_RECONCILE{name}": value for name, value in variables.items()})
    with pytest.raises(ConfigurationError, match=message) as caught:
        configured(load(), INTAKE)
    assert "\n" not in str(caught.value)
    if "_TOKEN" in variables:
        assert "s3cret" not in str(caught.value)


@pytest.mark.parametrize(
    ("variables", "message"),
    [
        ({"": "we_1"}, "_RECONCILE_TOKEN is needed: a restricted key that may read Events and Webhook Endpoints"),
        ({"": "evt_1", "_TOKEN": "x"}, "_RECONCILE is the id of a webhook endpoint, such as we_1Mr5jU, or several"),
        ({"": "we_1", "_TOKEN": "x", "_APP_ID": "1"}, "_RECONCILE_APP_ID means nothing here: leave it out"),
    ],
)
def test_what_is_wrong_of_stripe_is_said_in_one_line(
    monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], message: str
) -> None:
    said(monkeypatch, STRIPE_SECRETS="hush", **{f"STRIPE_RECONCILE{name}": value for name, value in variables.items()})
    with pytest.raises(ConfigurationError, match=message):
        configured(load(), INTAKE)


def test_nobody_can_be_asked_about_other_senders(monkeypatch: pytest.MonkeyPatch) -> None:
    said(monkeypatch, SLACK_SECRETS="hush", SLACK_RECONCILE="app")
    with pytest.raises(
        ConfigurationError, match="HOOKLINE_SLACK_RECONCILE: nobody can be asked about a source of parser"
    ):
        configured(load(), INTAKE)
