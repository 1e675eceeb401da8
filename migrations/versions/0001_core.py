"""The core: workers, deliveries, runs, their journal and their scopes.

Everything that hookline knows is in these tables; a replica keeps nothing.

A webhook is stored as it came, in `deliveries`, in the transaction that also creates its runs. Its sender's id
is its key: of one source and key there is one delivery (`deliveries_key`), whoever posts it, however often. The
same key with another body is kept beside the first, with `conflict_of`, and starts nothing.

A run is two rows. `runs` is narrow and hot: what a worker needs to choose and to own it. `run_data` is wide and
cold: what went in and what came out. A run that an event started keeps no copy of a body that `deliveries` has
already: `body_from` names the delivery whose body is its input.

    blocked -> queued -> running -> succeeded | failed | cancelled
                  ^         |-> waiting -> queued
                  |         '-> paused  -> queued
                  '---------'

The trigger `runs_transition` refuses every other way; `hookline.store.states` holds the same table for people.

A worker is a row with a lease. All that it writes for a run, it writes in a transaction that has locked that row
`for key share`. The watchdog deletes the rows of the dead, which waits for such transactions, and in a later
statement makes their runs due again. So a worker without a row commits nothing.

What a run has done is in `journal`, a row a step, written once: an outcome is never overwritten. `runs.claims`
counts the times that a run was claimed, and each journal row carries the count it was written under.

Runs of one job with the same scope run one at a time in the order of `seq`, which is drawn while the row of
`scopes` is locked. A run that must wait its turn is `blocked`; the transaction that ends a run queues the next.

Times are the database's. Ids are UUIDv7, made by the client, so that any insert can be tried again. JSON is
`json`, not `jsonb`: it keeps what was sent, to the letter, and is cheaper to store. There are no foreign keys:
each would cost a lock per row on the hot path, for an order of writes that one module a table already keeps.
"""

from alembic import op

revision = "0001"
down_revision = None

STATES = "'blocked', 'queued', 'running', 'waiting', 'paused', 'succeeded', 'failed', 'cancelled'"

STATEMENTS = [
    "create schema if not exists hookline",
    """
    create table hookline.workers (
        id         uuid primary key,
        name       text not null,
        offers     text[] not null,
        slots      integer not null,
        running    integer not null default 0,
        started_at timestamptz not null default now(),
        seen_at    timestamptz not null default now(),
        expires_at timestamptz not null
    ) with (fillfactor = 50)
    """,
    """
    create table hookline.deliveries (
        id          uuid primary key,
        source      text not null,
        key         text not null,
        conflict_of uuid,
        type        text not null,
        status      text not null check (status in ('accepted', 'ignored', 'quarantined', 'conflict')),
        reason      text,
        secret      text not null,
        headers     json not null,
        body        bytea not null,
        received_at timestamptz not null default now()
    )
    """,
    # Measured: compressing bodies costs more than writing them. Senders' bodies are stored as they are.
    "alter table hookline.deliveries alter column body set storage external",
    "create unique index deliveries_key on hookline.deliveries (source, key) where conflict_of is null",
    """
    create unique index deliveries_conflict on hookline.deliveries (source, key, sha256(body))
        where conflict_of is not null
    """,
    "create index deliveries_status on hookline.deliveries (status, id) where status in ('quarantined', 'conflict')",
    f"""
    create table hookline.runs (
        id              uuid primary key,
        seq             bigint generated always as identity,
        due_at          timestamptz not null default now(),
        created_at      timestamptz not null default now(),
        started_at      timestamptz,
        finished_at     timestamptz,
        worker_id       uuid,
        delivery_id     uuid,
        parent_id       uuid,
        version         integer not null,
        claims          integer not null default 0,
        priority        smallint not null default 0,
        attempt         smallint not null default 1,
        losses          smallint not null default 0,
        event_index     smallint,
        state           text not null check (state in ({STATES})),
        job             text not null,
        scope           text,
        idempotency_key text,
        control         text check (control in ('cancel')),
        reason          text,
        check ((state = 'running') = (worker_id is not null)),
        check ((state in ('succeeded', 'failed', 'cancelled')) = (finished_at is not null))
    ) with (
        fillfactor = 80,
        autovacuum_vacuum_scale_factor = 0.02,
        autovacuum_vacuum_threshold = 5000,
        autovacuum_analyze_scale_factor = 0.05
    )
    """,
    "create index runs_due on hookline.runs (priority desc, due_at, id) where state = 'queued'",
    "create index runs_owned on hookline.runs (worker_id) where state = 'running'",
    "create index runs_controlled on hookline.runs (worker_id) where control is not null",
    """
    create index runs_scope on hookline.runs (job, scope, seq)
        where scope is not null and state in ('blocked', 'queued', 'running', 'waiting', 'paused')
    """,
    """
    create unique index runs_event on hookline.runs (delivery_id, event_index, job)
        where delivery_id is not null
    """,
    """
    create unique index runs_idempotency on hookline.runs (job, idempotency_key)
        where idempotency_key is not null
    """,
    "create index runs_job on hookline.runs (job, id)",
    """
    create index runs_state on hookline.runs (state, id)
        where state in ('blocked', 'waiting', 'paused', 'failed', 'cancelled')
    """,
    """
    create function hookline.refuse_transition() returns trigger language plpgsql as $$
    begin
        raise exception using
            message = 'run ' || old.id || ' cannot go from ' || old.state || ' to ' || new.state,
            errcode = 'integrity_constraint_violation',
            constraint = 'runs_transition';
    end $$
    """,
    """
    create trigger runs_transition before update of state on hookline.runs for each row
        when (old.state is distinct from new.state and (old.state, new.state) not in (
            ('blocked', 'queued'), ('blocked', 'cancelled'),
            ('queued', 'running'), ('queued', 'cancelled'),
            ('running', 'succeeded'), ('running', 'failed'), ('running', 'cancelled'),
            ('running', 'queued'), ('running', 'waiting'), ('running', 'paused'),
            ('waiting', 'queued'), ('waiting', 'cancelled'),
            ('paused', 'queued'), ('paused', 'cancelled')
        ))
        execute function hookline.refuse_transition()
    """,
    """
    create table hookline.run_data (
        run_id    uuid primary key,
        body_from uuid,
        event     json,
        input     json,
        output    json,
        error     json
    )
    """,
    """
    create table hookline.journal (
        run_id      uuid not null,
        key         text not null,
        position    integer not null,
        claim       integer not null,
        attempt     integer not null,
        kind        text not null check (kind in ('step')),
        state       text not null check (state in ('started', 'retrying', 'succeeded', 'failed')),
        arguments   bytea,
        output      json,
        error       json,
        started_at  timestamptz,
        finished_at timestamptz,
        due_at      timestamptz,
        primary key (run_id, key)
    )
    """,
    """
    create table hookline.scopes (
        job   text not null,
        scope text not null,
        primary key (job, scope)
    )
    """,
]


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement)
