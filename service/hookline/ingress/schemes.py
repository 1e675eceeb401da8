"""Schemes: how a delivery proves who sent it; only a scheme can make a `Verified` of what was `Received`."""

from __future__ import annotations

import hashlib
import hmac
from abc import abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any, Protocol

from hookline.errors import Rejected

PROOF = object()
"""What only a scheme holds, and what a `Verified` is made with."""


class Headers:
    """The headers of a request, by their name in whatever case.

    Args:
        raw: as ASGI gives them: names in lower case, in the order in which they came.
    """

    __slots__ = ("_last", "_raw")

    def __init__(self, raw: Sequence[tuple[bytes, bytes]]) -> None:
        self._raw = raw
        self._last = dict(raw)

    def __iter__(self) -> Iterator[tuple[bytes, bytes]]:
        return iter(self._raw)

    def all(self, name: str) -> list[bytes]:
        """The values of all headers `name`."""
        wanted = name.lower().encode("latin-1")
        return [value for each, value in self._raw if each == wanted] if wanted in self._last else []

    def one(self, name: str) -> bytes | None:
        """The value of the header `name`, which may come once at most; raises `Rejected` if it comes twice."""
        found = self._last.get(name.lower().encode("latin-1"))
        if found is not None and len(self._last) < len(self._raw) and len(self.all(name)) > 1:
            raise Rejected("duplicate_header")
        return found

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
        if proof is not PROOF:
            raise TypeError("only a scheme makes a Verified")
        self.headers = received.headers
        self.body = received.body
        self.secret = secret
        self.read: Any = None


class Scheme(Protocol):
    """A way to prove who sent a delivery."""

    @abstractmethod
    def verify(self, received: Received, secrets: Sequence[bytes]) -> Verified:
        """`received`, proven by one of `secrets`; raises `Rejected`, and nothing else, whatever came in."""

    @abstractmethod
    def sign(self, secret: bytes, body: bytes, headers: Mapping[str, str]) -> dict[str, str]:
        """The headers by which a sender of `body` and `headers` proves them with `secret`."""

    @abstractmethod
    def is_present(self, headers: Headers) -> bool:
        """Whether the sender claims to prove itself in this way."""

    def check(self, secret: bytes) -> None:
        """Raise `ValueError`, which says what to do, if `secret` can never prove anything."""
        del secret  # most take every one


@lru_cache(maxsize=256)
def fingerprint(secret: bytes) -> str:
    """What tells one active secret from another, and says nothing else of it."""
    return hashlib.sha256(b"hookline secret\0" + secret).hexdigest()[:8]


class Token(Scheme):
    """A secret as it is, in a header.

    Args:
        header: its name.
        kind: the word before it, such as `Bearer`; none unless said otherwise.
    """

    def __init__(self, header: str, *, kind: str = "") -> None:
        self._header = header
        self._kind = kind

    def verify(self, received: Received, secrets: Sequence[bytes]) -> Verified:
        """The token must be one of the active secrets."""
        given = received.headers.one(self._header)
        if given is None:
            raise Rejected("missing_token")
        token = given
        if self._kind:
            kind, _, token = given.partition(b" ")
            token = token.strip()
            if kind.lower() != self._kind.lower().encode() or not token:
                raise Rejected("malformed_token")
        matching = [secret for secret in secrets if hmac.compare_digest(token, secret)]
        if not matching:
            raise Rejected("bad_token")
        return Verified(received, fingerprint(matching[0]), PROOF)

    def sign(self, secret: bytes, body: bytes, headers: Mapping[str, str]) -> dict[str, str]:  # noqa: ARG002 - alone
        """The header that a sender adds."""
        return {self._header: f"{self._kind} {secret.decode('latin-1')}".strip()}

    def is_present(self, headers: Headers) -> bool:
        """Whether the header is there."""
        return headers.one(self._header) is not None


class Bearer(Token):
    """A secret as it is, in `Authorization: Bearer` (RFC 6750)."""

    def __init__(self) -> None:
        super().__init__("Authorization", kind="Bearer")


class AnyOf(Scheme):
    """One of several schemes: the first whose header is there decides, so a bad proof is never passed over."""

    def __init__(self, *schemes: Scheme) -> None:
        self._schemes = schemes

    def verify(self, received: Received, secrets: Sequence[bytes]) -> Verified:
        """As the scheme that the sender claims does."""
        for scheme in self._schemes:
            if scheme.is_present(received.headers):
                return scheme.verify(received, secrets)
        raise Rejected("missing_signature")

    def sign(self, secret: bytes, body: bytes, headers: Mapping[str, str]) -> dict[str, str]:
        """As the first scheme does that `secret` is fit for."""
        for scheme in self._schemes:
            try:
                scheme.check(secret)
            except ValueError:
                continue
            return scheme.sign(secret, body, headers)
        raise ValueError("the secret is fit for none of the ways in which this sender proves itself")

    def is_present(self, headers: Headers) -> bool:
        """Whether any of them is claimed."""
        return any(scheme.is_present(headers) for scheme in self._schemes)


class Kept(Scheme):
    """What was proven when it came, and is kept since.

    Args:
        secret: the fingerprint of the secret that matched then.
    """

    def __init__(self, secret: str) -> None:
        self._secret = secret

    def verify(self, received: Received, secrets: Sequence[bytes]) -> Verified:  # noqa: ARG002 - no more are needed
        """Whatever is kept."""
        return Verified(received, self._secret, PROOF)

    def sign(self, secret: bytes, body: bytes, headers: Mapping[str, str]) -> dict[str, str]:  # noqa: ARG002 - none
        """No headers."""
        return {}

    def is_present(self, headers: Headers) -> bool:  # noqa: ARG002 - nothing to look for
        """Always."""
        return True


class Unsigned(Scheme):
    """No proof at all, for a source that says `unsigned` aloud."""

    def verify(self, received: Received, secrets: Sequence[bytes]) -> Verified:  # noqa: ARG002 - there are none
        """Whatever came."""
        return Verified(received, "", PROOF)

    def sign(self, secret: bytes, body: bytes, headers: Mapping[str, str]) -> dict[str, str]:  # noqa: ARG002 - none
        """No headers."""
        return {}

    def is_present(self, headers: Headers) -> bool:  # noqa: ARG002 - nothing to look for
        """Always."""
        return True
