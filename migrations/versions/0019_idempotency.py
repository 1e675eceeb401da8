"""Idempotency: what was answered to requests with a key, so that the same again is answered so and not done again.

A row is written in the transaction that makes the change, so there is never one without the other. Its id is a digest
of who asked and with which key; the answer rests encrypted under what only that key gives away, since it may hold
the data of a run, or a secret that is shown once.
"""

from alembic import op

revision = "0019"
down_revision = "0018"


def upgrade() -> None:
    op.execute(
        """
        create table hookline.idempotency (
            id      bytea primary key,
            request bytea not null,
            answer  bytea not null,
            at      timestamptz not null default now()
        )
        """
    )
    op.execute("create index idempotency_at on hookline.idempotency (at)")
