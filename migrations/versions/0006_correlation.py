"""Correlation: at most one unfinished run of a job for each order, account or pull request.

`runs.correlation` says what a run is about. The unique index lets one unfinished run of a job be about it; whoever
asks for another is told of that one.
"""

from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    op.execute("alter table hookline.runs add column correlation text")
    op.execute(
        """
        create unique index runs_correlation on hookline.runs (job, correlation)
            where correlation is not null and finished_at is null
        """
    )
    op.execute("create index runs_about on hookline.runs (job, correlation, id) where correlation is not null")
