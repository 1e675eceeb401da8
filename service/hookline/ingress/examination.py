"""The examination: what a delivery is and what it starts, decided purely; nothing is written."""

from __future__ import annotations

import dataclasses
import hashlib
import re
from collections.abc import Mapping

import asyncpg
import msgspec

from hookline import codec, telemetry
from hookline.codec import check_open, uuid7
from hookline.errors import Rejected, Unparseable
from hookline.events import Event, Pong, is_or_under
from hookline.ingress import bindings
from hookline.ingress.parser import named, typed
from hookline.ingress.schemes import Headers, Kept, Received, Verified
from hookline.ingress.sources import Source
from hookline.jobs.job import Job
from hookline.store.delivery import NewDelivery, Status

CREDENTIALS = frozenset({b"authorization", b"cookie", b"proxy-authorization", b"x-gitlab-token"})
"""Headers of which a delivery keeps only that they were there."""

DIGEST = re.compile("sha256:[0-9a-f]{64}")
"""What is the key of a delivery that its parser could not identify."""

NOTHING = bindings.Bound((), ())

PING = "a ping, which is answered and starts nothing"


def examine(source: Source, received: Received, jobs: Mapping[str, Job]) -> tuple[NewDelivery, Pong | None]:
    """What `received` is and what it starts, and how it is answered if it is a mere ping; nothing is written.

    Raises:
        Rejected: it is not authentic.
    """
    verified = source.scheme.verify(received, source.secrets)
    id_ = uuid7()
    identity = None
    status: Status = "quarantined"
    bound = NOTHING
    events: tuple[Event, ...] = ()
    subject: str | None = None
    told: tuple[bytes, ...] | None = None
    reason: str | None = None
    pong: Pong | None = None
    try:
        identity = named(source.parser.identify(verified))
        parsed = source.parser.parse(verified)
        pong = parsed if isinstance(parsed, Pong) else None
        told_of = () if isinstance(parsed, Pong) else parsed
        happened = tuple(typed(each) if isinstance(each, Event) else each for each in told_of)
        subject = bindings.subject(happened)
        bound = bindings.bind(happened, jobs, id_, verified.body)
        reason = PING if pong else bound.problem
        if bound.problem is None:
            events = tuple(each for each in happened if isinstance(each, Event))
            told = bindings.envelopes(events, verified.body)
            status = "accepted" if bound.runs else "ignored"
    except (Unparseable, Rejected) as error:  # of a header that comes twice
        bound, events, reason = NOTHING, (), str(error)[:500]
    except Exception as error:  # noqa: BLE001 - the delivery is kept, whatever its parser did
        bound, events = NOTHING, ()
        telemetry.log.exception("parser.failed", source=source.name, delivery=id_)
        reason = f"the parser failed: {type(error).__name__}"
    return (
        NewDelivery(
            id=id_,
            source=source.name,
            key=_key_of(verified) if identity is None else identity.key or str(id_),
            type="unknown" if identity is None else identity.type,
            status=status,
            reason=None if reason is None else reason.replace("\0", "\N{REPLACEMENT CHARACTER}"),  # no text holds one
            secret=verified.secret,
            headers=_kept(verified),
            body=verified.body,
            events=told,
            types=bindings.lineage(events),
            mixed=identity is not None and not all(is_or_under(each.type, identity.type) for each in events),
            bindings=msgspec.json.encode(bound.verdicts),
            subject=subject,
            runs=bound.runs,
        ),
        pong,
    )


def remembered(source: Source, kept: asyncpg.Record) -> tuple[Source, Received]:
    """A delivery that is kept, as it came in; what proved it then proves it still.

    Raises:
        Unsealable: it could not be opened.
    """
    check_open(kept["body"])
    headers = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in codec.decode(kept["headers"])]
    return dataclasses.replace(source, scheme=Kept(kept["secret"])), Received(Headers(headers), kept["body"])


def key_again(kept: str, examined: NewDelivery) -> str:
    """The key under which one that is `kept` in quarantine is tried again: its own, once it is known."""
    is_known = examined.key != str(examined.id)
    return examined.key if is_known and DIGEST.fullmatch(kept) else kept


def _key_of(verified: Verified) -> str:
    """The key of a delivery that its parser cannot identify, so that the same again is still a duplicate."""
    return f"sha256:{hashlib.sha256(verified.body).hexdigest()}"


def _kept(verified: Verified) -> bytes:
    kept = [
        (name.decode("latin-1"), "(not kept)" if name in CREDENTIALS else value.decode("latin-1"))
        for name, value in verified.headers
    ]
    return msgspec.json.encode(kept)
