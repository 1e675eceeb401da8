"""Schedules: what starts runs by the clock, and when it does so next.

An application declares its schedules when a replica starts; the row keeps what outlives that: whether the schedule is
on, and the moment of its next tick. Whoever finds that this has come locks the row, creates the runs, and moves it on
in the same transaction, so any number of replicas fire each tick once. The run's idempotency key names the tick, too.
"""

from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    op.execute(
        """
        create table hookline.schedules (
            name     text primary key,
            job      text not null,
            spec     text not null,
            active   boolean not null default true,
            next_at  timestamptz,
            last_at  timestamptz,
            problem  text
        )
        """
    )
