"""Signals: what is sent to a run, held until one of its waits takes it."""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Collection, Iterable, Sequence
from typing import Literal
from uuid import UUID

from msgspec import Struct

from hookline import codec
from hookline.store.database import Connection
from hookline.store.journal import Record
from hookline.store.states import TERMINAL

CHANNEL = "hookline"
"""Where Postgres hints at what may be of interest."""

WAKE = f"select pg_notify('{CHANNEL}', $1)"
"""A hint, one to a transaction: there is work (`due`), or a run of some worker is wanted (`control`)."""

LOCK = "select id, state from hookline.runs where id = any($1) order by id for update"

RING = """
update hookline.runs
   set mail = state = 'running',
       due_at = case when state = 'waiting' then now() else due_at end,
       state = case when state = 'waiting' then 'queued' else state end
 where id = any($1) and state in ('waiting', 'running')
returning state
"""


async def lock(connection: Connection, runs: Iterable[UUID]) -> dict[UUID, str]:
    """Lock `runs` for this transaction, in an order that all follow; returns the state of each that there is."""
    wanted = list(set(runs))
    return {row["id"]: row["state"] for row in await connection.fetch(LOCK, wanted)} if wanted else {}


async def ring(connection: Connection, runs: Collection[UUID]) -> None:
    """Tell `runs`, locked before, that something has come for them: those that wait are queued."""
    if not runs:
        return
    rung = {row["state"] for row in await connection.fetch(RING, runs)}
    if "queued" in rung:
        await connection.execute(WAKE, "due")
    if "running" in rung:
        await connection.execute(WAKE, "control")


class NewSignal(Struct, frozen=True):
    """Something that somebody sends to a run.

    Args:
        name: the mailbox that it goes to.
        data: JSON.
        callback: the key of the callback that this completes; it must be open, and is completed once.
    """

    id: UUID
    run: UUID
    name: str
    data: bytes
    callback: str | None = None


Sent = Literal["sent", "repeated", "unknown", "ended", "expired"]
"""What became of a signal: it is held for its run; it was before; there is no such run, or it has ended; or its
callback is not open any more."""

OPEN = """
select run_id, key from hookline.journal
  join unnest($1::uuid[], $2::text[]) as wanted (run_id, key) using (run_id, key)
 where kind = 'callback' and state = 'waiting' and (due_at is null or due_at > now())
"""

INSERT = """
insert into hookline.signals (id, run_id, name, data)
select id, run_id, name, data
  from unnest($1::uuid[], $2::uuid[], $3::text[], $4::json[])
       with ordinality as given (id, run_id, name, data, position)
 order by position
on conflict (id) do nothing
returning id
"""


async def send(connection: Connection, signals: Sequence[NewSignal]) -> list[Sent]:
    """Hold `signals` for their runs, in this order, and wake those; may be repeated with the same ids."""
    if not signals:
        return []
    states = await lock(connection, (each.run for each in signals))
    completing = [each for each in signals if each.callback is not None]
    rows = (
        await connection.fetch(OPEN, [e.run for e in completing], [e.callback for e in completing])
        if completing
        else []
    )
    open_ = {(row["run_id"], row["key"]) for row in rows}

    def refused(each: NewSignal) -> Sent | None:
        if each.run not in states:
            return "unknown"
        if states[each.run] in TERMINAL:
            return "ended"
        return "expired" if each.callback is not None and (each.run, each.callback) not in open_ else None

    verdicts = [refused(each) for each in signals]
    taken = [each for each, verdict in zip(signals, verdicts, strict=True) if verdict is None]
    inserted = {
        row["id"]
        for row in await connection.fetch(
            INSERT, [e.id for e in taken], [e.run for e in taken], [e.name for e in taken], [e.data for e in taken]
        )
    }
    await ring(connection, {each.run for each in taken if each.id in inserted})
    return [
        verdict or ("sent" if each.id in inserted else "repeated")
        for each, verdict in zip(signals, verdicts, strict=True)
    ]


class Want(Struct, frozen=True):
    """One open wait of a run that its worker asks about.

    Args:
        record: as the journal holds it, or shall hold it if nothing has come.
        is_new: whether the journal does not hold it yet.
        mailbox: whose first signal it takes; `None` of one that waits for a child.
        child: whose end it waits for.
        settles: whether what comes is its outcome as it is.
    """

    record: Record
    is_new: bool
    mailbox: str | None = None
    child: UUID | None = None
    settles: bool = True


