"""Events: what happened, in order, for those who watch.

`run_events` is only ever appended to, and deleted from at its old end. A row is a change of a run's state, which the
triggers write whatever statement made it; a delivery that came; or what a run published, whose data are in the journal
under `key`.

The order is that of `seq`. It is drawn while the run's row is locked, so the events of one run are in the order of its
states. A number is drawn before it is committed: whoever reads on must not pass a gap that a transaction under way may
still fill. Such a transaction holds a lock on this table since before it drew its number, and is found by that.

The row of number 0 is where it begins. The newest row that is too old to be kept is kept all the same, so a number is
known to be followed by all that came behind it if it is not below the lowest that is there.
"""

from alembic import op

revision = "0015"
down_revision = "0014"

STATEMENTS = [
    """
    create table hookline.run_events (
        seq         bigint generated always as identity primary key,
        at          timestamptz not null default now(),
        run_id      uuid,
        delivery_id uuid,
        job         text,
        scope       text,
        source      text,
        type        text,
        state       text,
        reason      text,
        key         text
    ) with (
        autovacuum_vacuum_scale_factor = 0.02,
        autovacuum_vacuum_threshold = 5000,
        autovacuum_analyze_scale_factor = 0.05
    )
    """,
    "insert into hookline.run_events (seq) overriding system value values (0)",
    "create index run_events_run on hookline.run_events (run_id, seq) where run_id is not null",
    "create unique index run_events_published on hookline.run_events (run_id, key) where key is not null",
    """
    create function hookline.tell_of_new_runs() returns trigger language plpgsql as $$
    begin
        insert into hookline.run_events (run_id, job, scope, state, reason)
        select id, job, scope, state, reason from new_runs;
        return null;
    end $$
    """,
    """
    create function hookline.tell_of_runs() returns trigger language plpgsql set enable_nestloop = off as $$
    begin
        insert into hookline.run_events (run_id, job, scope, state, reason)
        select is_now.id, is_now.job, is_now.scope, is_now.state, is_now.reason
          from is_now join was on was.id = is_now.id where is_now.state <> was.state;
        return null;
    end $$
    """,
    """
    create trigger runs_new_told after insert on hookline.runs referencing new table as new_runs
        for each statement execute function hookline.tell_of_new_runs()
    """,
    """
    create trigger runs_told after update on hookline.runs referencing old table as was new table as is_now
        for each statement execute function hookline.tell_of_runs()
    """,
    # Not checked against what is there: the journal is long, and every old kind is still allowed.
    """
    alter table hookline.journal
        drop constraint journal_kind_check,
        add constraint journal_kind_check check (kind in (
            'step', 'sleep', 'signal', 'event', 'callback', 'child', 'start', 'send', 'poll', 'value', 'var', 'stream',
            'patch', 'gather', 'map', 'race', 'skip', 'undo')) not valid
    """,
]


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement)
