"""The client: how the command line talks to a service, and what it says when that fails."""

from __future__ import annotations

import weakref
from collections.abc import Mapping
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from time import sleep
from typing import Annotated, Any, Protocol

import httpx
import msgspec
import typer

from hookline.cli.direct import Direct
from hookline.client import Refused, told
from hookline.codec import uuid7
from hookline.errors import ConfigurationError
from hookline.settings import load

UrlOption = Annotated[str | None, typer.Option(help="The service; else HOOKLINE_URL, else the one here.")]
TokenOption = Annotated[str | None, typer.Option(help="An API token; else HOOKLINE_TOKEN.", show_default=False)]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON.")]


SILENCE = 40.0
"""Seconds without a sign of life after which a stream is taken for lost."""

LOST = (httpx.ReadError, httpx.WriteError, httpx.RemoteProtocolError)
"""How a connection ends when the replica behind it does: nobody knows whether it did what it was asked."""

GONE = (*LOST, httpx.ConnectError)
"""How it may be met then, until another takes over."""

AGAIN = (0.2, 1.0, 3.0)
"""Seconds after which the same is asked again, once an answer was lost."""

DatabaseOption = Annotated[
    bool, typer.Option("--database", help="Ask the database at HOOKLINE_DATABASE_URL, or the embedded one; no service.")
]


class Asked(Protocol):
    """Who answers questions: a service, or the database itself."""

    def get(self, path: str, **query: object) -> Any:
        """The JSON at `path`; `None` in the query is left out. Raises `Refused`."""


def asked(url: str | None, token: str | None, *, database: bool) -> Asked:
    """Who answers as a command's options say; raises `ConfigurationError` if they contradict each other."""
    if not database:
        return Client(url, token)
    if url is not None or token is not None:
        raise ConfigurationError("--database asks no service: leave --url and --token out, or it")
    return Direct()


class Client:
    """Asks the API at `url`, which is what the settings say unless told otherwise."""

    def __init__(self, url: str | None, token: str | None) -> None:
        settings = load(url=url, token=token)
        bearer = settings.token.get_secret_value() if settings.token else None
        self.url = settings.asked
        self._http = httpx.Client(
            base_url=self.url, headers={"Authorization": f"Bearer {bearer}"} if bearer else {}, timeout=90
        )
        weakref.finalize(self, self._http.close)

    def get(self, path: str, **query: object) -> Any:
        """The JSON at `path`; `None` in the query is left out. Raises `Refused`."""
        return self._answer("GET", path, params=_said(query))

    def post(self, path: str, body: object = None) -> Any:
        """What posting `body` to `path` answers; raises `Refused`."""
        return self._answer("POST", path, json={} if body is None else body)

    def put(self, path: str, content: bytes, media: str) -> Any:
        """What putting `content` to `path` answers; raises `Refused`."""
        return self._answer("PUT", path, content=content, headers={"Content-Type": media})

    def delete(self, path: str) -> Any:
        """What deleting `path` answers; raises `Refused`."""
        return self._answer("DELETE", path)

    def streaming(self, path: str, last: str | None, **query: object) -> AbstractContextManager[httpx.Response]:
        """The stream at `path`, behind the event with the id `last`."""
        headers = {} if last is None else {"Last-Event-ID": last}
        return self._http.stream("GET", path, params=_said(query), headers=headers, timeout=SILENCE)

    def _answer(self, method: str, path: str, *, headers: Mapping[str, str] | None = None, **how: Any) -> Any:
        """What is answered; asked again where the answer was lost, under one key, so that a write is done once."""
        sent = dict(headers or {}) if method == "GET" else {**(headers or {}), "Idempotency-Key": str(uuid7())}
        is_lost, again = False, iter(AGAIN)
        while True:
            try:
                response = self._http.request(method, path, headers=sent, **how)
            except httpx.HTTPError as error:
                is_lost = is_lost or isinstance(error, LOST)
                pause = next(again, None) if is_lost and isinstance(error, GONE) else None
                if pause is None:
                    unsure = ", and may have done what it was asked: look first" if is_lost and method != "GET" else ""
                    why = str(error) or type(error).__name__
                    raise Refused(f"{self.url} does not answer: {why}{unsure}") from None
            else:
                pause = next(again, None) if is_lost and "Retry-After" in response.headers else None
                if pause is None:
                    return told(self.url, response)
            sleep(pause)  # nobody tells when another takes over, or has done what was asked


def only(rows: list[dict[str, Any]], word: str, noun: str) -> dict[str, Any]:
    """The one of `rows` with that id or name; raises `Refused` with 404."""
    for each in rows:
        if word in (each.get("id"), each.get("name")):
            return each
    raise Refused(f"there is no {noun} {word[:50]!r}", 404)


def _said(query: Mapping[str, object]) -> dict[str, str]:
    return {name: str(value) for name, value in query.items() if value is not None}


def given_moment(text: str) -> str:
    """The moment that `text` on the command line stands for, in local time unless it says otherwise.

    Raises:
        BadParameter: it is no moment.
    """
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise typer.BadParameter(f"a moment is like 2026-11-21T12:00Z, not {text[:50]!r}") from None
    return moment.astimezone(UTC).isoformat()


def given_json(text: str | None) -> Any:
    """What `text` on the command line stands for: JSON, else the text itself; nothing is `null`."""
    if text is None:
        return None
    try:
        return msgspec.json.decode(text)
    except msgspec.DecodeError:
        return text


def as_json(content: object) -> str:
    """`content` as JSON for people and for `jq`."""
    return msgspec.json.format(msgspec.json.encode(content), indent=2).decode()


def as_line(content: object) -> str:
    """`content` as JSON in one line, where several follow each other."""
    return msgspec.json.encode(content).decode()


def tell(told: object, text: str, *, json: bool) -> None:
    """Print what the API answered, or what it means."""
    typer.echo(as_json(told) if json else text)


def harmless(text: str) -> str:
    """`text` without what a terminal would take for a command."""
    if text.isprintable():
        return text
    return "".join(each if each.isprintable() or each in "\n\t" else "\N{REPLACEMENT CHARACTER}" for each in text)
