"""HTTP requests to others, which nobody can turn against what is private."""

from __future__ import annotations

import asyncio
import ipaddress
import socket
import ssl
from collections.abc import Mapping
from functools import cache
from typing import Any

import httpx

from hookline import codec
from hookline.errors import ConfigurationError, Fatal, HooklineError
from hookline.jobs.current import CURRENT
from hookline.jobs.given import rendered
from hookline.jobs.operators.called import called
from hookline.spans import Seconds, seconds

LARGEST = 10 * 1024 * 1024
"""Bytes that an answer may have."""

MOST_REDIRECTS = 5

WORTH_ANOTHER_TRY = frozenset({408, 425, 429})
"""Statuses from 400 to 499 that may be another one next time."""


class RequestFailed(HooklineError):
    """A request got no answer, or one that may be another next time."""


class RequestRefused(Fatal):
    """A request got an answer that will stay the same, or must not be made at all."""


class HttpRequest:
    """Makes a request; returns `{"status", "headers", "body"}`, whose body is JSON if it came as such, else a text.

    Every try of the step bears the same `Idempotency-Key`, unless the method is safe anyway.

    Args:
        method: such as `POST`.
        url: `http` or `https`; `{dotted.path}` in it, in the headers and in the body is what the task is given.
        headers: to send.
        json: the body, to be sent as JSON.
        timeout: how long it may take in all.
        redirects: whether to follow redirects, five at most.
        private: whether addresses are fine that are not public, such as those of this network.
        name: what the journal calls it; the method unless said otherwise.

    Raises:
        RequestRefused: it was answered 3xx or 4xx, or must not be made.
        RequestFailed: it was answered 408, 425, 429 or 5xx, or not at all.

    Example:
        graph.task(Post("https://ci.example.com/builds", json={"commit": "{input.after}"}), name="build")
    """

    def __init__(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        json: Any = None,
        timeout: Seconds = 30.0,
        redirects: bool = False,
        private: bool = False,
        name: str | None = None,
    ) -> None:
        if not method.isalpha():
            raise ConfigurationError(f"an HTTP method is letters, not {method!r}")
        self.name = self.__name__ = name or method.lower()
        self._method = method.upper()
        self._url = url
        self._headers = dict(headers or {})
        self._json = json
        self._timeout = seconds(timeout)
        self._redirects = redirects
        self._private = private

    async def __call__(self, given: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """Make it once."""
        what = given or {}
        headers = {name: str(value) for name, value in rendered(self._headers, what).items()}
        return await self._send(str(rendered(self._url, what)), headers, rendered(self._json, what))

    async def sent_as_it_is(self, json: Any) -> dict[str, Any]:
        """Make it once, with `json` as it is, and nothing in it or in the URL replaced."""
        return await self._send(self._url, dict(self._headers), json)

    async def _send(self, address: str, headers: dict[str, str], json: Any) -> dict[str, Any]:
        content = None if json is None else codec.encode(json)
        if content is not None:
            headers.setdefault("Content-Type", "application/json")
        if (step := CURRENT.get()) is not None and self._method not in ("GET", "HEAD", "OPTIONS"):
            headers.setdefault("Idempotency-Key", step.idempotency_key)
        try:
            url = httpx.URL(address)
        except httpx.InvalidURL as error:
            raise RequestRefused(f"{address[:200]!r} is no URL: {error}") from None
        try:
            async with asyncio.timeout(self._timeout), httpx.AsyncClient(verify=_trusted(), timeout=None) as client:  # noqa: S113 - there is one around it
                return await self._answered(client, url, headers, content)
        except TimeoutError:
            raise RequestFailed(f"{self._method} {_named(url)} took longer than {self._timeout:g} s") from None
        except httpx.HTTPError as error:
            raise RequestFailed(f"{self._method} {_named(url)} got no answer: {error!r}") from None

    async def _answered(
        self, client: httpx.AsyncClient, url: httpx.URL, headers: dict[str, str], content: bytes | None
    ) -> dict[str, Any]:
        method = self._method
        for _ in range(MOST_REDIRECTS + 1):
            address = await _address(url, private=self._private)
            request = client.build_request(
                method,
                url.copy_with(host=address),
                headers=headers | {"Host": url.netloc.decode()},
                content=content,
                extensions={"sni_hostname": url.host},
            )
            with called(method, _named(url), request.headers.get("Idempotency-Key")) as call:
                response = await client.send(request, stream=True)
                call["status"] = response.status_code
                try:
                    body = await _read(response)
                finally:
                    await response.aclose()
            if not (self._redirects and response.is_redirect and "location" in response.headers):
                return self._judged(url, response, body)
            url, elsewhere = url.join(response.headers["location"]), url
            if url.netloc != elsewhere.netloc:
                headers = {name: value for name, value in headers.items() if name.lower() != "authorization"}
            if response.status_code == 303:
                method, content = "GET", None
        raise RequestRefused(f"{self._method} {_named(url)} redirects more than {MOST_REDIRECTS} times")

    def _judged(self, url: httpx.URL, response: httpx.Response, body: bytes) -> dict[str, Any]:
        status = response.status_code
        if not 200 <= status < 300:
            told = f"{self._method} {_named(url)} was answered {status}: {body[:300].decode('utf-8', 'replace')}"
            if status >= 500 or status in WORTH_ANOTHER_TRY:
                raise RequestFailed(told)
            raise RequestRefused(told)
        return {"status": status, "headers": dict(response.headers), "body": _body(response, body)}


class _Verb(HttpRequest):
    """A request whose method is its class's name."""

    def __init__(self, url: str, **options: Any) -> None:
        super().__init__(type(self).__name__.upper(), url, **options)


class Get(_Verb):
    """A `GET`: see `HttpRequest`."""


class Post(_Verb):
    """A `POST`: see `HttpRequest`."""


class Put(_Verb):
    """A `PUT`: see `HttpRequest`."""


class Patch(_Verb):
    """A `PATCH`: see `HttpRequest`."""


class Delete(_Verb):
    """A `DELETE`: see `HttpRequest`."""


@cache
def _trusted() -> ssl.SSLContext:
    return ssl.create_default_context()


async def _address(url: httpx.URL, *, private: bool) -> str:
    """The address to connect to, which is looked up once, so that it cannot become another one after it was judged."""
    if url.scheme not in ("http", "https") or not url.host:
        raise RequestRefused(f"requests go to http or https, not to {_named(url)}")
    port = url.port or (443 if url.scheme == "https" else 80)
    try:
        found = await asyncio.get_running_loop().getaddrinfo(url.host, port, type=socket.SOCK_STREAM)
    except OSError as error:
        raise RequestFailed(f"{url.host} cannot be looked up: {error}") from None
    addresses = [str(each[4][0]) for each in found]
    if not private and not all(_is_public(each) for each in addresses):
        raise RequestRefused(f"{url.host} is at {', '.join(addresses)}, which is not public: say private=True")
    return addresses[0]


def _is_public(address: str) -> bool:
    found = ipaddress.ip_address(address.partition("%")[0])
    mapped = getattr(found, "ipv4_mapped", None) or getattr(found, "sixtofour", None)
    return found.is_global and not found.is_multicast and (mapped is None or mapped.is_global)


async def _read(response: httpx.Response) -> bytes:
    body = bytearray()
    async for part in response.aiter_bytes():
        body += part
        if len(body) > LARGEST:
            raise RequestRefused(f"the answer has more than {LARGEST} bytes")
    return bytes(body)


def _body(response: httpx.Response, body: bytes) -> Any:
    if body and "json" in response.headers.get("content-type", ""):
        try:
            return codec.decode(body)
        except codec.Undecodable as error:
            raise RequestFailed(f"the answer says that it is JSON, and is not: {error}") from None
    return body.decode(response.encoding or "utf-8", "replace").replace("\0", "�")


def _named(url: httpx.URL) -> str:
    """The URL without what may be secret in it."""
    return str(url.copy_with(query=None, fragment=None, username=None, password=None))
