"""Sessions: what a browser keeps after somebody has logged in with a token, signed, and good for as long as that."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import time

from starlette.requests import Request
from starlette.responses import Response

from hookline.store import keys
from hookline.store.database import Database

COOKIE = "hookline_session"

LIFE = 12 * 3600
"""Seconds."""

_DIGEST = hashlib.sha256().digest_size


class Sessions:
    """Issues and reads session cookies, signed with the key that all replicas share.

    Args:
        secure: whether browsers shall send them over TLS only.
    """

    def __init__(self, database: Database, *, secure: bool) -> None:
        self._database = database
        self._secure = secure
        self._key: bytes | None = None

    async def begin(self, response: Response, digest: bytes) -> None:
        """Have the browser stay logged in as the holder of the token with that digest."""
        said = int(time.time() + LIFE).to_bytes(8, "big") + digest
        value = base64.urlsafe_b64encode(said + await self._signed(said)).decode("ascii")
        response.set_cookie(COOKIE, value, LIFE, secure=self._secure, httponly=True, samesite="lax", path="/")

    def end(self, response: Response) -> None:
        """Have the browser forget it."""
        response.delete_cookie(COOKIE, secure=self._secure, httponly=True, samesite="lax", path="/")

    async def digest(self, request: Request) -> bytes | None:
        """The digest of the token that the browser logged in with; `None` if it shows none that is good."""
        given = request.cookies.get(COOKIE)
        if given is None:
            return None
        try:
            raw = base64.b64decode(given, altchars=b"-_", validate=True)
        except (binascii.Error, ValueError):
            return None
        said, proof = raw[: 8 + _DIGEST], raw[8 + _DIGEST :]
        if not hmac.compare_digest(proof, await self._signed(said)):
            return None
        return said[8:] if int.from_bytes(said[:8], "big") > time.time() else None

    async def _signed(self, said: bytes) -> bytes:
        if self._key is None:
            async with self._database.session() as connection:
                self._key = await keys.ensure(connection, keys.SESSIONS)
        return hmac.digest(self._key, said, hashlib.sha256)
