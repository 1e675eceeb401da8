"""Keys: secrets that hookline makes for itself, the same for all replicas."""

from __future__ import annotations

import os

from hookline.store.database import Connection

SESSIONS = "sessions"
"""The key that signs the cookies of people who have logged in."""

LOGINS = "logins"
"""The key that signs what a browser keeps while its person is at a provider."""

CALLBACKS = "callbacks"
"""The key that signs the addresses of callbacks."""

ENSURE = "insert into hookline.keys (name, secret) values ($1, $2) on conflict do nothing"

KEY = "select secret from hookline.keys where name = $1"


async def ensure(connection: Connection, name: str) -> bytes:
    """The secret called `name`, made by whoever asks first."""
    secret: bytes | None = await connection.fetchval(KEY, name)
    if secret is None:
        await connection.execute(ENSURE, name, os.urandom(32))
        secret = await connection.fetchval(KEY, name)
    assert secret is not None  # noqa: S101 - it was just made
    return secret
