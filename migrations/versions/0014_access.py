"""Access: tokens that people and programs use the API with, and who changed what with them.

Of a token only its SHA-256 is kept: 256 random bits need no slower hash. A row of `audit` is written before a change
is made and gets its `status` after it, so that no change goes untold of; one without a status was under way when its
process died.
"""

from alembic import op

revision = "0014"
down_revision = "0013"


def upgrade() -> None:
    op.execute(
        """
        create table hookline.tokens (
            id         uuid primary key,
            name       text not null,
            role       text not null check (role in ('viewer', 'operator', 'admin')),
            digest     bytea not null unique,
            created_at timestamptz not null default now(),
            created_by text not null,
            expires_at timestamptz,
            revoked_at timestamptz
        )
        """
    )
    op.execute(
        """
        create table hookline.audit (
            id      uuid primary key,
            at      timestamptz not null default now(),
            who     text not null,
            role    text not null,
            address text,
            method  text not null,
            path    text not null,
            status  integer
        )
        """
    )
