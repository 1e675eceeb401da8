"""Schemes prove who sent a delivery, and let nothing but `Rejected` out, whatever comes in."""

from __future__ import annotations

import base64
import time
from collections.abc import Callable
from datetime import UTC, datetime

import gidgethub.sansio
import pytest
import standardwebhooks
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from hookline.errors import Rejected
from hookline.ingress.schemes import AnyOf, Bearer, Headers, Received, Scheme, Token, Unsigned, Verified, fingerprint
from hookline.ingress.signatures import TOLERANCE, Fresh, Hmac, Stamped, as_headers
from hookline.ingress.standard import StandardWebhooks
from hookline_parsers import slack, stripe

GITHUB = Hmac("X-Hub-Signature-256", prefix="sha256=")
BASE64 = Hmac("X-Sig", algorithm="sha512", encoding="base64")
SLACK = Hmac("X-Slack-Signature", prefix="v0=", signed="v0:{X-Slack-Request-Timestamp}:{body}")
SEVERAL = Hmac("X-Several", prefix="v1=", separator=",")
SCHEMES: list[Scheme] = [
    GITHUB,
    BASE64,
    SEVERAL,
    Bearer(),
    Token("X-Token"),
    AnyOf(GITHUB, Bearer()),
    Fresh(SLACK, "X-Slack-Request-Timestamp"),
    Fresh(GITHUB, lambda delivery: time.time()),
    Stamped("X-Stamped"),
]
STANDARD = StandardWebhooks()
HEADERS = [
    "x-hub-signature-256", "x-sig", "authorization", "x-several", "x-token", "x-stamped", "x-slack-signature",
    "x-slack-request-timestamp", "webhook-id", "webhook-timestamp", "webhook-signature",
]  # fmt: skip
KEYS = [b"whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", b"whpk_" + base64.b64encode(b"k" * 32), b"whsec_!", b"plain"]


def received(body: bytes, *headers: tuple[str, str | bytes]) -> Received:
    raw = [(k.lower().encode(), v if isinstance(v, bytes) else v.encode("latin-1")) for k, v in headers]
    return Received(Headers(raw), body)


def test_the_vector_in_githubs_documents_verifies() -> None:
    signature = "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"
    secret = b"It's a Secret to Everybody"
    assert GITHUB.sign(secret, b"Hello, World!", {}) == {"X-Hub-Signature-256": signature}
    verified = GITHUB.verify(received(b"Hello, World!", ("x-hub-signature-256", signature)), [secret])
    assert (verified.body, verified.secret) == (b"Hello, World!", fingerprint(secret))


@pytest.mark.parametrize("scheme", SCHEMES, ids=lambda scheme: type(scheme).__name__)
def test_any_active_secret_verifies_and_is_named_by_its_fingerprint(scheme: Scheme) -> None:
    old, new = b"old secret", b"new secret"
    for secret in (old, new):
        delivery = received(b"{}", *scheme.sign(secret, b"{}", {}).items())
        assert scheme.verify(delivery, [old, new]).secret == fingerprint(secret)
        with pytest.raises(Rejected):
            scheme.verify(delivery, [b"other"])
        with pytest.raises(Rejected):
            scheme.verify(delivery, [])


VALUES = [b"sha256=" + b"0" * 64, b"v1,AAAA v1a,AAAA", b"t=1,v1=00", b"v0=" + b"0" * 64, b"Bearer x", b"1", b"9" * 12]


