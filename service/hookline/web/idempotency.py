"""Idempotency keys: what is asked for with one is done once, and the same again is answered as the first was."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Awaitable, Callable
from typing import TypeVar

import msgspec
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from msgspec import Struct
from starlette.requests import Request
from starlette.responses import Response

from hookline.store import idempotency
from hookline.store.database import Database
from hookline.web.access import Principal
from hookline.web.faults import Fault
from hookline.web.problems import Problem

HEADER = "Idempotency-Key"

REPLAYED = "Idempotent-Replayed"
"""The header of an answer that was given before."""

LONGEST = 255

WHOLE = ""
"""The part of a request that is all of it."""

_NONCE = 12

T = TypeVar("T")


class _Answer(Struct, frozen=True):
    status: int
    headers: list[tuple[bytes, bytes]]
    body: bytes


class Once:
    """Does what one request asks for: once, if it has a key, and otherwise as often as it is asked.

    Each part of it is one transaction, which also keeps what came of it. So whatever dies, and whenever, a part is
    done and its outcome is kept, or neither; what was refused has changed nothing, and is looked at anew.

    Args:
        body: of the request.

    Raises:
        Problem: 400 its key is none.
    """

    def __init__(self, database: Database, who: Principal, request: Request, body: bytes) -> None:
        key = _key(request)
        self._database = database
        self._secret = None if key is None else _digest(who.role.encode(), who.name.encode(), key.encode())
        asked = (request.method.encode(), request.scope["raw_path"], request.scope["query_string"])
        self._request = _digest(*asked, body)

    async def answer(self, doing: Callable[[], Awaitable[Response]]) -> Response:
        """The answer to the whole request; raises what `part` raises."""
        if self._secret is None:
            return await doing()
        is_new = False

        async def done() -> _Answer:
            nonlocal is_new
            is_new = True
            response = await doing()
            return _Answer(response.status_code, response.raw_headers, bytes(response.body))

        kept = await self.part(WHOLE, _Answer, done)
        response = Response(kept.body, kept.status)
        response.raw_headers = kept.headers if is_new else [*kept.headers, (REPLAYED.lower().encode(), b"true")]
        return response

    async def part(self, name: str, shape: type[T], doing: Callable[[], Awaitable[T]]) -> T:
        """What `doing` returned when the part `name` of this request was done; if it was not, it is now.

        Args:
            shape: of what it returns.

        Raises:
            Problem: 409 it is being done right now, 422 the key was used for another request.
        """
        if self._secret is None:
            return await doing()
        id_ = _digest(b"row", self._secret, name.encode())
        seal = AESGCM(_digest(b"seal", self._secret, name.encode()))
        async with self._database.whole() as connection:
            if not await idempotency.lock(connection, id_):
                told = "the first request with this idempotency key is being answered: send it again"
                raise Problem(Fault.REQUEST_IN_PROGRESS, told, headers={"Retry-After": "1"})
            if (found := await idempotency.find(connection, id_)) is not None:
                if found["request"] != self._request:
                    told = "this idempotency key was used for another request: give this one a key of its own"
                    raise Problem(Fault.IDEMPOTENCY_KEY_REUSED, told)
                kept = found["answer"]
                return msgspec.msgpack.decode(seal.decrypt(kept[:_NONCE], kept[_NONCE:], id_), type=shape)
            outcome = await doing()
            nonce = os.urandom(_NONCE)
            sealed = nonce + seal.encrypt(nonce, msgspec.msgpack.encode(outcome), id_)
            await idempotency.keep(connection, id_, self._request, sealed)
        return outcome


def _key(request: Request) -> str | None:
    """The key that `request` has, written as a structured field's string or bare; raises `Problem` 400."""
    given = request.headers.getlist(HEADER)
    if not given:
        return None
    key = given[0].strip()
    if len(key) >= 2 and key[0] == key[-1] == '"':
        key = key[1:-1].replace('\\"', '"').replace("\\\\", "\\")
    if len(given) > 1 or not 1 <= len(key) <= LONGEST or not (key.isascii() and key.isprintable()):
        raise Problem(Fault.IDEMPOTENCY_KEY_UNREADABLE, f"{HEADER} is one key of 1 to {LONGEST} printable characters")
    return key


def _digest(*parts: bytes) -> bytes:
    """Of `parts`, and of where each ends."""
    found = hashlib.sha256()
    for part in parts:
        found.update(len(part).to_bytes(8, "big") + part)
    return found.digest()
