"""The client: how the command line talks to a service, and what it says when that fails."""

from __future__ import annotations

import weakref
from datetime import UTC, datetime
from typing import Annotated, Any

import httpx
import msgspec
import typer

from hookline.client import Refused, told
from hookline.settings import load

UrlOption = Annotated[str | None, typer.Option(help="The service; else HOOKLINE_URL.")]
TokenOption = Annotated[str | None, typer.Option(help="An API token; else HOOKLINE_TOKEN.", show_default=False)]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON.")]


class Client:
    """Asks the API at `url`, which is what the settings say unless told otherwise."""

    def __init__(self, url: str | None, token: str | None) -> None:
        settings = load(url=url, token=token)
        bearer = settings.token.get_secret_value() if settings.token else None
        self.url = settings.url.rstrip("/")
        self._http = httpx.Client(
            base_url=self.url, headers={"Authorization": f"Bearer {bearer}"} if bearer else {}, timeout=90
        )
        weakref.finalize(self, self._http.close)

    def get(self, path: str, **query: object) -> Any:
        """The JSON at `path`; `None` in the query is left out. Raises `Refused`."""
        given = {name: str(value) for name, value in query.items() if value is not None}
        return self._answer("GET", path, params=given)

    def post(self, path: str, body: object = None) -> Any:
        """What posting `body` to `path` answers; raises `Refused`."""
        return self._answer("POST", path, json={} if body is None else body)

    def put(self, path: str, content: bytes, media: str) -> Any:
        """What putting `content` to `path` answers; raises `Refused`."""
        return self._answer("PUT", path, content=content, headers={"Content-Type": media})

    def delete(self, path: str) -> Any:
        """What deleting `path` answers; raises `Refused`."""
        return self._answer("DELETE", path)

    def _answer(self, method: str, path: str, **how: Any) -> Any:
        try:
            response = self._http.request(method, path, **how)
        except httpx.HTTPError as error:
            raise Refused(f"{self.url} does not answer: {str(error) or type(error).__name__}") from None
        return told(self.url, response)


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


def harmless(text: str) -> str:
    """`text` without what a terminal would take for a command."""
    if text.isprintable():
        return text
    return "".join(each if each.isprintable() or each in "\n\t" else "\N{REPLACEMENT CHARACTER}" for each in text)
