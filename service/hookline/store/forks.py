"""Forks: new runs that begin with what another has recorded."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from hookline import codec
from hookline.errors import IllegalTransition, InvalidInput
from hookline.store import scopes, signals
from hookline.store.database import Connection, transaction

ORIGIN = """
select runs.job, runs.scope, runs.state, runs.version,
       exists (select from hookline.journal where run_id = id and kind = 'undo' and state <> 'waiting') as undone,
       run_data.error
  from hookline.runs join hookline.run_data on run_id = id where id = $1
"""

POSITION = "select position from hookline.journal where run_id = $1 and key = $2"

FORK = """
with forked as (
insert into hookline.runs
       (id, job, version, scope, state, priority, delivery_id, source, subject, tags, forked_from, correlation)
select $2, job, coalesce($3::int, version), scope, case when scope is null then 'queued' else 'blocked' end, priority,
       delivery_id, source, subject, tags, id,
       case when not exists (select from hookline.runs as open
                              where open.job = runs.job and open.correlation = runs.correlation
                                and open.finished_at is null)
            then correlation end
  from hookline.runs where id = $1
on conflict do nothing
returning id, tags
)
insert into hookline.run_tags (tag, run_id) select unnest(tags), id from forked
"""

COPY_DATA = """
insert into hookline.run_data (run_id, body_from, event, input)
select $2, case when $3::json is null then body_from end, case when $3::json is null then event end,
       coalesce($3::json, input)
  from hookline.run_data where run_id = $1
on conflict do nothing
"""

COPY_JOURNAL = """
insert into hookline.journal
       (run_id, key, position, claim, attempt, kind, state, arguments, output, error, started_at, finished_at)
select $2, key, position, 0, attempt, kind, state, arguments, output, error, started_at, finished_at
  from hookline.journal
 where run_id = $1 and kind not in ('undo', 'skip') and position < $3
   and (state = 'succeeded' and (kind not in ('gather', 'map', 'race') or output->>'failed' = '[]')
        or state = 'failed')
   and not exists (select from unnest($4::text[]) as redone where key = redone or starts_with(key, redone || '/'))
on conflict do nothing
"""

EVERYTHING = 2**31 - 1


SKIP = """
insert into hookline.journal
       (run_id, key, position, claim, attempt, kind, state, arguments, output, started_at, finished_at)
select $2, key, position, 0, attempt, kind, 'succeeded', arguments, 'null', started_at, now()
  from hookline.journal where run_id = $1 and key = any($3) and state = 'failed'
on conflict do nothing
"""


async def retry(connection: Connection, run: UUID, new: UUID, *, skip: bool = False) -> None:
    """Let `new` go on where `run` failed: with all that it has recorded but what it failed from.

    Args:
        skip: go on behind what failed, as if that had returned nothing.

    If the run has compensated for what it had done, that is no longer true, and `new` begins from the start.

    Raises:
        LookupError: there is no such run.
        IllegalTransition: it has not failed, and was not cancelled; or what it would go on behind was made up for.
    """
    origin = await connection.fetchrow(ORIGIN, run)
    if origin is None:
        raise LookupError(f"no run {run}")
    if origin["state"] not in ("failed", "cancelled"):
        raise IllegalTransition(f"run {run} is {origin['state']}: only a failed or cancelled one can be retried")
    if skip and origin["undone"]:
        raise IllegalTransition(f"run {run} has made up for what it had done: it can only be retried from the start")
    place = (origin["job"], origin["scope"])
    failed = codec.decode(origin["error"] or b"{}").get("steps", [])
    async with transaction(connection):
        if skip:
            await connection.execute(SKIP, run, new, failed)
        await _fork(connection, run, new, place, 0 if origin["undone"] else EVERYTHING, without=failed)


async def fork(
    connection: Connection,
    run: UUID,
    new: UUID,
    *,
    before: str | None,
    input_: bytes | None = None,
    version: int | None = None,
) -> None:
    """Let `new` begin with what `run` has recorded before the call `before`; with nothing if that is `None`.

    Args:
        input_: JSON, in place of the run's own.
        version: in place of the run's own.

    Raises:
        LookupError: there is no such run.
        InvalidInput: it has recorded nothing under `before`.
    """
    origin = await connection.fetchrow(ORIGIN, run)
    if origin is None:
        raise LookupError(f"no run {run}")
    position = 0
    if before is not None:
        position = await connection.fetchval(POSITION, run, before)
        if position is None:
            raise InvalidInput(f"run {run} has nothing recorded under {before[:100]!r}")
    await _fork(connection, run, new, (origin["job"], origin["scope"]), position, input_=input_, version=version)


async def _fork(
    connection: Connection,
    run: UUID,
    new: UUID,
    place: tuple[str, str | None],
    position: int,
    *,
    without: Sequence[str] = (),
    input_: bytes | None = None,
    version: int | None = None,
) -> None:
    job, scope = place
    async with transaction(connection):
        held = await scopes.lock(connection, [] if scope is None else [(job, scope)])
        await connection.execute(FORK, run, new, version)
        await connection.execute(COPY_DATA, run, new, input_)
        await connection.execute(COPY_JOURNAL, run, new, position, without)
        await scopes.promote(connection, held)
        await connection.execute(signals.WAKE, "due")
