"""Logs, tags, and what a run is about: what people look for at three in the morning.

A row of `run_logs` is a line that a run has said. What it says is in `data`; the rest finds it. `key` makes a line
that is said again the same row: of what the job itself says it comes of the words and of how often they were said
before, so that a replay adds nothing; of what a step says, of the claim and the number, so that each try speaks for
itself. The row with the key 0 holds, in `number`, how many lines of its run were dropped. Lines are never changed.

`runs.source` and `runs.subject` are those of the delivery that a run descends from, through parents and forks, and
`tags` what its job calls it. `run_tags` is their index: were it a GIN index of the array, the newest runs with a tag
that a million others have could only be found by sorting all of them.
"""

from alembic import op

revision = "0018"
down_revision = "0017"

STATEMENTS = [
    """
    create table hookline.run_logs (
        run_id  uuid not null,
        key     bigint not null,
        at      timestamptz not null default now(),
        claim   integer not null,
        number  integer not null,
        level   smallint not null,
        attempt smallint,
        kind    text not null check (kind in ('log', 'call', 'dropped')),
        step    text,
        data    json,
        primary key (run_id, key)
    ) with (
        autovacuum_vacuum_scale_factor = 0.02,
        autovacuum_vacuum_threshold = 5000,
        autovacuum_analyze_scale_factor = 0.05
    )
    """,
    "create index run_logs_at on hookline.run_logs (at)",
    """
    alter table hookline.runs
        add column source  text,
        add column subject text,
        add column tags    text[]
    """,
    "create index runs_subject on hookline.runs (subject, id) where subject is not null",
    "create index runs_source on hookline.runs (source, id) where source is not null",
    """
    create table hookline.run_tags (
        tag    text not null,
        run_id uuid not null,
        primary key (tag, run_id)
    )
    """,
    # Not checked against what is there: the journal is long, and every old kind is still allowed.
    """
    alter table hookline.journal
        drop constraint journal_kind_check,
        add constraint journal_kind_check check (kind in (
            'step', 'sleep', 'signal', 'event', 'callback', 'child', 'start', 'send', 'poll', 'value', 'var', 'stream',
            'patch', 'gather', 'map', 'race', 'skip', 'undo', 'tag')) not valid
    """,
]


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement)
