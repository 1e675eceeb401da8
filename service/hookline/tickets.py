"""Tickets: what an outsider presents to show that a run gave it the address of one of its callbacks."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from uuid import UUID

from hookline.errors import Rejected

_SIZE = 16


def issue(secret: bytes, run: UUID, key: str) -> str:
    """The ticket for the callback `key` of `run`."""
    named = run.bytes + key.encode()
    return base64.urlsafe_b64encode(_proof(secret, named) + named).rstrip(b"=").decode("ascii")


def redeem(secret: bytes, ticket: str) -> tuple[UUID, str]:
    """The run and the key of the callback that `ticket` was issued for; raises `Rejected` for any other text."""
    try:
        raw = base64.b64decode(ticket + "=" * (-len(ticket) % 4), altchars=b"-_", validate=True)
        proof, named = raw[:_SIZE], raw[_SIZE:]
        if not hmac.compare_digest(proof, _proof(secret, named)):
            raise Rejected("bad_ticket")
        return UUID(bytes=named[:16]), named[16:].decode()
    except (binascii.Error, ValueError):
        raise Rejected("malformed_ticket") from None


def _proof(secret: bytes, named: bytes) -> bytes:
    return hmac.digest(secret, named, hashlib.sha256)[:_SIZE]
