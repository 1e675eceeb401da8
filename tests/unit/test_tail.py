"""What a laptop sends on to itself is what came, but for the proof, whoever sent it and however that is proven."""

from __future__ import annotations

import json

import pytest
from tests.senders import PLAIN, SENDERS, STANDARD_SECRET, Sender

from hookline.cli import tail
from hookline.errors import Rejected
from hookline.ingress.examination import examine
from hookline.ingress.parser import find
from hookline.ingress.schemes import Headers, Received, Unsigned
from hookline.ingress.signatures import as_headers
from hookline.ingress.sources import Source

OURS = {PLAIN: b"a secret of this laptop", STANDARD_SECRET: b"whsec_b3VycyBhbmQgbm9ib2R5J3MgZWxzZQ=="}


def kept(sender: Sender, body: bytes) -> list[tuple[str, str]]:
    """The headers that a service has kept of what `sender` sent it."""
    parser = find(sender.parser)
    source = Source(sender.parser, parser, parser.scheme, (sender.secret.encode(),))
    sent = sender.signed("delivery-1", body) | {"Host": "hooks.example.com", "Content-Length": "7", "X-Odd": "\xe9"}
    examined, _ = examine(source, Received(as_headers(sent), body), {})
    assert examined.subject == (sender.key or None)
    told: list[tuple[str, str]] = json.loads(examined.headers)
    return told


@pytest.mark.parametrize("sender", SENDERS, ids=str)
def test_it_is_proven_by_the_secret_here_and_no_other(sender: Sender) -> None:
    parser, body = find(sender.parser), sender.sent
    ours = OURS[sender.secret]
    source = Source(sender.parser, parser, parser.scheme, (ours,))
    headers = Headers(tail._signed(source, kept(sender, body), body))
    verified = parser.scheme.verify(Received(headers, body), [ours])
    with pytest.raises(Rejected):
        parser.scheme.verify(Received(headers, body), [sender.secret.encode()])
    theirs = find(sender.parser).scheme.verify(
        Received(as_headers(sender.signed("delivery-1", body)), body), [sender.secret.encode()]
    )
    assert parser.identify(verified).type == parser.identify(theirs).type
    assert parser.identify(verified).key == parser.identify(theirs).key
    names = [name for name, _ in headers]
    assert len(names) == len(set(names))
    assert (b"x-odd", b"\xe9") in list(headers)
    assert not {b"host", b"content-length"} & set(names)


@pytest.mark.parametrize("theirs", [PLAIN, STANDARD_SECRET])
@pytest.mark.parametrize("ours", OURS.values(), ids=["token", "signature"])
def test_gitlabs_two_ways_to_prove_itself_do_not_get_in_each_others_way(theirs: str, ours: bytes) -> None:
    parser = find("gitlab")
    (body,) = {each.body for each in SENDERS if each.parser == "gitlab" and each.type == "gitlab.push"}
    came = kept(Sender("gitlab", "push", body, "gitlab.push", "mike/diaspora", {}, secret=theirs), body)
    headers = tail._signed(Source("gitlab", parser, parser.scheme, (ours,)), came, body)
    assert parser.scheme.verify(Received(Headers(headers), body), [ours])


def test_a_source_that_asks_for_no_proof_is_given_none_more() -> None:
    parser = find("github")
    came = [("x-github-event", "push"), ("x-hub-signature-256", "sha256=00"), ("cookie", "(not kept)")]
    headers = tail._signed(Source("github", parser, Unsigned(), ()), came, b"")
    assert headers == [(b"x-github-event", b"push"), (b"x-hub-signature-256", b"sha256=00")]
