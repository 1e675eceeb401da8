"""The receipt: what became of a delivery, as its sender is told it, and people are."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from typing import Any, Literal
from uuid import UUID

from msgspec import Struct

from hookline import metrics, telemetry
from hookline.events import Pong
from hookline.ingress.sources import Source
from hookline.store.delivery import NewDelivery, Stored


class Receipt(Struct, frozen=True):
    """What the sender is told.

    Args:
        status: what became of the delivery, in the words of the contract with senders.
        reason: why, of a quarantined one.
        answer: what the sender of a ping wants to read in return.
    """

    delivery: UUID
    status: Literal["accepted", "ignored", "pong", "quarantined", "duplicate", "conflict"]
    runs: tuple[UUID, ...] = ()
    reason: str | None = None
    answer: Mapping[str, Any] | None = None


def settled(source: Source, new: NewDelivery, stored: Stored, pong: Pong | None) -> Receipt:
    """What the sender of `new` is told, now that it is `stored`; people are told too."""
    receipt = _receipt(stored, pong)
    _tell(source, new, receipt)
    return receipt


def _receipt(stored: Stored, pong: Pong | None) -> Receipt:
    if stored.status == "conflict":
        return Receipt(stored.id, "conflict", reason=stored.reason)
    if stored.duplicate:
        return Receipt(stored.id, "duplicate", stored.runs, stored.reason)
    if pong is not None:
        return Receipt(stored.id, "pong", answer=pong.answer)
    return Receipt(stored.id, stored.status, stored.runs, stored.reason)


def _tell(source: Source, arrived: NewDelivery, receipt: Receipt) -> None:
    metrics.ACCEPTED.count(source=source.name, status=receipt.status)
    if receipt.status == "accepted":
        started: defaultdict[tuple[str, str], int] = defaultdict(int)
        for run in arrived.runs:
            started[run.job, "queued" if run.scope is None else "blocked"] += 1
        for (job, state), count in started.items():
            metrics.RUNS.count(count, job=job, state=state)
    say = telemetry.log.warning if receipt.status in ("quarantined", "conflict") else telemetry.log.debug
    say(
        f"delivery.{receipt.status}",
        source=source.name,
        delivery=receipt.delivery,
        type=arrived.type,
        runs=len(receipt.runs),
        reason=receipt.reason,
    )
