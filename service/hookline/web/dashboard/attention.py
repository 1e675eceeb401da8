"""Attention: what a person should look at first, the worst first."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Literal
from urllib.parse import quote, urlencode

from msgspec import Struct

from hookline.web.dashboard.words import Row, count, span

LATE = timedelta(seconds=60)
"""A schedule, or a run that is due, that is later than this is told."""


class Notice(Struct, frozen=True):
    """One thing to look at.

    Args:
        tone: how bad it is, which gives it its colour and its sign.
        where: the page that shows it.
        since: since when, or when last.
    """

    tone: Literal["failed", "paused", "waiting"]
    title: str
    detail: str
    where: str
    since: datetime | None = None


def notices(
    now: datetime,
    *,
    queues: Iterable[Row],
    paused: Iterable[Row],
    failing: Iterable[Row],
    alarming: Iterable[Row],
    schedules: Iterable[Row],
    connectors: Iterable[Row],
    workers: int,
) -> list[Notice]:
    """What to look at, from what `store/overview.py` tells of each."""
    told: list[Notice] = []
    if not workers:
        told.append(Notice("failed", "No worker is alive", "Nothing runs until a replica starts.", "/workers"))
    for each in queues:
        name, runs = each["job"], _many(each, "run")
        if not each["offered"] and workers:
            told.append(
                Notice("failed", f"{name} version {each['version']} is stranded",
                       f"{runs} due, and no live worker offers this version.",
                       _runs(job=name, state="queued"), each["since"])
            )  # fmt: skip
        elif now - each["since"] > LATE:
            late = span((now - each["since"]).total_seconds(), rough=True)
            told.append(
                Notice("waiting", f"{name} is behind", f"{runs} due, the first for {late}.",
                       _runs(job=name, state="queued"), each["since"])
            )  # fmt: skip
    for each in paused:
        where = f"/runs/{each['id']}" if each["runs"] == 1 else _runs(job=each["job"], state="paused")
        told.append(
            Notice(
                "paused",
                f"{each['job']}: {_many(each, 'run')} paused",
                each["reason"] or "",
                where,
                each["last"],
            )
        )
    for each in failing:
        where = f"/runs/{each['id']}" if each["runs"] == 1 else _runs(job=each["job"], state="failed", within="1d")
        told.append(
            Notice(
                "failed",
                f"{each['job']}: {_many(each, 'run')} failed in a day",
                each["reason"] or "",
                where,
                each["last"],
            )
        )
    for each in alarming:
        only = each["deliveries"] == 1
        query = urlencode({"source": each["source"], "status": each["status"]})
        where = f"/deliveries/{each['id']}" if only else f"/deliveries?{query}"
        what = "quarantined" if each["status"] == "quarantined" else "with a key that had another body"
        told.append(
            Notice("paused", f"{each['source']}: {_many(each, 'delivery')} {what}", each["reason"] or "",
                   where, each["last"])
        )  # fmt: skip
    for each in schedules:
        if each["problem"]:
            told.append(Notice("failed", f"Schedule {each['name']} could not fire", each["problem"], "/schedules"))
        elif each["active"] and each["next_at"] is not None and now - each["next_at"] > LATE:
            told.append(
                Notice("waiting", f"Schedule {each['name']} is late", "No worker that declares it has fired its tick.",
                       "/schedules", each["next_at"])
            )  # fmt: skip
    told += [
        Notice("failed", f"Connector {each['name']} stands still", each["problem"], "/sources")
        for each in connectors
        if each["problem"]
    ]
    order = {"failed": 0, "paused": 1, "waiting": 2}
    return sorted(told, key=lambda notice: order[notice.tone])


def _many(row: Row, noun: str) -> str:
    number = row["deliveries"] if noun == "delivery" else row["runs"]
    plural = f"{noun[:-1]}ies" if noun.endswith("y") else f"{noun}s"
    return f"{count(number)}{'+' if row['is_more'] else ''} {noun if number == 1 else plural}"


def _runs(**query: str) -> str:
    return f"/runs?{urlencode(query, quote_via=quote)}"
