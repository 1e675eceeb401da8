"""Bindings: a delivery tells what became of its events at each job, and which delivery it is a replay of.

What was decided is kept, since the jobs' filters change: a list of `{job, version, event, verdict, why}`. A replay is a
delivery of its own, so that it is what the first one was: it starts runs, and is waited for.
"""

from alembic import op

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    op.execute("alter table hookline.deliveries add column bindings json, add column replay_of uuid")
    op.execute("create index deliveries_replay on hookline.deliveries (replay_of) where replay_of is not null")
