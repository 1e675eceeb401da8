r"""Packed bodies: those of some size come compressed, and Postgres does not try to compress bodies any more.

A packed body (5) is its size as it came, and its parts, each behind its size; sizes have four bytes. What a page shows
of one with several parts comes with the first alone (6). Postgres takes ten times as long to make one as small. The
digest of a packed body is that of what it is packed to.
"""

from alembic import op

revision = "0021"
down_revision = "0020"

HEAD = r"'\xff00686b6c6e0d0a'::bytea"
NUMBER = "('x' || encode(substring(body from {} for 4), 'hex'))::bit(32)::integer"

STATEMENTS = [
    f"""
    create or replace function hookline.body_size(body bytea) returns integer
        language sql immutable parallel safe as $$
        select case when substring(body from 1 for 8) <> HEAD then octet_length(body)
                    when get_byte(substring(body from 9 for 1), 0) = 1 then octet_length(body) - 74
                    when get_byte(substring(body from 9 for 1), 0) = 5 then {NUMBER.format(10)}
                    else octet_length(body) - 9 end
    $$
    """,  # noqa: S608 - a constant
    f"""
    create or replace function hookline.body_excerpt(body bytea, most integer) returns bytea
        language sql immutable parallel safe as $$
        select case when substring(body from 1 for 9) = HEAD || '\\x05'::bytea and {NUMBER.format(10)} > most
                    then HEAD || '\\x06'::bytea || substring(body from 10 for 8 + {NUMBER.format(14)})
                    when substring(body from 1 for 8) = HEAD then body
                    when octet_length(body) > most then HEAD || '\\x03'::bytea || substring(body from 1 for most)
                    else body end
    $$
    """,  # noqa: S608 - a constant
    "alter table hookline.deliveries alter column body set storage external",
]


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement.replace("HEAD", HEAD))
