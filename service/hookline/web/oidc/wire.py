"""The wire: what a provider is asked over HTTP, within a time and a size."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Mapping
from functools import cache
from typing import Any

import httpx
import msgspec
from msgspec import Struct

from hookline import telemetry
from hookline.web.faults import Fault
from hookline.web.problems import Problem

TIMEOUT = 10.0
"""Seconds that an answer may take, all of it."""

LARGEST = 512 * 1024
"""Bytes that one may have."""


class Answer(Struct, frozen=True):
    """What a provider has answered."""

    status: int
    body: Mapping[str, Any]


class Wire:
    """Asks one provider.

    Args:
        name: what people call it.
    """

    def __init__(self, name: str) -> None:
        self._name = name

    async def get(self, url: str, *, bearer: str | None = None) -> Mapping[str, Any]:
        """The JSON object at `url`; raises `Problem` 502 or 503."""
        answer = await self._ask("GET", url, headers={} if bearer is None else {"Authorization": f"Bearer {bearer}"})
        if answer.status != 200:
            raise self.wrong(f"GET {url} answered {answer.status}")
        return answer.body

    async def post(self, url: str, form: Mapping[str, str], auth: httpx.BasicAuth | None) -> Answer:
        """What it answers to `form`; raises `Problem` 502 or 503."""
        return await self._ask("POST", url, data=form, auth=auth)

    def away(self, reason: str) -> Problem:
        """It does not answer."""
        telemetry.log.warning("oidc.away", provider=self._name, reason=reason)
        return Problem(Fault.PROVIDER_AWAY, f"{self._name} does not answer right now. Try again in a moment.")

    def wrong(self, reason: str) -> Problem:
        """What it said cannot be believed, or not understood; whoever runs this service reads why."""
        telemetry.log.error("oidc.wrong", provider=self._name, reason=reason)
        return Problem(
            Fault.PROVIDER_WRONG,
            f"What {self._name} said could not be verified, so nobody was let in. Try again; if it happens again, "
            "this service's log has the reason.",
        )

    async def _ask(self, method: str, url: str, **more: Any) -> Answer:
        headers = {"Accept": "application/json", "Accept-Encoding": "identity"} | more.pop("headers", {})
        try:
            async with (
                asyncio.timeout(TIMEOUT),
                httpx.AsyncClient(verify=_trusted(), timeout=None, follow_redirects=False) as client,  # noqa: S113
                client.stream(method, url, headers=headers, **more) as response,
            ):
                body = await self._read(response)
        except TimeoutError:
            raise self.away(f"{method} {url} took longer than {TIMEOUT:g} s") from None
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise self.away(f"{method} {url} got no answer: {type(error).__name__}") from None
        if response.status_code >= 500 or response.status_code == 429:
            raise self.away(f"{method} {url} answered {response.status_code}")
        try:
            return Answer(response.status_code, msgspec.json.decode(body, type=dict[str, Any]))
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            raise self.wrong(f"{method} {url} answered {response.status_code}, which is no JSON object") from None

    async def _read(self, response: httpx.Response) -> bytes:
        body = bytearray()
        async for chunk in response.aiter_raw():
            body += chunk
            if len(body) > LARGEST:
                raise self.wrong(f"{response.request.method} {response.url} answered more than {LARGEST} bytes")
        return bytes(body)


@cache
def _trusted() -> ssl.SSLContext:
    """Whom this machine trusts: read once, since that takes a while."""
    return ssl.create_default_context()
