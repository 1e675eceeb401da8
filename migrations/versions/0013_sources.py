"""Sources: endpoints that were declared over the API.

A secret is a row of its own, sealed by a key that the database never sees and bound to its source and its id, which is
its fingerprint. It is active until `expires_at`, by the database's clock.
"""

from alembic import op

revision = "0013"
down_revision = "0012"


def upgrade() -> None:
    op.execute(
        """
        create table hookline.sources (
            name          text primary key,
            parser        text not null,
            unsigned      boolean not null,
            wait          double precision not null,
            max_body      integer,
            max_in_flight integer,
            rate          text,
            allow         text[] not null,
            created_at    timestamptz not null default now(),
            changed_at    timestamptz not null default now()
        )
        """
    )
    op.execute(
        """
        create table hookline.source_secrets (
            source     text not null references hookline.sources on delete cascade,
            id         text not null,
            sealed     bytea not null,
            added_at   timestamptz not null default now(),
            expires_at timestamptz,
            primary key (source, id)
        )
        """
    )
