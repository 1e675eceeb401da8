"""The inbox: deliveries are found by what they are about, by their source and by any status, the newest first.

`subject` is the key of a delivery's first event, such as a repository or an invoice; null where nothing says. Each of
these indexes ends with the id, which grows, so an insert touches the page that the one before it touched.
"""

from alembic import op

revision = "0012"
down_revision = "0011"


def upgrade() -> None:
    op.execute("alter table hookline.deliveries add column subject text")
    op.execute("create index deliveries_subject on hookline.deliveries (subject, id) where subject is not null")
    op.execute("create index deliveries_source on hookline.deliveries (source, id)")
    op.execute("drop index hookline.deliveries_status")
    op.execute("create index deliveries_status on hookline.deliveries (status, id)")
