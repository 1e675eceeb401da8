"""The client: how code that is not a job starts runs, sends them signals and waits for them."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from types import TracebackType
from typing import Any, Self
from uuid import UUID

import httpx
import msgspec

from hookline import codec
from hookline.errors import HooklineError
from hookline.spans import Seconds, seconds

TRIES = 4
FIRST_PAUSE = 0.25
LONGEST_AWAIT = 30.0


class Refused(HooklineError):
    """The service answered with a problem, whose `status` it is; or not at all, and that is 0."""

    def __init__(self, reason: str, status: int = 0) -> None:
        super().__init__(reason)
        self.status = status


class Client:
    """Asks the service at `url` over its HTTP API; every method raises `Refused`.

    What is sent carries an id, and is sent again when the service does not answer or is away: it counts once.

    Args:
        url: such as `https://hooks.example.com`.
        token: one of its API tokens.
        timeout: seconds that one request may take.

    Example:
        async with Client("https://hooks.example.com", token) as hookline:
            run = await hookline.start("order", {"number": 7}, idempotency_key="7")
            await hookline.signal(run, "paid", {"amount": 12})
            order = await hookline.ended(run)
    """

    def __init__(self, url: str, token: str | None = None, *, timeout: float = LONGEST_AWAIT + 10) -> None:
        self._url = url.rstrip("/")
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        self._http = httpx.AsyncClient(base_url=self._url, headers=headers, timeout=timeout)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self._http.aclose()

    async def start(
        self,
        job: str,
        input: Any = None,  # noqa: A002 - the word of the API
        *,
        scope: str | None = None,
        priority: int = 0,
        delay: Seconds = 0,
        idempotency_key: str | None = None,
        tags: Iterable[str] = (),
    ) -> UUID:
        """A new run of `job`; with an `idempotency_key`, the one that was started under it before, if there is one."""
        wanted = {
            "input": input,
            "scope": scope,
            "priority": priority,
            "delay": seconds(delay),
            "idempotency_key": idempotency_key or str(codec.uuid7()),
            "tags": list(tags),
        }
        return UUID((await self._ask("POST", f"/api/jobs/{job}/runs", wanted))["id"])

    async def signal(self, run: UUID | str, name: str, data: Any = None) -> None:
        """Send `run` a signal; it is held until the run waits for it, and refused if that has ended."""
        await self._ask("POST", f"/api/runs/{run}/signals", {"name": name, "data": data, "id": str(codec.uuid7())})

    async def cancel(self, run: UUID | str) -> None:
        """Have `run` end, and make up for what it did."""
        await self._ask("POST", f"/api/runs/{run}/cancel", {})

    async def read(self, run: UUID | str) -> dict[str, Any]:
        """`run` as it stands, with its journal, as the API describes it."""
        told: dict[str, Any] = await self._ask("GET", f"/api/runs/{run}")
        return told

    async def ended(self, run: UUID | str, *, timeout: Seconds | None = None) -> dict[str, Any]:
        """`run` once it has ended, as `read` returns it; raises `TimeoutError` if it has not within `timeout`."""
        async with asyncio.timeout(None if timeout is None else seconds(timeout)):
            while True:
                try:
                    return dict(await self._ask("GET", f"/api/runs/{run}/await?timeout={LONGEST_AWAIT:g}"))
                except Refused as refused:
                    if refused.status != 408:
                        raise

    async def _ask(self, method: str, path: str, body: object = None) -> Any:
        content = None if body is None else codec.encode(body)
        headers = {} if body is None else {"Content-Type": "application/json"}
        for tried in range(1, TRIES + 1):
            try:
                response = await self._http.request(method, path, content=content, headers=headers)
            except httpx.TransportError as error:
                refused = Refused(f"{self._url} does not answer: {str(error) or type(error).__name__}")
            else:
                if response.status_code != 503:
                    return told(self._url, response)
                refused = Refused(f"{self._url} is away: 503", 503)
            if tried < TRIES:
                await asyncio.sleep(FIRST_PAUSE * 2**tried)  # the service is away: each try waits longer
        raise refused


def told(url: str, response: httpx.Response) -> Any:
    """The JSON that the service at `url` answered; raises `Refused` if that is a problem, or no JSON."""
    try:
        content = msgspec.json.decode(response.content)
    except msgspec.DecodeError:
        raise Refused(
            f"{url} answered {response.status_code}, and not as hookline does", response.status_code
        ) from None
    if response.is_error:
        problem = f"{response.status_code} {content.get('title', '')}: {content.get('detail', '')}"
        raise Refused(problem, response.status_code)
    return content
