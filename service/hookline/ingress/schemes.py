"""Schemes: how a delivery proves who sent it; only a scheme can make a `Verified` of what was `Received`."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from collections.abc import Iterator, Sequence
from typing import Any, Literal, Protocol

from hookline.errors import Rejected

_PROOF = object()


class Headers:
    """The headers of a request, by their name in whatever case.

    Args:
        raw: as ASGI gives them: names in lower case, in the order in which they came.
    """

    __slots__ = ("_found", "_raw")

    def __init__(self, raw: Sequence[tuple[bytes, bytes]]) -> None:
        self._raw = raw
        self._found: dict[str, list[bytes]] = {}
        for name, value in raw:
            self._found.setdefault(name.decode("latin-1"), []).append(value)

    def __iter__(self) -> Iterator[tuple[bytes, bytes]]:
        return iter(self._raw)

    def one(self, name: str) -> bytes | None:
        """The value of the header `name`, which may come once at most; raises `Rejected` if it comes twice."""
        found = self._found.get(name.lower())
        if found is None:
            return None
        if len(found) > 1:
            raise Rejected("duplicate_header")
        return found[0]

    def text(self, name: str) -> str | None:
        """The value of the header `name` as text, if it comes; raises `Rejected` if it comes twice."""
        value = self.one(name)
        return None if value is None else value.decode("latin-1")


class Received:
    """What came in, by whoever sent it."""

    __slots__ = ("body", "headers")

    def __init__(self, headers: Headers, body: bytes) -> None:
        self.headers = headers
        self.body = body


class Verified:
    """A delivery that its scheme found authentic.

    A parser is given nothing else, so it cannot be made to look at what nobody has verified. A test makes one
    by verifying: `Unsigned().verify(Received(headers, body), ())`.

    Attributes:
        secret: the fingerprint of the secret that matched; empty if there is none.
        read: where a parser may keep what it has read, from `identify` to `parse`.
    """

    __slots__ = ("body", "headers", "read", "secret")

    def __init__(self, received: Received, secret: str, proof: object) -> None:
        if proof is not _PROOF:
            raise TypeError("only a scheme makes a Verified")
        self.headers = received.headers
        self.body = received.body
        self.secret = secret
        self.read: Any = None


class Scheme(Protocol):
    """A way to prove who sent a delivery."""

    def verify(self, received: Received, secrets: Sequence[bytes]) -> Verified:
        """`received`, proven by one of `secrets`; raises `Rejected`, and nothing else, whatever came in."""

    def sign(self, secret: bytes, body: bytes) -> dict[str, str]:
        """The headers by which a sender proves `body` with `secret`."""

    def is_present(self, headers: Headers) -> bool:
        """Whether the sender claims to prove itself in this way."""


def fingerprint(secret: bytes) -> str:
    """What tells one active secret from another, and says nothing else of it."""
    return hashlib.sha256(b"hookline secret\0" + secret).hexdigest()[:8]


class Hmac:
    """An HMAC of the body, in a header.

    Args:
        header: its name.
        prefix: what its value begins with, such as `sha256=`.
        algorithm: the hash function.
        encoding: how the digest is written.
    """

    def __init__(
        self,
        header: str,
        *,
        prefix: str = "",
        algorithm: Literal["sha256", "sha512"] = "sha256",
        encoding: Literal["hex", "base64"] = "hex",
    ) -> None:
        self._header = header
        self._prefix = prefix.encode("ascii")
        self._algorithm = algorithm
        self._encoding = encoding

    def verify(self, received: Received, secrets: Sequence[bytes]) -> Verified:
        """Every active secret is tried, whichever matches, so that the time tells nothing of which it was."""
        given = received.headers.one(self._header)
        if given is None:
            raise Rejected("missing_signature")
        claimed = self._decoded(given)
        matching = [
            secret
            for secret in secrets
            if hmac.compare_digest(hmac.digest(secret, received.body, self._algorithm), claimed)
        ]
        if not matching:
            raise Rejected("bad_signature")
        return Verified(received, fingerprint(matching[0]), _PROOF)

    def sign(self, secret: bytes, body: bytes) -> dict[str, str]:
        """The header that a sender adds."""
        digest = hmac.digest(secret, body, self._algorithm)
        written = binascii.hexlify(digest) if self._encoding == "hex" else base64.b64encode(digest)
        return {self._header: (self._prefix + written).decode("ascii")}

    def is_present(self, headers: Headers) -> bool:
        """Whether the header is there."""
        return headers.one(self._header) is not None

    def _decoded(self, given: bytes) -> bytes:
        if not given.startswith(self._prefix):
            raise Rejected("malformed_signature")
        written = given[len(self._prefix) :]
        try:
            digest = (
                binascii.unhexlify(written) if self._encoding == "hex" else base64.b64decode(written, validate=True)
            )
        except (binascii.Error, ValueError):
            raise Rejected("malformed_signature") from None
        if len(digest) != hashlib.new(self._algorithm).digest_size:
            raise Rejected("malformed_signature")
        return digest


class Bearer:
    """A secret as it is, in `Authorization: Bearer` (RFC 6750)."""

    def verify(self, received: Received, secrets: Sequence[bytes]) -> Verified:
        """The token must be one of the active secrets."""
        given = received.headers.one("authorization")
        if given is None:
            raise Rejected("missing_token")
        kind, _, token = given.partition(b" ")
        token = token.strip()
        if kind.lower() != b"bearer" or not token:
            raise Rejected("malformed_token")
        matching = [secret for secret in secrets if hmac.compare_digest(token, secret)]
        if not matching:
            raise Rejected("bad_token")
        return Verified(received, fingerprint(matching[0]), _PROOF)

    def sign(self, secret: bytes, body: bytes) -> dict[str, str]:  # noqa: ARG002 - the body is not signed
        """The header that a sender adds."""
        return {"Authorization": f"Bearer {secret.decode('latin-1')}"}

    def is_present(self, headers: Headers) -> bool:
        """Whether the header is there."""
        return headers.one("authorization") is not None


class AnyOf:
    """One of several schemes: the first whose header is there decides, so a bad proof is never passed over."""

    def __init__(self, *schemes: Scheme) -> None:
        self._schemes = schemes

    def verify(self, received: Received, secrets: Sequence[bytes]) -> Verified:
        """As the scheme that the sender claims does."""
        for scheme in self._schemes:
            if scheme.is_present(received.headers):
                return scheme.verify(received, secrets)
        raise Rejected("missing_signature")

    def sign(self, secret: bytes, body: bytes) -> dict[str, str]:
        """As the first scheme does."""
        return self._schemes[0].sign(secret, body)

    def is_present(self, headers: Headers) -> bool:
        """Whether any of them is claimed."""
        return any(scheme.is_present(headers) for scheme in self._schemes)


class Unsigned:
    """No proof at all, for a source that says `unsigned` aloud."""

    def verify(self, received: Received, secrets: Sequence[bytes]) -> Verified:  # noqa: ARG002 - there are none
        """Whatever came."""
        return Verified(received, "", _PROOF)

    def sign(self, secret: bytes, body: bytes) -> dict[str, str]:  # noqa: ARG002 - there is nothing to add
        """No headers."""
        return {}

    def is_present(self, headers: Headers) -> bool:  # noqa: ARG002 - nothing to look for
        """Always."""
        return True
