"""GitHub's own examples of every payload, as octokit publishes them, go through; fetched by npm where that is there."""

from __future__ import annotations

import json
import shutil
import subprocess
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from hookline import App, Context, Event
from hookline.ingress.examination import PING, examine
from hookline.ingress.schemes import Received
from hookline.ingress.signatures import as_headers
from hookline.ingress.sources import Source
from hookline_parsers import github

PACKAGE = "@octokit/webhooks-examples@7.6.1"


@pytest.fixture(scope="module")
def examples(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("octokit")
    npm = shutil.which("npm")
    if npm is None:
        pytest.skip("there is no npm")
    packed = subprocess.run([npm, "pack", "--silent", PACKAGE], cwd=folder, capture_output=True, text=True, timeout=120)
    if packed.returncode:
        pytest.skip(f"npm does not reach its registry: {packed.stderr[-200:]}")
    with tarfile.open(next(folder.glob("*.tgz"))) as archive:
        archive.extractall(folder, filter="data")
    return folder / "package"


def payloads(folder: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    for index in sorted(folder.glob("*/index.json")):
        for event in json.loads(index.read_text()):
            for payload in event["examples"]:
                yield event["name"], payload


def test_every_example_is_authentic_identified_and_taken(examples: Path) -> None:
    app = App()

    @app.job(on=github.event("*"))
    async def noted(ctx: Context, event: Event) -> None:
        return None

    secret = b"It is a secret"
    source = Source("github", github.parser, github.parser.scheme, (secret,))
    taken = set()
    for number, (name, payload) in enumerate(payloads(examples)):
        body = json.dumps(payload).encode()
        headers = github.parser.headers_for(name, f"guid-{number}", body)
        received = Received(as_headers(headers | github.parser.scheme.sign(secret, body, headers)), body)
        found, pong = examine(source, received, app.latest)
        assert (found.status, found.reason) == (("ignored", PING) if pong else ("accepted", None)), (name, payload)
        assert found.type.startswith(f"github.{name}")
        assert (len(found.runs), found.key) == (0 if pong else 1, f"guid-{number}")
        taken.add(name)
    assert len(taken) > 40
