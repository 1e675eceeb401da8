"""The server: uvicorn, within an event loop and under signals that are somebody else's."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager

import uvicorn
from starlette.applications import Starlette

from hookline.errors import ConfigurationError
from hookline.web.head import BoundedHead
from hookline.web.stream import Feed
from hookline.web.webhooks import Webhooks

UNSENT = 30_000
"""Milliseconds after which a client that takes nothing of what it is sent counts as gone."""


class Server(uvicorn.Server):
    """Serves `application` on `listening` until `stop`.

    Args:
        drain: seconds that requests under way have to end after `stop`.
    """

    def __init__(self, application: Starlette, listening: socket.socket, *, drain: float) -> None:
        webhooks: Webhooks | None = getattr(application, "webhooks", None)

        class Connection(BoundedHead):
            answer = None if webhooks is None else webhooks.answer

        super().__init__(
            uvicorn.Config(
                application,
                http=Connection,  # by httptools: h11 lets pass what smuggles requests
                ws="none",
                lifespan="off",
                log_config=None,
                access_log=False,
                server_header=False,
                proxy_headers=False,  # nothing here believes what a proxy may have been told
                timeout_keep_alive=65,  # longer than load balancers keep theirs, so that they close first
                timeout_graceful_shutdown=int(drain) + 1,
            )
        )
        self._listening = listening
        self._feed: Feed | None = getattr(application.state, "feed", None)

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave signals alone: whoever runs this server handles them."""
        yield

    async def run(self) -> None:  # type: ignore[override]
        """Serve until `stop`, then until the requests under way have ended."""
        await self.serve([self._listening])

    def stop(self) -> None:
        """Take no more connections, and end the streams, which would not end by themselves."""
        self.should_exit = True
        if self._feed is not None:
            self._feed.close()


def listen(host: str, port: int) -> socket.socket:
    """A socket that listens on `host` and `port`; raises `ConfigurationError` if it cannot."""
    try:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        listening = socket.create_server((host, port), family=family, backlog=2048, reuse_port=False)
    except (OSError, OverflowError) as error:
        raise ConfigurationError(f"cannot listen on {host}:{port}: {error}") from None
    if hasattr(socket, "TCP_USER_TIMEOUT"):  # where it is not, such a client keeps a full buffer
        listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, UNSENT)
    return listening
