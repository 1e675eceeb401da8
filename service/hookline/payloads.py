"""Payloads: in which form they rest in Postgres, and how much of them those are shown who look."""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import Callable
from typing import Any, Final

from msgspec import Struct

from hookline.codec import Unopened
from hookline.errors import Unsealable
from hookline.packing import packed, unpacked
from hookline.redaction import HIDDEN, Redactor
from hookline.sealing import Seal
from hookline.settings import Settings

MARK: Final = b'"hookline:1:'
"""What sealed JSON begins with: it is a text, `"hookline:1:KEY:BASE64"`. Of a plain value nothing of ours begins so."""

HEAD: Final = b"\xff\x00hkln\r\n"
"""What bytes begin with that are not what they seem; what they are, the byte behind it says."""

ESCAPED, SEALED, WHOLE, CUT, TOO_LARGE, PACKED, BEGUN = range(7)
"""Plain bytes that begin like these; sealed ones; of JSON that is shown all, its beginning, nothing; then packed bytes,
and their beginning."""

_DIGEST = slice(len(HEAD) + 1, len(HEAD) + 33)
_SEALED_BODY, _PACKED_BODY = HEAD + bytes([SEALED]), HEAD + bytes([PACKED])
_SEALED_ONES = (_SEALED_BODY, HEAD + bytes([WHOLE]) + MARK, HEAD + bytes([TOO_LARGE]))

WITHHELD: Final = b'"[encrypted]"'
_LARGE: Final = b'"[encrypted, and larger than a page shows]"'

LEAST = 1000
"""Bytes of a body from which on it is packed: smaller ones stand beside the rest of their row in any case."""

_JSON, _BODY = "payload json", "payload body"

Codec = Callable[[Any], Any]


def is_sealed(stored: bytes) -> bool:
    """Whether a body rests sealed."""
    return stored.startswith(_SEALED_BODY)


def digests(raw: bytes) -> tuple[bytes, bytes]:
    """The SHA-256 of a body, and of what it is packed to: by which it is found, however it rests.

    To pack the same differently, which another version of LZ4 may do, is no proof that it is not the same.
    """
    whole = hashlib.sha256(raw).digest()
    small = packed(raw) if len(raw) >= LEAST else None
    return whole, whole if small is None else hashlib.sha256(small).digest()


class Body:
    """Bytes that a sender sent, to be stored.

    Args:
        raw: as they came.
        rest: as they are stored, if that is known already.
    """

    __slots__ = ("raw", "rest")

    def __init__(self, raw: bytes, rest: bytes | None = None) -> None:
        self.raw = raw
        self.rest = rest


class Plain(bytes):
    """JSON that SQL looks into, in which there is no payload: it is never sealed."""


class Payloads(Struct, frozen=True):
    """How payloads rest, and are shown.

    Args:
        seal: by which keys.
        sealing: whether they rest sealed; those that are, are opened in any case.
        redactor: what of them nobody is shown.
    """

    seal: Seal
    sealing: bool
    redactor: Redactor

    @classmethod
    def of(cls, settings: Settings) -> Payloads:
        """As `settings` say."""
        keys = [each.get_secret_value() for each in settings.encryption_keys]
        return cls(Seal(keys), settings.encrypt_payloads, Redactor(settings.redact))

    @property
    def are_guarded(self) -> bool:
        """Whether what is shown of them may be less than what there is."""
        return bool(self.sealing or self.seal or self.redactor)

    # Written

    def json_at_rest(self, value: Any) -> bytes:
        """JSON as it is stored."""
        if not self.sealing and type(value) is bytes and not value.startswith(MARK):
            return value
        if type(value) is Unopened:
            return value.sealed
        if not self.sealing or type(value) is Plain:
            return b" " + value if value[: len(MARK)] == MARK else bytes(value)
        sealed = self.seal.seal(value, _JSON)
        return b'%b%b:%b"' % (MARK, self.seal.id.encode(), base64.b64encode(sealed))

    def bytes_at_rest(self, value: Any) -> Any:
        """Bytes as they are stored: of a `Body` what becomes of it, others as they are."""
        if type(value) is Body:
            return self.body_at_rest(value.raw) if value.rest is None else value.rest
        return value.sealed if type(value) is Unopened else value

    def body_at_rest(self, raw: bytes) -> bytes:
        """A body as it is stored: sealed with its SHA-256, by which it is compared, or packed, or else as it came."""
        if type(raw) is Unopened:
            return raw.sealed
        if self.sealing:
            return b"".join((_SEALED_BODY, hashlib.sha256(raw).digest(), self.seal.seal(raw, _BODY)))
        if len(raw) >= LEAST and (small := packed(raw)) is not None:
            return _PACKED_BODY + small
        return HEAD + bytes([ESCAPED]) + raw if raw.startswith(HEAD) else raw

    # Read by what works with them

    def opened_json(self, stored: bytes) -> bytes:
        """JSON as it was; `Unopened` if its key is not there."""
        if not stored.startswith(MARK):
            return stored
        try:
            sealed = base64.b64decode(stored[len(MARK) + 9 : -1], validate=True)
            return self.seal.open(sealed, _JSON)
        except Unsealable as error:
            return Unopened(stored, str(error))
        except binascii.Error:
            return Unopened(stored, "it is not what was sealed here")

    def opened_bytes(self, stored: bytes) -> bytes:
        """Bytes as they were; `Unopened` if their key is not there."""
        if not stored.startswith(HEAD):
            return stored
        match stored[len(HEAD)]:
            case 1:
                try:
                    return self.seal.open(stored[_DIGEST.stop :], _BODY)
                except Unsealable as error:
                    return Unopened(stored, str(error))
            case 2:
                return self.opened_json(stored[len(HEAD) + 1 :])
            case 4:
                return _LARGE
            case 5 | 6:
                return unpacked(stored[len(HEAD) + 1 :])
            case _:
                return stored[len(HEAD) + 1 :]

    # Shown to those who may see them, and to the others

    def shown_json(self, stored: bytes) -> bytes:
        """JSON without what is redacted."""
        return self.redacted_json(self.opened_json(stored))

    def redacted_json(self, opened: bytes) -> bytes:
        """The same of what was opened."""
        return self.redactor.json(opened) if self.redactor and type(opened) is not Unopened else opened

    def redacted_body(self, opened: bytes) -> bytes:
        """A body that was opened, without what is redacted."""
        return self.redactor.body(opened) if self.redactor and type(opened) is not Unopened else opened

    def shown_bytes(self, stored: bytes) -> bytes:
        """Bytes without what is redacted; of what was cut nobody knows where it would be."""
        opened = self.opened_bytes(stored)
        kind = stored[len(HEAD)] if stored.startswith(HEAD) else ESCAPED
        if kind in (CUT, BEGUN) and self.redactor:
            return HIDDEN
        return self.redacted_json(opened) if kind in (WHOLE, TOO_LARGE) else self.redacted_body(opened)

    def withheld_json(self, stored: bytes) -> bytes:
        """Nothing of JSON, if payloads are sealed, or this one is."""
        return WITHHELD if self.sealing or stored.startswith(MARK) else self.shown_json(stored)

    def withheld_bytes(self, stored: bytes) -> bytes:
        """Nothing of bytes, if payloads are sealed, or these are."""
        return WITHHELD if self.sealing or stored.startswith(_SEALED_ONES) else self.shown_bytes(stored)


OPEN = Payloads(Seal(()), False, Redactor(()))
"""Of those who have no keys, and hide nothing."""
