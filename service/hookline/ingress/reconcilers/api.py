"""The API of a provider: asked with limits, and one clear word for each way in which it does not answer."""

from __future__ import annotations

import asyncio
import ssl
import time
from collections.abc import Mapping, Sequence
from functools import cache
from typing import TypeVar

import httpx
import msgspec

from hookline import codec
from hookline.errors import Fatal, HooklineError

T = TypeVar("T")

LARGEST = 10 * 1024 * 1024
"""Bytes that an answer may have."""

TIMEOUT = 30.0
"""Seconds that a question may take, with all its redirects."""

MOST_REDIRECTS = 3
REDIRECTS = (301, 302, 307, 308)

GONE = (400, 404, 410, 422)
"""Statuses that say of one thing that it cannot be had, if its list could be read."""

UNTOLD_PAUSE = 60.0
"""Seconds to wait for who says that it was asked too often, but not for how long."""

LONGEST_PAUSE = 3900.0
"""Seconds; limits that are told of are those of an hour."""


class Failed(HooklineError):
    """A provider gave no answer, or one that may be another next time."""


class Refused(Fatal):
    """A provider gave an answer that stays the same until somebody acts; `status` is its number, if there is one."""

    status = 0

    @property
    def is_gone(self) -> bool:
        """Whether it says that what was asked for is not there."""
        return self.status in GONE


class Limited(HooklineError):
    """A provider is not to be asked before so many `seconds` have passed."""

    def __init__(self, seconds: float) -> None:
        super().__init__(f"asked too often; to be asked again in {seconds:.0f} s")
        self.seconds = seconds


class Answer(msgspec.Struct, frozen=True):
    """What was answered: 2xx.

    Args:
        next: the address of the next page, if the headers tell of one.
    """

    what: str
    body: bytes
    next: str | None

    def read(self, as_: type[T]) -> T:
        """The JSON in the body as what it should be; raises `Failed`."""
        try:
            return msgspec.json.decode(self.body, type=as_)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            raise Failed(f"{self.what} was not answered as expected: {str(error)[:200]}") from None


class Api:
    """The API at `url`, and nowhere else: what proves who asks is sent to nobody else.

    Args:
        headers: that every request bears.
        advice: by status, what somebody should do about it.
    """

    def __init__(self, url: str, headers: Mapping[str, str], advice: Mapping[int, str]) -> None:
        self._url = httpx.URL(url.rstrip("/") + "/")
        self._headers = dict(headers)
        self._advice = advice
        self._free_at = 0.0

    async def ask(
        self,
        method: str,
        address: str,
        bearer: str,
        *,
        params: Sequence[tuple[str, str]] = (),
        json: object = None,
    ) -> Answer:
        """What it answers.

        Args:
            address: of the API's, such as `app/hook/deliveries`, or a whole one that it told.
            bearer: the token that proves who asks.

        Raises:
            Limited: it is not to be asked for a while.
            Failed: it did not answer, or with 5xx.
            Refused: it answered otherwise.
        """
        if (wait := self._free_at - time.time()) > 0:
            raise Limited(wait)
        url = _joined(self._url, address)
        if params:
            url = url.copy_merge_params(list(params))
        what = f"{method} {url.copy_with(query=None)}"
        try:
            async with asyncio.timeout(TIMEOUT), httpx.AsyncClient(verify=_trusted(), timeout=None) as client:  # noqa: S113 - there is one around it
                response, body = await self._sent(client, method, url, bearer, json)
        except TimeoutError:
            raise Failed(f"{what} took longer than {TIMEOUT:g} s") from None
        except httpx.HTTPError as error:
            raise Failed(f"{what} got no answer: {type(error).__name__}") from None
        return self._judged(what, response, body, bearer)

    async def _sent(
        self, client: httpx.AsyncClient, method: str, url: httpx.URL, bearer: str, json: object
    ) -> tuple[httpx.Response, bytes]:
        content = None if json is None else codec.encode(json)
        headers = self._headers | {"Authorization": f"Bearer {bearer}"}
        if content is not None:
            headers["Content-Type"] = "application/json"
        for _ in range(MOST_REDIRECTS + 1):
            if (url.scheme, url.host, url.port) != (self._url.scheme, self._url.host, self._url.port):
                raise Refused(f"{self._url.host} leads to {url.host}, which is not told our token")
            async with client.stream(method, url, headers=headers, content=content) as response:
                body = await _read(response)
            if response.status_code not in REDIRECTS or "location" not in response.headers:
                return response, body
            url = _joined(url, response.headers["location"])
        raise Refused(f"{self._url.host} redirects more than {MOST_REDIRECTS} times")

    def _judged(self, what: str, response: httpx.Response, body: bytes, bearer: str) -> Answer:
        status = response.status_code
        exhausted = response.headers.get("x-ratelimit-remaining") == "0"
        if exhausted or status == 429 or (status == 403 and _is_limit(response, body)):
            pause = _pause(response, exhausted=exhausted)
            self._free_at = time.time() + pause
            if status >= 400:
                raise Limited(pause)
        if 200 <= status < 300:
            return Answer(what, body, response.links.get("next", {}).get("url"))
        told = f"{what} was answered {status}: {_message(body).replace(bearer, '********')}"
        if status >= 500 or status in (408, 425):
            raise Failed(told)
        refused = Refused(f"{told}. {self._advice[status]}" if status in self._advice else told)
        refused.status = status
        raise refused


@cache
def _trusted() -> ssl.SSLContext:
    return ssl.create_default_context()


def _joined(url: httpx.URL, address: str) -> httpx.URL:
    try:
        return url.join(address)
    except httpx.InvalidURL:
        raise Failed(f"{url.host} tells of {address[:100]!r}, which is no address") from None


async def _read(response: httpx.Response) -> bytes:
    body = bytearray()
    async for part in response.aiter_bytes():
        body += part
        if len(body) > LARGEST:
            raise Failed(f"{response.url.host} answered with more than {LARGEST} bytes")
    return bytes(body)


def _is_limit(response: httpx.Response, body: bytes) -> bool:
    """Whether a 403 says that it was asked too often, and not that it must not be asked."""
    return "retry-after" in response.headers or "rate limit" in _message(body).lower()


def _pause(response: httpx.Response, *, exhausted: bool) -> float:
    """Seconds until it may be asked again, by its own word."""
    told = response.headers.get("retry-after", "")
    if told.isdecimal():
        pause = float(told)
    elif exhausted and (reset := response.headers.get("x-ratelimit-reset", "")).isdecimal():
        pause = float(reset) - time.time()
    else:
        pause = UNTOLD_PAUSE
    return min(max(pause, 1.0), LONGEST_PAUSE)


class _Problem(msgspec.Struct):
    """How an answer tells what is wrong: GitHub's `message`, or Stripe's within `error`."""

    message: str = ""
    error: msgspec.Raw = msgspec.Raw()


def _message(body: bytes) -> str:
    try:
        told = msgspec.json.decode(body, type=_Problem)
        if not told.message and told.error:
            told = msgspec.json.decode(told.error, type=_Problem)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return "(no reason is told)"
    return told.message[:300].rstrip(". ") or "(no reason is told)"