@given(
    st.sampled_from([*SCHEMES, STANDARD]),
    st.lists(st.tuples(st.sampled_from(HEADERS), st.binary(max_size=200) | st.sampled_from(VALUES))),
    st.binary(max_size=100),
    st.lists(st.binary(min_size=1, max_size=30) | st.sampled_from(KEYS), max_size=3),
)
def test_nothing_but_rejected_comes_out_of_arbitrary_bytes(
    scheme: Scheme, headers: list[tuple[str, bytes]], body: bytes, secrets: list[bytes]
) -> None:
    with pytest.raises(Rejected) as caught:
        scheme.verify(received(body, *headers), secrets)
    assert caught.value.reason in (
        "bad_signature", "bad_token", "duplicate_header", "malformed_signature", "malformed_timestamp",
        "malformed_token", "missing_signature", "missing_signed_header", "missing_timestamp", "missing_token",
        "stale_signature",
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


def test_the_vector_in_slacks_documents_verifies() -> None:
    body = (
        b"token=xyzz0WbapA4vBCDEFasx0q6G&team_id=T1DC2JH3J&team_domain=testteamnow&channel_id=G8PSS9T3V&channel_name="
        b"foobar&user_id=U2CERLKJA&user_name=roadrunner&command=%2Fwebhook-collect&text=&response_url=https%3A%2F%2F"
        b"hooks.slack.com%2Fcommands%2FT1DC2JH3J%2F397700885554%2F96rGlfmibIGlgcZRskXaIFfN&trigger_id=398738663015."
        b"47445629121.803a0bc887a14d10d2c447fce8b6703c"
    )
    signature = "v0=a2114d57b48eac39b9ad189dd8316235a7b4a8d21a10bd27519666489c69b503"
    delivery = received(body, ("X-Slack-Signature", signature), ("X-Slack-Request-Timestamp", "1531420618"))
    secret = b"8f742231b10e8888abcd99yyyzzz85a5"
    scheme = Fresh(SLACK, "X-Slack-Request-Timestamp", clock=lambda: 1531420618.0)
    assert scheme.verify(delivery, [secret]).body == body
    with pytest.raises(Rejected, match="stale_signature"):
        slack.parser.scheme.verify(delivery, [secret])


def test_the_vector_of_standard_webhooks_verifies() -> None:
    body = b'{"test": 2432232314}'
    headers = {
        "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
        "webhook-timestamp": "1614265330",
        "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE= v2,other",
    }
    scheme = StandardWebhooks(clock=lambda: 1614265330.0)
    scheme.verify(Received(as_headers(headers), body), [b"whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"])


@pytest.mark.parametrize("body", [b"{}", b'{"a": "\xc3\xa9"}', b" " * 1000 + b"1"])
def test_what_we_sign_the_libraries_of_others_verify(body: bytes) -> None:
    secret = KEYS[0]
    sent = STANDARD.sign(secret, body, {"webhook-id": "msg_1"})
    standardwebhooks.Webhook(secret.decode()).verify(body, {"webhook-id": "msg_1", **sent})
    gidgethub.sansio.validate_event(body, signature=GITHUB.sign(b"s", body, {})["X-Hub-Signature-256"], secret="s")


@pytest.mark.parametrize("body", [b"{}", b'{"a": "\xc3\xa9"}'])
def test_what_others_libraries_sign_we_verify(body: bytes) -> None:
    signature = standardwebhooks.Webhook(KEYS[0].decode()).sign("msg_1", datetime.now(UTC), body.decode())
    stamp = str(int(time.time()))
    headers = {"webhook-id": "msg_1", "webhook-timestamp": stamp, "webhook-signature": signature}
    STANDARD.verify(Received(as_headers(headers), body), [KEYS[0]])


def test_an_ed25519_signature_is_of_the_senders_private_key() -> None:
    private = Ed25519PrivateKey.generate()
    public = b"whpk_" + base64.b64encode(private.public_key().public_bytes_raw())
    secret = b"whsk_" + base64.b64encode(private.private_bytes_raw())
    sent = {"webhook-id": "m", **STANDARD.sign(secret, b"{}", {"webhook-id": "m"})}
    assert sent["webhook-signature"].startswith("v1a,")
    assert STANDARD.verify(Received(as_headers(sent), b"{}"), [KEYS[0], public]).secret == fingerprint(public)
    with pytest.raises(Rejected, match="bad_signature"):
        STANDARD.verify(Received(as_headers(sent), b"{} "), [public])
    with pytest.raises(ValueError, match="a public key cannot sign"):
        STANDARD.sign(public, b"{}", {"webhook-id": "m"})


@pytest.mark.parametrize("secret", [b"plain", b"whsec_", b"whsec_!", b"whpk_AAAA"])
def test_a_secret_that_can_prove_nothing_says_what_one_is(secret: bytes) -> None:
    with pytest.raises(ValueError, match="a secret is whsec_"):
        STANDARD.check(secret)
    with pytest.raises(Rejected):
        STANDARD.verify(received(b"{}", ("webhook-signature", "v1,AAAA")), [secret])


@pytest.mark.parametrize(
    "make",
    [
        lambda clock: Stamped("X-Stamped", clock=clock),
        lambda clock: Fresh(SLACK, "X-Slack-Request-Timestamp", clock=clock),
        lambda clock: StandardWebhooks(clock=clock),
    ],
)
def test_a_clock_may_be_off_by_the_tolerance_either_way_and_no_more(
    make: Callable[[Callable[[], float]], Scheme],
) -> None:
    now = 1_700_000_000.0
    for off, fits in ((-TOLERANCE, True), (TOLERANCE, True), (-TOLERANCE - 1, False), (TOLERANCE + 1, False)):
        headers = {"webhook-id": "m"}
        sent = headers | make(lambda off=off: now + off).sign(KEYS[0], b"{}", headers)  # type: ignore[misc]
        delivery = Received(as_headers(sent), b"{}")
        if fits:
            make(lambda: now).verify(delivery, [KEYS[0]])
        else:
            with pytest.raises(Rejected, match="stale_signature"):
                make(lambda: now).verify(delivery, [KEYS[0]])


def test_one_of_several_signatures_is_enough() -> None:
    old, new = (SEVERAL.sign(secret, b"{}", {})["X-Several"] for secret in (b"old", b"new"))
    assert SEVERAL.verify(received(b"{}", ("X-Several", f"{old}, {new}")), [b"new"]).secret == fingerprint(b"new")
    rolled = stripe.parser.scheme.sign(b"new", b"{}", {})["Stripe-Signature"]
    moment, _, digest = rolled.partition(",")
    delivery = received(b"{}", ("Stripe-Signature", f"{moment},v1={'0' * 64},{digest},v0=ignored"))
    assert stripe.parser.scheme.verify(delivery, [b"new"]).secret == fingerprint(b"new")
