"""Definitions: jobs as data.

Every change is a row, and rows are never changed: a new version of a definition, or, without a source, its end. So
`seq` alone says whether a replica knows all of them, and a run finds the version that it was created with.
"""

from alembic import op

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    op.execute(
        """
        create table hookline.definitions (
            seq        bigint generated always as identity primary key,
            name       text not null,
            version    integer not null,
            source     text,
            created_at timestamptz not null default now(),
            unique (name, version)
        )
        """
    )
