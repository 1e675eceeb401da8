"""The journal: what became of each call of a run, its outcome written once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal
from uuid import UUID

from msgspec import Struct

from hookline.payloads import Plain
from hookline.store import events
from hookline.store.database import Connection

Outcome = Literal["started", "intent", "retrying", "waiting", "abandoned", "succeeded", "failed"]


class Record(Struct, frozen=True):
    """What became of one call of the Context.

    Args:
        key: its path of names, unique in its run.
        position: which call of its run it was, from 0, for reading the journal in order.
        claim: the claim of the run that it was written under.
        attempt: which try of the call this is, from 1.
        arguments: a fingerprint of what the call was given, to notice when a replay gives something else.
        output: JSON; of a call that is not settled, how far it came.
        error: JSON `{type, message, traceback}`.
        elapsed: seconds since the call began.
        pause: seconds until it goes on by itself, of a call that waits or is being retried; `None` if it does not.
    """

    run: UUID
    key: str
    position: int
    claim: int
    attempt: int
    kind: str
    state: Outcome
    arguments: bytes | None = None
    output: bytes | None = None
    error: bytes | None = None
    elapsed: float = 0.0
    pause: float | None = None

    @property
    def settled(self) -> bool:
        """Whether this is an outcome, which nothing may change, and not a note on the way to one."""
        return self.state in ("succeeded", "failed")


FANS = ("gather", "map", "race")
"""Of these the output tells which branches have failed, and nothing that those returned: SQL looks into it."""

WRITE = """
insert into hookline.journal
       (run_id, key, position, claim, attempt, kind, state, arguments, output, error, started_at, finished_at,
        due_at)
select run_id, key, position, claim, attempt, kind, state, arguments, output, error,
       now() - make_interval(secs => elapsed), case when state in ('succeeded', 'failed') then now() end,
       case when state in ('retrying', 'waiting') then now() + make_interval(secs => pause) end
  from unnest($1::uuid[], $2::text[], $3::int[], $4::int[], $5::int[], $6::text[], $7::text[], $8::bytea[],
              $9::json[], $10::json[], $11::float8[], $12::float8[])
       as given (run_id, key, position, claim, attempt, kind, state, arguments, output, error, elapsed, pause)
on conflict (run_id, key) do update
   set position = excluded.position, claim = excluded.claim, attempt = excluded.attempt,
       state = excluded.state, arguments = excluded.arguments, output = excluded.output,
       error = excluded.error, finished_at = excluded.finished_at, due_at = excluded.due_at,
       started_at = case when excluded.kind = 'step' then excluded.started_at else journal.started_at end
 where journal.state not in ('succeeded', 'failed') and journal.claim <= excluded.claim
"""


async def write(connection: Connection, records: Sequence[Record]) -> None:
    """Write `records`, of which no two have the same run and key, in a transaction that fenced the worker.

    An outcome that is there already stays: it is ours, from a commit whose answer was lost. What runs publish is told
    to those who watch.
    """
    if records:
        await connection.execute(
            WRITE,
            [each.run for each in records],
            [each.key for each in records],
            [each.position for each in records],
            [each.claim for each in records],
            [each.attempt for each in records],
            [each.kind for each in records],
            [each.state for each in records],
            [each.arguments for each in records],
            [Plain(each.output) if each.kind in FANS and each.output else each.output for each in records],
            [each.error for each in records],
            [each.elapsed for each in records],
            [each.pause for each in records],
        )
        await events.publish(connection, [(each.run, each.key) for each in records if each.kind == "stream"])


READ = """
select run_id, key, position, claim, attempt, kind, state, arguments, output, error, 0::float8 as elapsed,
       case when due_at is not null then greatest(extract(epoch from due_at - now()), 0)::float8 end as pause
  from hookline.journal where run_id = any($1) order by run_id, position
"""


async def read(connection: Connection, runs: Sequence[UUID]) -> dict[UUID, list[Record]]:
    """The journal of each of `runs` that has one."""
    journals: dict[UUID, list[Record]] = {}
    for row in await connection.fetch(READ, runs):
        journals.setdefault(row["run_id"], []).append(Record(*row.values()))
    return journals
