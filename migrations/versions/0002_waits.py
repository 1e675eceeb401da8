"""Waits: what a run waits for, and what comes for it.

A run that has nothing to do but wait is `waiting`: nobody holds it, and `due_at` says when it is due again, if time
alone will end one of its waits. The scheduler of any replica queues those that are due (`runs_waking`).

What comes for a run from outside is a row of `signals`: a signal that somebody sent, the completion of a callback, a
webhook's event that fits a wait. Whoever brings it locks the run's row first. A run that is `waiting` is queued; one
that is `running` gets `mail`, which its worker reads with each of its transactions. A run with mail is not turned
`waiting`, it is queued, so a signal and a suspension cannot miss each other. Signals of one name are taken in the
order of `seq`, each by one wait; `taken_by` is the journal key of that wait.

Events and waits cannot know each other's keys beforehand. A wait for an event is a row of `waits`, inserted under
an exclusive lock on `events_meet`; the intake inserts deliveries under a shared one, and in a later statement puts
into `arrivals` those whose types somebody waits for. So a delivery either finds the wait, or was committed before
it, and then the wait, which looks back once it is committed, finds the delivery. The scheduler takes `arrivals` and
turns each event into a signal of every run with a wait that it fits. `waits.anchor` is one `field=value` that the
event must have, so that a million waits for a million commits are found by an index.

A child run that is `attached` wakes its parent when it ends, as a signal does, and is cancelled when its parent ends.

`keys` holds the key that signs callbacks, made by whoever needs it first.
"""

from alembic import op

revision = "0002"
down_revision = "0001"

STATEMENTS = [
    """
    alter table hookline.runs
        alter column due_at drop not null,
        add column attached boolean not null default false,
        add column mail boolean not null default false,
        add column forked_from uuid,
        add column data_deletion text check (data_deletion in ('requested', 'done')),
        drop constraint runs_control_check,
        add constraint runs_control_check check (control in ('cancel', 'pause'))
    """,
    "drop index hookline.runs_controlled",
    "create index runs_controlled on hookline.runs (worker_id) where control is not null or mail",
    # Waiting and paused ones, said so that no other index is taken for it while statistics know of none.
    """
    create index runs_waking on hookline.runs (due_at)
        where left(state, 1) in ('w', 'p') and due_at is not null
    """,
    "create index runs_children on hookline.runs (parent_id) where parent_id is not null",
    "create index runs_deletion on hookline.runs (id) where data_deletion = 'requested'",
    "drop trigger runs_transition on hookline.runs",
    """
    create trigger runs_transition before update of state on hookline.runs for each row
        when (old.state is distinct from new.state and (old.state, new.state) not in (
            ('blocked', 'queued'), ('blocked', 'paused'), ('blocked', 'cancelled'),
            ('queued', 'running'), ('queued', 'paused'), ('queued', 'cancelled'),
            ('running', 'succeeded'), ('running', 'failed'), ('running', 'cancelled'),
            ('running', 'queued'), ('running', 'waiting'), ('running', 'paused'),
            ('waiting', 'queued'), ('waiting', 'paused'), ('waiting', 'cancelled'),
            ('paused', 'queued'), ('paused', 'blocked'), ('paused', 'cancelled')
        ))
        execute function hookline.refuse_transition()
    """,
    """
    alter table hookline.journal
        drop constraint journal_kind_check,
        drop constraint journal_state_check,
        add constraint journal_kind_check check (kind in (
            'step', 'sleep', 'signal', 'event', 'callback', 'child', 'start', 'send', 'poll', 'value', 'var', 'patch',
            'gather', 'map', 'race', 'undo')),
        add constraint journal_state_check check (state in (
            'started', 'intent', 'retrying', 'waiting', 'abandoned', 'succeeded', 'failed'))
    """,
    """
    create table hookline.signals (
        id          uuid primary key,
        seq         bigint generated always as identity,
        run_id      uuid not null,
        name        text not null,
        data        json,
        delivery_id uuid,
        event_index smallint,
        taken_by    text,
        sent_at     timestamptz not null default now()
    )
    """,
    "create index signals_held on hookline.signals (run_id, name, seq) where taken_by is null",
    """
    create unique index signals_event on hookline.signals (run_id, name, delivery_id, event_index)
        where delivery_id is not null
    """,
    """
    create table hookline.waits (
        run_id  uuid not null,
        key     text not null,
        type    text not null,
        anchor  text not null,
        pattern json not null,
        primary key (run_id, key, type)
    )
    """,
    "create index waits_type on hookline.waits (type, anchor)",
    """
    create table hookline.arrivals (
        delivery_id uuid primary key
    )
    """,
    "alter table hookline.deliveries add column events json, add column mixed boolean not null default false",
    'create index deliveries_type on hookline.deliveries (type collate "C", id)',
    "create index deliveries_mixed on hookline.deliveries (id) where mixed",
    """
    create table hookline.keys (
        name   text primary key,
        secret bytea not null
    )
    """,
]


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement)
