"""Arrivals: events and waits meet without a lock.

A wait for an event is a row of `waits`, committed while its run is still owned; then it looks back at the deliveries
that are committed. Every delivery with events is noted in `arrivals`, with the types of its events, by the statement
that stores it; after its commit the scheduler of any replica takes the row, drops it if nobody waits for such a
type, and else turns each event into a signal of every run with a wait that it fits. Both store first, commit, and
then look, so whichever looks second sees the first, and neither ever waits for the other.
"""

from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    op.execute("alter table hookline.arrivals add column types json not null default '[\"*\"]'")
    op.execute("alter table hookline.arrivals alter column types drop default")
