"""Sessions: what a browser has after somebody has logged in, until it expires or is logged out."""

from __future__ import annotations

from uuid import UUID

from starlette.requests import Request
from starlette.responses import Response

from hookline.store import keys, sessions
from hookline.store.database import Database
from hookline.store.sessions import NewSession
from hookline.web.cookies import Cookie

COOKIE = "hookline_session"


class Sessions:
    """Begins, reads and ends sessions.

    Args:
        life: seconds that one is good for.
        secure: whether browsers shall send its cookie over TLS only.
    """

    def __init__(self, database: Database, *, life: float, secure: bool) -> None:
        self._database = database
        self._life = life
        self._cookie = Cookie(database, COOKIE, key=keys.SESSIONS, path="/", life=life, secure=secure)

    async def begin(self, response: Response, new: NewSession) -> None:
        """Have the browser stay logged in; raises `Unavailable`."""
        async with self._database.session() as connection:
            await sessions.begin(connection, new, self._life)
        await self._cookie.give(response, new.id.bytes)

    async def end(self, request: Request, response: Response) -> None:
        """End the browser's session, at every replica as soon as it looks again; raises `Unavailable`."""
        if (session := await self.of(request)) is not None:
            async with self._database.session() as connection:
                await sessions.end(connection, session)
        self._cookie.take(response)

    async def of(self, request: Request) -> UUID | None:
        """The session that the browser shows; `None` if it shows none that began here, or an old one."""
        shown = await self._cookie.read(request)
        return UUID(bytes=shown) if shown is not None and len(shown) == 16 else None
