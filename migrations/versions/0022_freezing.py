"""Freezing: what is written once and kept is frozen by the first vacuum that sees it, and so written once.

By default a vacuum may mark its pages, and a later one freeze them, each of which writes them again. If there was a
checkpoint in between the whole page goes into the log, where Postgres keeps checksums.
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
