"""Sources are declared in code too; what they may take is counted, and what rests is sealed."""

from __future__ import annotations

import base64
import os
from collections.abc import Callable
from ipaddress import ip_network
from typing import Any

import pytest
from starlette.requests import Request

from hookline import App
from hookline.errors import ConfigurationError, TooOften, Unavailable
from hookline.ingress import quota
from hookline.ingress.quota import Quota
from hookline.ingress.sources import configured
from hookline.sealing import Seal, Unsealable
from hookline.settings import load
from hookline.source_settings import Rate, SourceLimits
from hookline.web.peer import Proxies


def make_key() -> str:
    return base64.b64encode(os.urandom(32)).decode()


def test_code_declares_a_source_whose_secrets_are_in_a_variable_or_told_by_a_function(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("SHOP_SECRETS", "new, old")
    app = App()
    app.source("shop", parser="github", secrets="SHOP_SECRETS", rate="100/s", allow="192.30.252.0/22, 2a0a:a440::/29")
    app.source("generic", secrets=lambda: ["told"], wait=5, max_body=2048, max_in_flight=3)
    app.source("open", parser="generic", unsigned=True)

    found = configured(load(), app)
    assert found["shop"].secrets == (b"new", b"old")
    assert found["shop"].quota.limits == SourceLimits(
        rate=Rate(100, 1), allow=(ip_network("192.30.252.0/22"), ip_network("2a0a:a440::/29"))
    )
    assert (found["generic"].secrets, found["generic"].wait) == ((b"told",), 5)
    assert (found["generic"].quota.limits.max_body, found["generic"].quota.limits.max_in_flight) == (2048, 3)
    assert found["open"].origin == "code"


def test_a_variable_named_in_code_may_stand_in_the_file_of_settings(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / ".env").write_text("SHOP_SECRETS=filed\n")
    app = App()
    app.source("shop", parser="github", secrets="SHOP_SECRETS")
    assert configured(load(), app)["shop"].secrets == (b"filed",)


def raises() -> str:
    raise ValueError("hunter2")


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("Shop", {"unsigned": True}, "a source's name is up to 64 of a-z"),
        ("a/b", {"unsigned": True}, "a source's name is up to 64 of a-z"),
        ("shop", {}, "source shop has no secret: say secrets="),
        ("shop", {"secrets": "X", "unsigned": True}, "keep one of them"),
        ("shop", {"secrets": "hunter2"}, "a secret itself is not written into code"),
        ("shop", {"secrets": "UNSET"}, "source shop: the environment variable UNSET is not set"),
        ("shop", {"secrets": raises}, "the function that tells its secrets failed: ValueError"),
        ("shop", {"secrets": lambda: ["hunter2", ""]}, "its secrets are texts, and none of them is empty"),
        ("shop", {"secrets": lambda: [b"hunter2"]}, "its secrets are texts, and none of them is empty"),
        ("shop", {"secrets": list}, "source shop has no secret: what it was to be read from is empty"),
        ("shop", {"secrets": lambda: None}, "the function that tells its secrets failed: TypeError"),
        ("shop", {"unsigned": True, "rate": "fast"}, "source shop: rate is like 100/s"),
        ("shop", {"unsigned": True, "rate": "0/s"}, "source shop: rate is like 100/s"),
        ("shop", {"unsigned": True, "allow": ["10.0.0.1/8"]}, "source shop: allow is a list of networks.*host bits"),
        ("shop", {"unsigned": True, "allow": ""}, "source shop: allow is a list of networks"),
        ("shop", {"unsigned": True, "max_body": 3}, "source shop: max_body is from 1024 to 1073741824 bytes, not '3'"),
        ("shop", {"unsigned": True, "max_in_flight": 0}, "source shop: max_in_flight is from 1"),
        ("shop", {"unsigned": True, "wait": 61}, "source shop: wait is from 0 to 60 seconds"),
        ("github", {"unsigned": True}, "source github is declared in code and in the settings, by HOOKLINE_GITHUB_"),
    ],
)
def test_a_source_in_code_that_cannot_be_stops_the_start(
    monkeypatch: pytest.MonkeyPatch, name: str, options: Any, message: str
) -> None:
    monkeypatch.setenv("HOOKLINE_GITHUB_SECRETS", "hunter2")

    def start() -> None:
        app = App()
        app.source(name, **({"parser": "github"} | options))
        configured(load(), app)

    with pytest.raises(ConfigurationError, match=message) as caught:
        start()
    assert "hunter2" not in str(caught.value)


def test_a_source_is_declared_once_in_all_applications() -> None:
    one, other = App(), App()
    one.source("shop", unsigned=True)
    other.source("shop", unsigned=True)
    with pytest.raises(ConfigurationError, match="source shop is declared twice"):
        one.source("shop", unsigned=True)
    with pytest.raises(ConfigurationError, match="source shop is declared twice"):
        one.include(other)
    other.sources.clear()
    other.include(one)
    assert "shop" in other.sources


