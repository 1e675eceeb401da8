"""Skips: a task of a graph that is not to be done says so in the journal.

A skip follows from what else is recorded, so a retry, which forgets what failed, forgets the skips, too.
"""

from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    op.execute(
        """
        alter table hookline.journal
            drop constraint journal_kind_check,
            add constraint journal_kind_check check (kind in (
                'step', 'sleep', 'signal', 'event', 'callback', 'child', 'start', 'send', 'poll', 'value', 'var',
                'patch', 'gather', 'map', 'race', 'skip', 'undo'))
        """
    )
