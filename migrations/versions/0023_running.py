"""Running: how many runs a worker has is counted where it is asked for; nobody ever wrote the column."""

from alembic import op

revision = "0023"
down_revision = "0022"


def upgrade() -> None:
    op.execute("alter table hookline.workers drop column running")
