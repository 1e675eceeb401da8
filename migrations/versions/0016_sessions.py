"""Sessions: who has logged in with a browser, and until when, so that a log-out ends it at every replica.

A session stands on the token that was shown, by its digest, and is then good for as long as that is; or on what a
provider of identities said of a person, and then has a name and a role of its own.
"""

from alembic import op

revision = "0016"
down_revision = "0015"


def upgrade() -> None:
    op.execute(
        """
        create table hookline.sessions (
            id         uuid primary key,
            digest     bytea,
            issuer     text,
            name       text,
            role       text check (role in ('viewer', 'operator', 'admin')),
            expires_at timestamptz not null,
            check (num_nonnulls(issuer, name, role) = case when digest is null then 3 else 0 end)
        )
        """
    )
    op.execute("create index sessions_expiry on hookline.sessions (expires_at)")
