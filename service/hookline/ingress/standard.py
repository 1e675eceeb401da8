"""Standard Webhooks: the scheme of the many senders that follow it, with shared keys or with key pairs."""

from __future__ import annotations

import base64
import binascii
import time
from collections.abc import Callable, Iterator, Mapping, Sequence

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from hookline.errors import Rejected
from hookline.ingress.schemes import PROOF, Headers, Received, Scheme, Verified, fingerprint
from hookline.ingress.signatures import CLAIMS, MOMENT, TOLERANCE, check_fresh, digest_of, is_among, seconds_of


class StandardWebhooks(Scheme):
    """Signatures of `<id>.<moment>.<body>`, by https://www.standardwebhooks.com: `v1` of HMACs, `v1a` of ed25519.

    A secret is `whsec_` and the base64 of a key, or `whpk_` and that of the sender's public key, or, to sign with,
    `whsk_` and that of the private one.

    Args:
        family: what its three headers begin with: `webhook`, or `svix`.
        tolerance: seconds that may lie between the sender's clock and ours, either way.
        clock: ours.
    """

    def __init__(
        self, family: str = "webhook", *, tolerance: float = TOLERANCE, clock: Callable[[], float] = time.time
    ) -> None:
        self._id, self._moment, self._header = (f"{family}-{each}" for each in ("id", "timestamp", "signature"))
        self._tolerance = tolerance
        self._clock = clock

    def verify(self, received: Received, secrets: Sequence[bytes]) -> Verified:
        """One of the signatures must be of an active secret."""
        headers = received.headers
        id_, moment, given = (headers.one(name) for name in (self._id, self._moment, self._header))
        if given is None:
            raise Rejected("missing_signature")
        if id_ is None or moment is None or not MOMENT.fullmatch(moment):
            raise Rejected("missing_signed_header")
        claimed = list(_versions(given))
        before = id_ + b"." + moment + b"."
        matching = [secret for secret in secrets if _is_signed(secret, before, received.body, claimed)]
        if not matching:
            raise Rejected("bad_signature")
        check_fresh(seconds_of(moment), self._clock(), self._tolerance)
        return Verified(received, fingerprint(matching[0]), PROOF)

    def sign(self, secret: bytes, body: bytes, headers: Mapping[str, str]) -> dict[str, str]:
        """The moment, and the signature of it, the body and the id that `headers` have."""
        self.check(secret)
        kind, key = _key(secret)
        moment = str(int(self._clock()))
        before = f"{headers[self._id]}.{moment}.".encode("latin-1")
        if kind == b"whsec_":
            signature = b"v1," + base64.b64encode(digest_of(key, "sha256", before, body))
        elif kind == b"whsk_":
            signature = b"v1a," + base64.b64encode(Ed25519PrivateKey.from_private_bytes(key[:32]).sign(before + body))
        else:
            raise ValueError("a public key cannot sign: use the private one, whsk_…")
        return {self._moment: moment, self._header: signature.decode("ascii")}

    def is_present(self, headers: Headers) -> bool:
        """Whether the header is there."""
        return headers.one(self._header) is not None

    def check(self, secret: bytes) -> None:
        """A secret is one of the three kinds."""
        kind, key = _key(secret)
        if not kind or not key or (kind != b"whsec_" and len(key) < 32):
            raise ValueError("a secret is whsec_, or whpk_ for a public key, followed by base64")


def _versions(given: bytes) -> Iterator[tuple[bytes, bytes]]:
    """What is claimed, by version; versions that we do not know are passed over, as the standard asks."""
    for each in given.split(b" ")[:CLAIMS]:
        version, _, written = each.partition(b",")
        if version in (b"v1", b"v1a"):
            try:
                yield version, base64.b64decode(written, validate=True)
            except (binascii.Error, ValueError):
                raise Rejected("malformed_signature") from None


def _key(secret: bytes) -> tuple[bytes, bytes]:
    """The kind of a secret, and the key in it; both empty if it is none."""
    for kind in (b"whsec_", b"whpk_", b"whsk_"):
        if secret.startswith(kind):
            try:
                return kind, base64.b64decode(secret[len(kind) :], validate=True)
            except (binascii.Error, ValueError):
                break
    return b"", b""


def _is_signed(secret: bytes, before: bytes, body: bytes, claimed: Sequence[tuple[bytes, bytes]]) -> bool:
    kind, key = _key(secret)
    if kind == b"whsec_" and key:
        return is_among(digest_of(key, "sha256", before, body), [each for version, each in claimed if version == b"v1"])
    if kind == b"whpk_" and len(key) == 32:
        public = Ed25519PublicKey.from_public_bytes(key)
        return any(_is_by(public, each, before + body) for version, each in claimed if version == b"v1a")
    return False


def _is_by(public: Ed25519PublicKey, signature: bytes, signed: bytes) -> bool:
    try:
        public.verify(signature, signed)
    except InvalidSignature:
        return False
    return True
