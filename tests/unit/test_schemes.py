"""Schemes prove who sent a delivery, and let nothing but `Rejected` out, whatever comes in."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hookline.errors import Rejected
from hookline.ingress.schemes import AnyOf, Bearer, Headers, Hmac, Received, Scheme, Unsigned, Verified, fingerprint

GITHUB = Hmac("X-Hub-Signature-256", prefix="sha256=")
BASE64 = Hmac("X-Sig", algorithm="sha512", encoding="base64")
SCHEMES: list[Scheme] = [GITHUB, BASE64, Bearer(), AnyOf(GITHUB, Bearer())]


def received(body: bytes, *headers: tuple[str, str | bytes]) -> Received:
    raw = [(k.lower().encode(), v if isinstance(v, bytes) else v.encode("latin-1")) for k, v in headers]
    return Received(Headers(raw), body)


def test_the_vector_in_githubs_documents_verifies() -> None:
    signature = "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"
    secret = b"It's a Secret to Everybody"
    assert GITHUB.sign(secret, b"Hello, World!") == {"X-Hub-Signature-256": signature}
    verified = GITHUB.verify(received(b"Hello, World!", ("x-hub-signature-256", signature)), [secret])
    assert (verified.body, verified.secret) == (b"Hello, World!", fingerprint(secret))


@pytest.mark.parametrize("scheme", SCHEMES, ids=lambda scheme: type(scheme).__name__)
def test_any_active_secret_verifies_and_is_named_by_its_fingerprint(scheme: Scheme) -> None:
    old, new = b"old secret", b"new secret"
    for secret in (old, new):
        delivery = received(b"{}", *scheme.sign(secret, b"{}").items())
        assert scheme.verify(delivery, [old, new]).secret == fingerprint(secret)
        with pytest.raises(Rejected):
            scheme.verify(delivery, [b"other"])
        with pytest.raises(Rejected):
            scheme.verify(delivery, [])


@given(
    st.sampled_from(SCHEMES),
    st.lists(st.tuples(st.sampled_from(["x-hub-signature-256", "x-sig", "authorization"]), st.binary(max_size=200))),
    st.binary(max_size=100),
    st.lists(st.binary(min_size=1, max_size=30), max_size=3),
)
def test_nothing_but_rejected_comes_out_of_arbitrary_bytes(
    scheme: Scheme, headers: list[tuple[str, bytes]], body: bytes, secrets: list[bytes]
) -> None:
    with pytest.raises(Rejected) as caught:
        scheme.verify(received(body, *headers), secrets)
    assert caught.value.reason in (
        "bad_signature", "bad_token", "duplicate_header", "malformed_signature", "malformed_token", "missing_signature",
        "missing_token",
    )  # fmt: skip


def test_a_bad_signature_is_not_passed_over_for_a_good_token() -> None:
    scheme = AnyOf(GITHUB, Bearer())
    delivery = received(b"{}", ("X-Hub-Signature-256", "sha256=" + "0" * 64), ("Authorization", "Bearer s"))
    with pytest.raises(Rejected, match="bad_signature"):
        scheme.verify(delivery, [b"s"])


def test_only_a_scheme_makes_a_verified() -> None:
    with pytest.raises(TypeError):
        Verified(received(b"{}"), "", object())
    assert Unsigned().verify(received(b"{}"), []).body == b"{}"
