"""Signatures: the schemes by which senders sign what they send, and when they sent it."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Literal

from hookline.errors import Rejected
from hookline.ingress.schemes import PROOF, Headers, Received, Scheme, Verified, fingerprint

TOLERANCE = 300.0
"""Seconds that a sender's clock may be before or behind ours, and that a delivery may take."""

MOMENT = re.compile(rb"[0-9]{1,12}")
CLAIMS = 16
"""Signatures of one delivery that are looked at, at most."""


class Hmac(Scheme):
    """An HMAC, in a header.

    Args:
        header: its name.
        prefix: what its value begins with, such as `sha256=`.
        separator: what stands between several signatures, of which one must match; else there is one.
        algorithm: the hash function.
        encoding: how the digest is written.
        signed: what is signed: `{body}`, and headers by their names, as in `v0:{X-Slack-Request-Timestamp}:{body}`.
    """

    def __init__(
        self,
        header: str,
        *,
        prefix: str = "",
        separator: str | None = None,
        algorithm: Literal["sha256", "sha512"] = "sha256",
        encoding: Literal["hex", "base64"] = "hex",
        signed: str = "{body}",
    ) -> None:
        self._header = header
        self._prefix = prefix.encode("ascii")
        self._separator = None if separator is None else separator.encode("ascii")
        self._algorithm = algorithm
        self._encoding = encoding
        self._size = hashlib.new(algorithm).digest_size
        self._before, _, self._after = signed.partition("{body}")
        self._named = re.findall(r"{([^}]+)}", self._before + self._after)

    def verify(self, received: Received, secrets: Sequence[bytes]) -> Verified:
        """Every active secret is tried, whichever matches, so that the time tells nothing of which it was."""
        given = received.headers.one(self._header)
        if given is None:
            raise Rejected("missing_signature")
        claimed = [self._decoded(each) for each in self._separated(given)]
        before, after = self._around(received.headers)
        matching = [
            secret
            for secret in secrets
            if is_among(digest_of(secret, self._algorithm, before, received.body, after), claimed)
        ]
        if not matching:
            raise Rejected("bad_signature")
        return Verified(received, fingerprint(matching[0]), PROOF)

    def sign(self, secret: bytes, body: bytes, headers: Mapping[str, str]) -> dict[str, str]:
        """The header that a sender adds."""
        before, after = self._around(as_headers(headers))
        digest = digest_of(secret, self._algorithm, before, body, after)
        written = binascii.hexlify(digest) if self._encoding == "hex" else base64.b64encode(digest)
        return {self._header: (self._prefix + written).decode("ascii")}

    def is_present(self, headers: Headers) -> bool:
        """Whether the header is there."""
        return headers.one(self._header) is not None

    def _separated(self, given: bytes) -> list[bytes]:
        if self._separator is None:
            return [given]
        return [each.strip() for each in given.split(self._separator)[:CLAIMS]]

    def _around(self, headers: Headers) -> tuple[bytes, bytes]:
        """What is signed before the body, and after it."""
        if not self._named:
            return self._before.encode("ascii"), self._after.encode("ascii")
        before, after = self._before, self._after
        for name in self._named:
            value = headers.text(name)
            if value is None:
                raise Rejected("missing_signed_header")
            before, after = before.replace(f"{{{name}}}", value), after.replace(f"{{{name}}}", value)
        return before.encode("latin-1"), after.encode("latin-1")

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
        if len(digest) != self._size:
            raise Rejected("malformed_signature")
        return digest


