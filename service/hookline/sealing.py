"""Sealing: what rests encrypted in Postgres, under keys that the settings hold and Postgres never sees."""

from __future__ import annotations

import base64
import binascii
import hashlib
import os
from collections.abc import Sequence

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from hookline.errors import ConfigurationError, Unsealable

SIZE = 32
VERSION = b"\x01"
_ID, _NONCE = 4, 12


def key(text: str) -> bytes:
    """The key that is written as `text`; raises `ConfigurationError`, which does not tell it."""
    try:
        found = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        found = b""
    if len(found) != SIZE:
        raise ConfigurationError(f"a key is {SIZE} bytes in base64, as `openssl rand -base64 {SIZE}` prints them")
    return found


class Seal:
    """Encrypts by the first of `keys`, decrypts by all: AES-256-GCM, bound to what the plaintext is for.

    What is sealed is a byte of version, the key's id, a random nonce, and the ciphertext with its tag. A key may seal
    2**32 times.

    Args:
        keys: as `key` reads them.
    """

    def __init__(self, keys: Sequence[str]) -> None:
        self._keys = {hashlib.sha256(b"hookline key\0" + raw).digest()[:_ID]: AESGCM(raw) for raw in map(key, keys)}
        self._first = next(iter(self._keys), b"")

    def __bool__(self) -> bool:
        """Whether there is a key."""
        return bool(self._keys)

    def seal(self, plain: bytes, about: str) -> bytes:
        """`plain`, encrypted; only who names the same `about` can open it."""
        nonce = os.urandom(_NONCE)
        head = VERSION + self._first
        return head + nonce + self._keys[self._first].encrypt(nonce, plain, head + about.encode())

    def open(self, sealed: bytes, about: str) -> bytes:
        """What was sealed; raises `Unsealable`, which names the key that it needs."""
        head, nonce, rest = sealed[: 1 + _ID], sealed[1 + _ID : 1 + _ID + _NONCE], sealed[1 + _ID + _NONCE :]
        by = self._keys.get(head[1:])
        if head[:1] != VERSION or by is None:
            raise Unsealable(f"it is sealed by the key {head[1:].hex()}, which HOOKLINE_ENCRYPTION_KEYS has not")
        try:
            return by.decrypt(nonce, rest, head + about.encode())
        except (InvalidTag, ValueError):
            raise Unsealable("it is not what was sealed here: the row was changed, or is another's") from None

    @property
    def id(self) -> str:
        """The id of the key that seals; empty if there is none."""
        return self._first.hex()

    def is_first(self, sealed: bytes) -> bool:
        """Whether the first key sealed it."""
        return sealed[: 1 + _ID] == VERSION + self._first