class Found(Struct, frozen=True):
    """What there is for a wait.

    Args:
        data: JSON, of a signal; or the output of a child that succeeded.
        error: JSON, of a child that did not.
        came: whether anything has.
        expired: whether its time is up.
        pause: seconds until it will be; `None` if never.
    """

    came: bool
    data: bytes | None = None
    error: bytes | None = None
    expired: bool = False
    pause: float | None = None


READ_MAIL = "update hookline.runs set mail = false where id = any($1) and mail"

HELD = """
select signals.id, signals.run_id, signals.name, signals.data
  from unnest($1::uuid[], $2::text[]) as wanted (run_id, name)
  join hookline.signals using (run_id, name)
 where taken_by is null and data is not null
 order by signals.run_id, signals.name, seq
"""

CHILDREN = """
select id, state, reason, output, error from hookline.runs join hookline.run_data on run_id = id
 where id = any($1) and state in ('succeeded', 'failed', 'cancelled')
"""

AS_RECORDED = """
select run_id, key, state in ('succeeded', 'failed') as settled, output, due_at <= now() as expired,
       extract(epoch from due_at - now())::float8 as pause
  from hookline.journal join unnest($1::uuid[], $2::text[]) as wanted (run_id, key) using (run_id, key)
"""

TAKE = """
update hookline.signals set taken_by = given.key
  from unnest($1::uuid[], $2::text[]) as given (id, key) where signals.id = given.id
"""


async def collect(connection: Connection, wants: Sequence[Want], again: bool) -> list[Found]:
    """What has come for each of `wants`, whose runs are locked: of one name, the first wait takes the first signal.

    Args:
        again: whether this may have been written before, so that a wait may have taken its signal already.
    """
    await connection.execute(READ_MAIL, list({each.record.run for each in wants}))
    held: defaultdict[tuple[UUID, str], deque[tuple[UUID, bytes]]] = defaultdict(deque)
    mailboxes = list({(each.record.run, each.mailbox) for each in wants if each.mailbox is not None})
    if mailboxes:
        for row in await connection.fetch(HELD, [run for run, _ in mailboxes], [name for _, name in mailboxes]):
            held[row["run_id"], row["name"]].append((row["id"], row["data"]))
    children = [each.child for each in wants if each.child is not None]
    ended = {row["id"]: row for row in await connection.fetch(CHILDREN, children)} if children else {}
    old = [each.record for each in wants if again or not each.is_new]
    rows = await connection.fetch(AS_RECORDED, [e.run for e in old], [e.key for e in old]) if old else []
    recorded = {(row["run_id"], row["key"]): row for row in rows}
    taken: list[tuple[UUID, str]] = []

    def found(want: Want) -> Found:
        record = want.record
        there = recorded.get((record.run, record.key))
        if there and there["settled"]:
            return Found(came=True, data=there["output"])
        if want.mailbox is not None and (waiting := held[record.run, want.mailbox]):
            id_, data = waiting.popleft()
            if want.settles:
                taken.append((id_, record.key))
            return Found(came=True, data=data)
        if want.child is not None and (child := ended.get(want.child)):
            if child["state"] == "succeeded":
                return Found(came=True, data=child["output"])
            return Found(came=True, error=child["error"] or b"null", data=(child["reason"] or "").encode())
        if there:
            return Found(came=False, expired=bool(there["expired"]), pause=there["pause"])
        return Found(came=False, pause=record.pause, expired=record.pause is not None and record.pause <= 0)

    result = [found(each) for each in wants]
    if taken:
        await connection.execute(TAKE, [id_ for id_, _ in taken], [key for _, key in taken])
    return result


OPENED = "select output from hookline.journal where run_id = $1 and key = $2 and kind = 'callback'"

BEAT = """
update hookline.journal set due_at = least($3::text::timestamptz, now() + make_interval(secs => $4))
 where run_id = $1 and key = $2 and kind = 'callback' and state = 'waiting' and due_at > now()
returning extract(epoch from due_at - now())::float8
"""


async def beat(connection: Connection, run: UUID, callback: str) -> float | None:
    """Give the outsider at work on `callback` more time; returns the seconds it has, `None` if it is not open."""
    opened = codec.decode(await connection.fetchval(OPENED, run, callback) or codec.NULL)
    if not isinstance(opened, dict) or opened.get("heartbeat") is None:
        return None
    seconds: float | None = await connection.fetchval(BEAT, run, callback, opened["deadline"], opened["heartbeat"])
    return seconds


ASKED = """
select journal.output, journal.state, journal.due_at <= now() as expired, runs.job, runs.state as run_state
  from hookline.journal join hookline.runs on runs.id = run_id
 where run_id = $1 and key = $2 and kind = 'callback'
"""