@pytest.fixture
def pass_time(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    now = 1000.0
    monkeypatch.setattr(quota, "monotonic", lambda: now)

    def pass_(seconds: float) -> None:
        nonlocal now
        now += seconds

    return pass_


def test_a_rate_lets_its_count_come_at_once_and_then_one_at_a_time(pass_time: Callable[[float], None]) -> None:
    counted = Quota(SourceLimits(rate=Rate(6, 60)))
    for _ in range(6):
        counted.spend()
    with pytest.raises(TooOften) as caught:
        counted.spend()
    assert caught.value.after == pytest.approx(10)
    with pytest.raises(TooOften), counted:
        pass
    pass_time(10)
    counted.spend()
    with pytest.raises(TooOften):
        counted.spend()
    pass_time(3600)
    for _ in range(6):
        counted.spend()
    with pytest.raises(TooOften):
        counted.spend()


def test_in_flight_are_those_within_the_block_however_it_ends() -> None:
    counted = Quota(SourceLimits(max_in_flight=2))
    for _ in range(3):
        with pytest.raises(KeyError), counted:
            raise KeyError
    with counted, counted, pytest.raises(Unavailable), counted:
        pass
    with counted, counted:
        pass


def test_what_is_sealed_is_opened_by_any_key_and_only_for_what_it_was_sealed_for() -> None:
    old, new = make_key(), make_key()
    sealed = Seal([old]).seal(b"hunter2", "source shop 1")
    assert b"hunter2" not in sealed
    assert Seal([new, old]).open(sealed, "source shop 1") == b"hunter2"
    assert (Seal([old, new]).is_first(sealed), Seal([new, old]).is_first(sealed)) == (True, False)
    assert sealed != Seal([old]).seal(b"hunter2", "source shop 1")
    for seal, text, about in (
        (Seal([new]), sealed, "source shop 1"),
        (Seal([]), sealed, "source shop 1"),
        (Seal([old]), sealed, "source shop 2"),
        (Seal([old]), sealed[:-1] + bytes([sealed[-1] ^ 1]), "source shop 1"),
        (Seal([old]), sealed[:20], "source shop 1"),
        (Seal([old]), b"", "source shop 1"),
        (Seal([old]), b"\x02" + sealed[1:], "source shop 1"),
    ):
        with pytest.raises(Unsealable):
            seal.open(text, about)
    assert "hunter2" not in repr(vars(Seal([old])))


@pytest.mark.parametrize(
    "given", ["hunter2", base64.b64encode(b"k" * 16).decode(), f"{make_key()},hunter2"], ids=["text", "short", "second"]
)
def test_a_key_that_is_none_stops_the_start_and_is_not_told(monkeypatch: pytest.MonkeyPatch, given: str) -> None:
    monkeypatch.setenv("HOOKLINE_ENCRYPTION_KEYS", given)
    with pytest.raises(ConfigurationError, match="HOOKLINE_ENCRYPTION_KEYS: a key is 32 bytes in base64") as caught:
        load()
    assert given.split(",")[-1] not in str(caught.value)


FROM = {
    "the socket, if it is no proxy": ("203.0.113.7", ["10.0.0.1"], "203.0.113.7"),
    "who talked to the proxy": ("10.0.0.2", ["203.0.113.7"], "203.0.113.7"),
    "not what the sender made up": ("10.0.0.2", ["198.51.100.1, 203.0.113.7"], "203.0.113.7"),
    "behind two proxies": ("10.0.0.2", ["198.51.100.1, 203.0.113.7, 10.9.9.9"], "203.0.113.7"),
    "in several headers": ("10.0.0.2", ["198.51.100.1", "203.0.113.7", "10.9.9.9"], "203.0.113.7"),
    "a proxy itself": ("10.0.0.2", [], "10.0.0.2"),
    "within the proxies' network": ("10.0.0.2", ["10.0.0.5, 10.0.0.6"], "10.0.0.5"),
    "an IPv4 address in IPv6's words": ("::ffff:10.0.0.2", ["::ffff:203.0.113.7"], "203.0.113.7"),
    "IPv6": ("fd00::1", ["2001:db8::7"], "2001:db8::7"),
    "nonsense": ("10.0.0.2", ["203.0.113.7, nonsense"], None),
    "nothing": ("10.0.0.2", [""], None),
    "with a port": ("10.0.0.2", ["203.0.113.7:1234"], None),
    "nonsense behind a proxy": ("10.0.0.2", ["203.0.113.7, nonsense, 10.9.9.9"], None),
    "a Unix socket": (None, ["203.0.113.7"], None),
    "a name": ("testclient", [], None),
}


@pytest.mark.parametrize(("peer", "forwarded", "origin"), FROM.values(), ids=FROM)
def test_only_proxies_that_are_trusted_are_believed(peer: str | None, forwarded: list[str], origin: str | None) -> None:
    headers = [(b"x-forwarded-for", each.encode()) for each in forwarded]
    request = Request(
        {"type": "http", "headers": headers, "client": None if peer is None else (peer, 1), "method": "POST"}
    )
    proxies = Proxies((ip_network("10.0.0.0/8"), ip_network("fd00::/8")))
    everywhere = (ip_network("0.0.0.0/0"), ip_network("::/0"))
    assert proxies.is_from(request, everywhere) == (origin is not None)
    if origin is not None:
        assert proxies.is_from(request, (ip_network(origin),))
