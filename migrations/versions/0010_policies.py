"""Policies: a run tells which other took its place."""

from alembic import op

revision = "0010"
down_revision = "0009"


def upgrade() -> None:
    op.execute("alter table hookline.runs add column superseded_by uuid")
