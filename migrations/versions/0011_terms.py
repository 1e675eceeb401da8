"""Terms: a scope knows how many of its runs may be under way, and how often one may begin.

`scopes.width` is how many, null for any number; `rate` is how many in `per` seconds. `starts` are the moments at which
the last runs of a scope with a rate became, or will become, due: one array in the row that is locked anyway, so that
any replica can tell when the next one may. `since` is when the first of those came that a debounced run replaced.

The runs in a scope are found by two indexes, of those that wait for their turn and of those that are under way: how
many are in is told by one, and who is next by the other, however many wait. The first is so written that no other
index seems as good to a planner that was told, at a quiet time, that nobody waits.

An event about which a run is open is a signal of that run, with data and with where it came from.
"""

from alembic import op

revision = "0011"
down_revision = "0010"


def upgrade() -> None:
    op.execute(
        """
        alter table hookline.scopes
            add column width  integer default 1,
            add column rate   integer,
            add column per    float8,
            add column starts timestamptz[] not null default '{}',
            add column since  timestamptz
        """
    )
    op.execute("create index runs_blocked on hookline.runs (job, scope, seq) where left(state, 1) = 'b'")
    op.execute(
        """
        create index runs_inside on hookline.runs (job, scope, seq)
            where scope is not null and state in ('queued', 'running', 'waiting', 'paused')
        """
    )
    op.execute("drop index hookline.runs_scope")
    op.execute(
        """
        create index signals_delivery on hookline.signals (delivery_id)
            where delivery_id is not null and data is not null
        """
    )
