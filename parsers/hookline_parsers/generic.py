"""Generic: any script that knows a secret asks for one run of a named job."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

import msgspec

from hookline.errors import Unparseable
from hookline.events import Identity, Trigger
from hookline.ingress.schemes import AnyOf, Bearer, Verified
from hookline.ingress.signatures import Hmac

KEY = re.compile(r"[!-~]{1,200}")


class _Body(msgspec.Struct, forbid_unknown_fields=True):
    job: str
    scope: str | None = None
    input: Any = None
    priority: int = 0
    delay: float = 0.0
    idempotency_key: str | None = None


_body = msgspec.json.Decoder(_Body)


class Generic:
    """The parser of `{"job", "scope", "input", "priority", "delay", "idempotency_key"}`.

    The sender proves itself with `X-Hookline-Signature: sha256=<hex HMAC of the body>`, or with the secret itself
    as a bearer token. With an `Idempotency-Key` header the same request may be sent again; without one, each
    request is a new delivery.
    """

    scheme = AnyOf(Hmac("X-Hookline-Signature", prefix="sha256="), Bearer())
    content_types = frozenset({"application/json"})

    def identify(self, delivery: Verified) -> Identity:
        """The key is the `Idempotency-Key`, if there is one."""
        key = delivery.headers.text("Idempotency-Key")
        if key is not None and not KEY.fullmatch(key):
            raise Unparseable("the Idempotency-Key is 1 to 200 printable ASCII characters")
        return Identity(key or "", "generic.trigger")

    def parse(self, delivery: Verified) -> Iterable[Trigger]:
        """One trigger."""
        try:
            body = _body.decode(delivery.body)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            raise Unparseable(f"the body does not ask for a run: {str(error)[:200]}") from None
        return [Trigger(body.job, body.input, body.scope, body.priority, body.delay, body.idempotency_key)]

    def headers_for(self, event: str, delivery: str, body: bytes) -> dict[str, str]:  # noqa: ARG002 - has one event
        """The delivery's id as the key under which it may be sent again."""
        return {"Content-Type": "application/json", "Idempotency-Key": delivery}


parser = Generic()
