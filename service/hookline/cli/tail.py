"""`hookline tail`: what a deployed service receives is sent on to a service on this machine, as it comes."""

from __future__ import annotations

import base64
import signal
import sys
import time
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Annotated, Any

import httpx
import msgspec
import typer

from hookline.app import App
from hookline.cli.client import Client, JsonOption, TokenOption, UrlOption, given_moment, harmless
from hookline.client import Refused
from hookline.errors import ConfigurationError, Rejected
from hookline.ingress.backtest import why_not
from hookline.ingress.examination import CREDENTIALS
from hookline.ingress.schemes import Headers, Unsigned
from hookline.ingress.sources import Source, configured
from hookline.settings import Settings, load

WAIT = 10
"""Seconds that the service holds a question, which are also what a shutdown of it may have to wait."""

FIRST_PAUSE, LONGEST_PAUSE = 0.25, 5.0

PASSING = (429, 500, 502, 503, 504)
"""Answers that are another the next time."""

OF_A_HOP = frozenset({b"connection", b"content-length", b"expect", b"host", b"keep-alive", b"proxy-connection", b"te",
                      b"trailer", b"transfer-encoding", b"upgrade"})  # fmt: skip


def tail(
    to: Annotated[str | None, typer.Option(help="The service to send them to; else where `dev` is here.")] = None,
    source: Annotated[str | None, typer.Option(help="Only deliveries of this source.")] = None,
    type_: Annotated[str | None, typer.Option("--type", help="Of this type of event, or a sub-type of it.")] = None,
    subject: Annotated[str | None, typer.Option(help="About this, such as a repository.")] = None,
    since: Annotated[str | None, typer.Option(help="From this moment, as 2026-11-01T00:00Z; else from now.")] = None,
    url: UrlOption = None,
    token: TokenOption = None,
    json: JsonOption = False,
) -> None:
    """Send on to `hookline dev` here what the service at --url receives, as it comes, until Ctrl-C.

    Each is posted as it came, but signed anew, with the secret that its source has here: it goes the whole way in.
    """
    settings, client = load(), Client(url, token)
    here = _Here(settings, (to or settings.here).rstrip("/"))
    if here.url == client.url:
        raise ConfigurationError(f"{client.url} cannot be sent what it has received itself: name another with --to")
    wanted = {"source": source, "type": type_, "subject": subject, "since": since and given_moment(since)}
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        for told in _arriving(client, wanted, here.url):
            if told["replay_of"] is None and why_not(told) in (None, "conflicts"):
                _print(told, here.send(told), json=json)
    except KeyboardInterrupt:
        _note("ended")


def _arriving(client: Client, wanted: Mapping[str, str | None], here: str) -> Iterator[Mapping[str, Any]]:
    """What the service receives, each delivery once, however often it is away meanwhile; raises `Refused`."""
    told = client.get("/api/deliveries/feed", **wanted)
    _note(f"what {client.url} receives goes to {here}; Ctrl-C ends it")
    lost, pause = False, FIRST_PAUSE
    while True:
        yield from told["deliveries"]
        try:
            told = client.get("/api/deliveries/feed", **wanted, after=told["next"], wait=WAIT)
        except Refused as refused:
            if refused.status not in (0, *PASSING):
                raise
            if not lost:
                _note(f"{refused}; trying again")
            told = told | {"deliveries": []}
            lost = True
            time.sleep(pause)  # a service that is away tells nobody of its return
            pause = min(2 * pause, LONGEST_PAUSE)
        else:
            if lost:
                _note(f"{client.url} answers again")
            lost, pause = False, FIRST_PAUSE


class _Here:
    """The service at `url`, and the sources that the settings say it has."""

    def __init__(self, settings: Settings, url: str) -> None:
        self.url = url
        self._sources = configured(settings, App())
        self._http = httpx.Client(timeout=90)

    def send(self, told: Mapping[str, Any]) -> Mapping[str, Any]:
        """What it answers, with its `code`; or else a `problem`. Waits for as long as it is away."""
        source = self._sources.get(told["source"])
        if source is None:
            named = f"HOOKLINE_{told['source'].upper()}_SECRETS"
            return {"problem": f"there is no source {told['source']} here: set {named} to any secret, and restart dev"}
        body = base64.b64decode(told["body_base64"])
        try:
            headers = _signed(source, told["headers"], body)
        except (ValueError, KeyError, Rejected) as error:
            return {"problem": f"it cannot be signed with the secret of {source.name} here: {error}"}
        request = httpx.Request("POST", f"{self.url}/webhooks/{source.name}", headers=headers, content=body)
        response = self._answer(request)
        try:
            answer = msgspec.json.decode(response.content or b"{}")
        except msgspec.DecodeError:
            answer = {}
        content = answer if isinstance(answer, dict) else {}
        if response.is_error:
            return {"code": response.status_code, "problem": f"{response.status_code} {content.get('detail', '')}"}
        return {"status": "answered", **content, "code": response.status_code}

    def _answer(self, request: httpx.Request) -> httpx.Response:
        lost, pause = False, FIRST_PAUSE
        while True:
            try:
                response = self._http.send(request)
            except httpx.TransportError as error:
                problem = str(error) or type(error).__name__
            else:
                if response.status_code not in PASSING:
                    return response
                problem = str(response.status_code)
            if not lost:
                _note(f"{self.url} does not take it: {problem}; trying again")
            lost = True
            time.sleep(pause)  # as long as it is away nothing is passed over
            pause = min(2 * pause, LONGEST_PAUSE)


def _signed(source: Source, told: list[tuple[str, str]], body: bytes) -> list[tuple[bytes, bytes]]:
    """The headers that came, with a proof by the secret that `source` has here in the place of theirs.

    Raises:
        ValueError, KeyError, Rejected: the secret, or the headers, are not fit for that.
    """
    came = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in told]
    kept = [(name, value) for name, value in came
            if name not in OF_A_HOP and not (name in CREDENTIALS and value == b"(not kept)")]  # fmt: skip
    if isinstance(source.scheme, Unsigned) or not source.secrets:
        return kept
    kept = [each for each in kept if not source.scheme.is_present(Headers([each]))]
    named = {name.decode("latin-1"): value.decode("latin-1") for name, value in kept}
    proof = {
        name.lower().encode("latin-1"): value.encode("latin-1")
        for name, value in source.scheme.sign(source.secrets[0], body, named).items()
    }
    return [*((name, value) for name, value in kept if name not in proof), *proof.items()]


def _print(told: Mapping[str, Any], answer: Mapping[str, Any], *, json: bool) -> None:
    if json:
        names = ("id", "source", "key", "type", "subject", "received_at")
        typer.echo(msgspec.json.encode({name: told[name] for name in names} | {"answer": answer}).decode())
        return
    came = datetime.fromisoformat(told["received_at"]).astimezone()
    of = "" if told["type"].startswith(told["source"]) else f"{told['source']}: "
    about = f"{came:%H:%M:%S}  {of}{told['type']}  {told['subject'] or ''}".rstrip()
    if "problem" in answer:
        typer.echo(f"{harmless(about)}  {typer.style(harmless(str(answer['problem'])), 'red')}")
        return
    runs = len(answer.get("runs", ()))
    typer.echo(harmless(f"{about}  {answer['status']}" + (f"  {runs} run{'s' * (runs != 1)}" if runs else "")))


def _note(text: str) -> None:
    print(f"hookline: {text}", file=sys.stderr, flush=True)  # noqa: T201 - beside what goes to a script
