"""Payloads: how SQL looks at bodies and JSON that may rest sealed.

Payloads may be encrypted by a key that the database never sees. Sealed JSON is a text, `"hookline:1:KEY:BASE64"`. Bytes
that begin with eight certain ones are not what they seem, and the next one tells what they are: plain bytes
that begin so (0), or a sealed body (1), which is its SHA-256 and then what was sealed.

Whether two bodies are the same is told by `body_digest`, and how large one is by `body_size`. What a page shows of a
value comes as bytes: the beginning of a plain one (3), or all of it (2), as of a sealed one, which nobody can cut; or
nothing of what is too large (4).
"""

from alembic import op

revision = "0017"
down_revision = "0016"

HEAD = r"'\xff00686b6c6e0d0a'::bytea"

STATEMENTS = [
    """
    create function hookline.body_digest(body bytea) returns bytea language sql immutable parallel safe as $$
        select case when substring(body from 1 for 8) <> HEAD then sha256(body)
                    when get_byte(substring(body from 9 for 1), 0) = 1 then substring(body from 10 for 32)
                    else sha256(substring(body from 10)) end
    $$
    """,
    """
    create function hookline.body_size(body bytea) returns integer language sql immutable parallel safe as $$
        select case when substring(body from 1 for 8) <> HEAD then octet_length(body)
                    when get_byte(substring(body from 9 for 1), 0) = 1 then octet_length(body) - 74
                    else octet_length(body) - 9 end
    $$
    """,
    """
    create function hookline.body_excerpt(body bytea, most integer) returns bytea
        language sql immutable parallel safe as $$
        select case when substring(body from 1 for 8) = HEAD then body
                    when octet_length(body) > most then HEAD || '\\x03'::bytea || substring(body from 1 for most)
                    else body end
    $$
    """,
    """
    create function hookline.excerpt(value json, most integer) returns bytea language sql stable parallel safe as $$
        select case when left(value::text, 12) = '"hookline:1:' and octet_length(value::text) > 4 * 1048576
                    then HEAD || '\\x04'::bytea
                    when left(value::text, 12) = '"hookline:1:' or octet_length(value::text) <= most
                    then HEAD || '\\x02'::bytea || convert_to(value::text, 'UTF8')
                    else HEAD || '\\x03'::bytea || convert_to(left(value::text, most), 'UTF8') end
    $$
    """,
    "drop index hookline.deliveries_conflict",
    """
    create unique index deliveries_conflict on hookline.deliveries (source, key, hookline.body_digest(body))
        where conflict_of is not null
    """,
]


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement.replace("HEAD", HEAD))
