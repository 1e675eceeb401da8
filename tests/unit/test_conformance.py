"""The conformance kit holds the bundled parsers and the example's, and finds what a parser may do wrong."""

from __future__ import annotations

import os
import subprocess
import sys
import tomllib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
from tests.senders import SENDERS, Sender

from hookline.ingress.parser import find
from hookline.parsing import (
    Event,
    Fresh,
    Hmac,
    Identity,
    Sample,
    Token,
    Unparseable,
    Verified,
    assert_parser_conforms,
)

EXAMPLE = Path(__file__).parents[2] / "examples" / "custom-parser"


@pytest.mark.parametrize("sender", SENDERS, ids=str)
def test_a_bundled_parser_conforms(sender: Sender) -> None:
    sample = Sample(sender.event, sender.sent, sender.type, sender.secret.encode())
    assert_parser_conforms(find(sender.parser), [sample])


class Plain:
    scheme: Any = Hmac("X-Sig")
    content_types = frozenset({"text/plain"})

    def identify(self, delivery: Verified) -> Identity:
        return Identity("", "plain")

    def parse(self, delivery: Verified) -> Iterable[Event]:
        return [Event("plain", data=None)]

    def headers_for(self, event: str, delivery: str, body: bytes) -> dict[str, str]:
        return {"Content-Type": "text/plain"}


class Raises(Plain):
    def identify(self, delivery: Verified) -> Identity:
        return Identity("", delivery.body.decode())


class Remembers(Plain):
    seen = 0

    def identify(self, delivery: Verified) -> Identity:
        self.seen += 1
        return Identity(str(self.seen), "plain")


class Trusts(Plain):
    class scheme(Hmac):  # noqa: N801
        def verify(self, received: Any, secrets: Any) -> Verified:
            from hookline.ingress.schemes import Unsigned

            return Unsigned().verify(received, secrets)

    scheme = scheme("X-Sig")


class Breaks(Plain):
    scheme = Fresh(Hmac("X-Sig"), lambda delivery: float(delivery.headers.text("X-Moment") or "x"))


class SendsAnother(Plain):
    def headers_for(self, event: str, delivery: str, body: bytes) -> dict[str, str]:
        return {"Content-Type": "image/png"}


class Strange(Plain):
    def parse(self, delivery: Verified) -> Any:
        return ["plain"]


class Long(Plain):
    def identify(self, delivery: Verified) -> Identity:
        if not delivery.body.isascii():
            raise Unparseable("no ASCII")
        return Identity(delivery.body.decode(), "plain")


WRONG = [
    (Raises, r"what is not UTF-8 as text/plain: it raises UnicodeDecodeError"),
    (Remembers, "it must be pure"),
    (Trusts, "no proof: its scheme lets it in"),
    (Breaks, "could not convert string to float"),
    (SendsAnother, "'image/png', which is not among content_types"),
    (Strange, "neither an Event nor a Trigger"),
    (Long, "is no key or type"),
]


@pytest.mark.parametrize(("parser", "told"), WRONG, ids=lambda each: getattr(each, "__name__", ""))
def test_what_a_parser_does_wrong_is_told(parser: Any, told: str) -> None:
    with pytest.raises((AssertionError, ValueError), match=told):
        assert_parser_conforms(parser(), [Sample("x", b"hello", "plain")])


def test_a_parser_without_a_fault_conforms_with_a_token_too() -> None:
    assert_parser_conforms(Plain(), [Sample("x", b"hello", "plain")])
    tokened = Plain()
    tokened.scheme = Token("X-Token")
    assert_parser_conforms(tokened, [Sample("x", b"hello", "plain")])
    with pytest.raises(AssertionError, match="no sample"):
        assert_parser_conforms(Plain(), [])


def test_the_guide_shows_the_example_of_a_parser_as_it_is() -> None:
    guide = (EXAMPLE.parents[1] / "docs" / "parsers.md").read_text()
    for name in ("hookline_acme.py", "tests/test_acme.py"):
        assert (EXAMPLE / name).read_text() in guide, name


def test_the_example_of_a_parser_is_found_by_its_entry_point_and_passes_its_own_tests(tmp_path: Path) -> None:
    project = tomllib.loads((EXAMPLE / "pyproject.toml").read_text())["project"]
    installed = tmp_path / "hookline_acme-0.1.0.dist-info"
    installed.mkdir()
    (installed / "METADATA").write_text(
        f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: {project['version']}\n"
    )
    points = project["entry-points"]["hookline.parsers"]
    (installed / "entry_points.txt").write_text(
        "[hookline.parsers]\n" + "".join(f"{name} = {value}\n" for name, value in points.items())
    )
    (tmp_path / "hookline_acme.py").symlink_to(EXAMPLE / "hookline_acme.py")
    environment = os.environ | {"PYTHONPATH": str(tmp_path), "COLUMNS": "120"}

    def run(*arguments: str) -> str:
        return subprocess.run(
            [sys.executable, *arguments], env=environment, check=True, capture_output=True, text=True, cwd=tmp_path
        ).stdout

    assert "acme" in run("-m", "hookline", "parsers", "list")
    assert "1 passed" in run("-m", "pytest", "-q", "-p", "no:cacheprovider", str(EXAMPLE / "tests"))
