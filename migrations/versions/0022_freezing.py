"""Freezing: what is written once and kept is frozen by the first vacuum that sees it, and so written once.

By default its pages are written a second time when they are vacuumed, and a third when they are old enough to be
frozen. If there was a checkpoint in between the whole page goes into the log: twice the log for the same webhooks.
"""

from alembic import op

revision = "0022"
down_revision = "0021"

KEPT = ("deliveries", "run_data", "journal")


def upgrade() -> None:
    for table in KEPT:
        op.execute(
            f"alter table hookline.{table} set (autovacuum_freeze_min_age = 0, toast.autovacuum_freeze_min_age = 0)"
        )
