"""Cookies: what a browser keeps for us, signed with a key that all replicas share, and good for a while."""

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

_UNTIL, _PROOF = 8, hashlib.sha256().digest_size

LONGEST = 4096


class Cookie:
    """Writes and reads one kind of cookie, which scripts cannot read and other sites cannot send with a change.

    Args:
        key: the name of the key that signs it.
        path: where browsers send it.
        life: seconds that it is good for.
        secure: whether browsers shall send it over TLS only.
    """

    def __init__(self, database: Database, name: str, *, key: str, path: str, life: float, secure: bool) -> None:
        self._database = database
        self._name = name
        self._key_name = key
        self._path = path
        self._life = int(life)
        self._secure = secure
        self._key: bytes | None = None

    async def give(self, response: Response, content: bytes) -> None:
        """Have the browser keep `content`."""
        said = int(time.time() + self._life).to_bytes(_UNTIL, "big") + content
        value = base64.urlsafe_b64encode(said + await self._proof(said)).decode("ascii")
        response.set_cookie(
            self._name, value, self._life, secure=self._secure, httponly=True, samesite="lax", path=self._path
        )

    def take(self, response: Response) -> None:
        """Have the browser forget it."""
        response.delete_cookie(self._name, secure=self._secure, httponly=True, samesite="lax", path=self._path)

    async def read(self, request: Request) -> bytes | None:
        """What was given to the browser; `None` if it shows nothing that is good."""
        given = request.cookies.get(self._name, "")
        if len(given) > LONGEST:
            return None
        try:
            raw = base64.b64decode(given, altchars=b"-_", validate=True)
        except (binascii.Error, ValueError):
            return None
        said, proof = raw[:-_PROOF], raw[-_PROOF:]
        if len(said) < _UNTIL or not hmac.compare_digest(proof, await self._proof(said)):
            return None
        return said[_UNTIL:] if int.from_bytes(said[:_UNTIL], "big") > time.time() else None

    async def _proof(self, said: bytes) -> bytes:
        if self._key is None:
            async with self._database.session() as connection:
                self._key = await keys.ensure(connection, self._key_name)
        return hmac.digest(self._key, said, hashlib.sha256)
