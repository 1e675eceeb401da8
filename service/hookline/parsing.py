"""Parsing: all that a parser of one's own needs; what stands here stays, whatever moves behind it.

A parser turns what one kind of sender sends into events. It is an object with these members:

- `scheme`: how a delivery proves who sent it, one of those below or several with `AnyOf`;
- `content_types`: the media types that the sender uses;
- `identify(delivery)`: the sender's id of the delivery, and its event type, as an `Identity`;
- `parse(delivery)`: the events, or a `Pong`;
- `headers_for(event, delivery, body)`: what the sender adds, for `hookline send` and for tests.

It is registered under the entry-point group `hookline.parsers`, and held to what is asked of it by
`assert_parser_conforms`.
"""

from hookline.conformance import Sample, assert_parser_conforms
from hookline.errors import Unparseable
from hookline.events import Event, Identity, Pattern, Pong, Trigger
from hookline.ingress.parser import Parser, Welcoming
from hookline.ingress.schemes import AnyOf, Bearer, Headers, Scheme, Token, Verified
from hookline.ingress.signatures import Fresh, Hmac, Stamped
from hookline.ingress.standard import StandardWebhooks

__all__ = [
    "AnyOf",
    "Bearer",
    "Event",
    "Fresh",
    "Headers",
    "Hmac",
    "Identity",
    "Parser",
    "Pattern",
    "Pong",
    "Sample",
    "Scheme",
    "Stamped",
    "StandardWebhooks",
    "Token",
    "Trigger",
    "Unparseable",
    "Verified",
    "Welcoming",
    "assert_parser_conforms",
]
