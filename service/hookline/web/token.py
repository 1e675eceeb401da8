"""A token: random, and with a checksum, by which what cannot be one is refused without looking it up."""

from __future__ import annotations

import hashlib
import secrets
import string
import zlib

PREFIX = "hookline_"
"""What a token begins with, so that whoever finds one knows what it is."""

_DIGITS = string.digits + string.ascii_letters

_CHECKED, _CHECKSUM = 43, 6
"""Characters of 256 random bits, and of their checksum."""


def issue() -> str:
    """A new token."""
    said = PREFIX + secrets.token_urlsafe(32)
    return said + _checksum(said)


def is_one(text: str) -> bool:
    """Whether `text` may be a token that was made here; whoever wants to can make up such a text."""
    said = text[:-_CHECKSUM]
    is_long = len(text) == len(PREFIX) + _CHECKED + _CHECKSUM
    return is_long and text.startswith(PREFIX) and text[-_CHECKSUM:] == _checksum(said)


def digest_of(token: str) -> bytes:
    """What is kept of a token."""
    return hashlib.sha256(token.encode("utf-8", "surrogateescape")).digest()


def _checksum(text: str) -> str:
    rest, digits = zlib.crc32(text.encode("utf-8", "surrogateescape")), ""
    for _ in range(_CHECKSUM):
        rest, digit = divmod(rest, len(_DIGITS))
        digits = _DIGITS[digit] + digits
    return digits
