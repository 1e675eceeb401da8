"""Connectors: how far each foreign stream was read, and by whom.

One process at a time reads a stream: the row has its id, `owner`, and a lease that it renews. What a stream brings is
committed together with the cursor behind it, by a transaction that locks the row and finds itself its owner.
"""

from alembic import op

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    op.execute(
        """
        create table hookline.connectors (
            name       text primary key,
            cursor     json,
            owner      uuid,
            expires_at timestamptz,
            items      bigint not null default 0,
            moved_at   timestamptz,
            problem    text
        )
        """
    )