class Fresh(Scheme):
    """What `scheme` proves, if it was sent just now.

    Args:
        moment: the header that tells when that was, in seconds since the epoch, or what reads it from a delivery.
        tolerance: seconds that may lie between the sender's clock and ours, either way.
        clock: ours.
    """

    def __init__(
        self,
        scheme: Scheme,
        moment: str | Callable[[Verified], float],
        *,
        tolerance: float = TOLERANCE,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._scheme = scheme
        self._moment = moment
        self._tolerance = tolerance
        self._clock = clock

    def verify(self, received: Received, secrets: Sequence[bytes]) -> Verified:
        """The signature first: nobody unknown is told anything of our clock."""
        verified = self._scheme.verify(received, secrets)
        if callable(self._moment):
            moment = self._moment(verified)
        else:
            moment = seconds_of(received.headers.one(self._moment))
        check_fresh(moment, self._clock(), self._tolerance)
        return verified

    def sign(self, secret: bytes, body: bytes, headers: Mapping[str, str]) -> dict[str, str]:
        """The moment, where it is a header, and what the scheme makes of it; a body tells its own."""
        if callable(self._moment):
            return self._scheme.sign(secret, body, headers)
        told = {self._moment: str(int(self._clock()))}
        others = {name: value for name, value in headers.items() if name.lower() != self._moment.lower()}
        return told | self._scheme.sign(secret, body, others | told)

    def is_present(self, headers: Headers) -> bool:
        """As the scheme."""
        return self._scheme.is_present(headers)

    def check(self, secret: bytes) -> None:
        """As the scheme."""
        self._scheme.check(secret)


class Stamped(Scheme):
    """An HMAC-SHA256 of `<moment>.<body>`, in one header with its moment: `t=1492774577,v1=5257a8…,v1=…`.

    Args:
        header: its name.
        stamp: the name before the moment, in seconds since the epoch.
        signature: the name before each signature, in hexadecimal; others are of no meaning.
        tolerance: seconds that may lie between the sender's clock and ours, either way.
        clock: ours.
    """

    def __init__(
        self,
        header: str,
        *,
        stamp: str = "t",
        signature: str = "v1",
        tolerance: float = TOLERANCE,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._header = header
        self._stamp = stamp.encode("ascii")
        self._signature = signature.encode("ascii")
        self._tolerance = tolerance
        self._clock = clock

    def verify(self, received: Received, secrets: Sequence[bytes]) -> Verified:
        """One of the signatures must be of an active secret."""
        given = received.headers.one(self._header)
        if given is None:
            raise Rejected("missing_signature")
        pairs = [each.strip().partition(b"=")[::2] for each in given.split(b",")[:CLAIMS]]
        moments = [value for name, value in pairs if name == self._stamp]
        if len(moments) != 1 or not MOMENT.fullmatch(moments[0]):
            raise Rejected("malformed_signature")
        claimed = [_unhexlified(value) for name, value in pairs if name == self._signature]
        matching = [
            secret
            for secret in secrets
            if is_among(digest_of(secret, "sha256", moments[0] + b".", received.body), claimed)
        ]
        if not matching:
            raise Rejected("bad_signature")
        check_fresh(seconds_of(moments[0]), self._clock(), self._tolerance)
        return Verified(received, fingerprint(matching[0]), PROOF)

    def sign(self, secret: bytes, body: bytes, headers: Mapping[str, str]) -> dict[str, str]:  # noqa: ARG002 - unsigned
        """The header that a sender adds, of this moment."""
        moment = str(int(self._clock()))
        digest = digest_of(secret, "sha256", f"{moment}.".encode(), body).hex()
        return {self._header: f"{self._stamp.decode()}={moment},{self._signature.decode()}={digest}"}

    def is_present(self, headers: Headers) -> bool:
        """Whether the header is there."""
        return headers.one(self._header) is not None


def as_headers(given: Mapping[str, str]) -> Headers:
    """`given` as they come in over HTTP."""
    return Headers([(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in given.items()])


def digest_of(secret: bytes, algorithm: str, before: bytes, body: bytes, after: bytes = b"") -> bytes:
    """The HMAC of `body`, and of what is signed before and after it."""
    if not before and not after:
        return hmac.digest(secret, body, algorithm)
    running = hmac.new(secret, before, algorithm)
    running.update(body)
    running.update(after)
    return running.digest()


def is_among(digest: bytes, claimed: Sequence[bytes]) -> bool:
    """Whether `digest` is one of those that are claimed, in constant time."""
    return any([hmac.compare_digest(digest, each) for each in claimed])  # noqa: C419 - all are compared, for the time


def _unhexlified(written: bytes) -> bytes:
    try:
        return binascii.unhexlify(written)
    except (binascii.Error, ValueError):
        raise Rejected("malformed_signature") from None


def seconds_of(given: bytes | None) -> float:
    """The moment that is `given`, in seconds since the epoch; raises `Rejected`."""
    if given is None:
        raise Rejected("missing_timestamp")
    if not MOMENT.fullmatch(given):
        raise Rejected("malformed_timestamp")
    return float(given)


def check_fresh(moment: float, now: float, tolerance: float) -> None:
    """Return if `moment` is within `tolerance` seconds of `now`; raises `Rejected`."""
    if not abs(now - moment) <= tolerance:
        raise Rejected("stale_signature")
