"""How alembic reaches the database: over the connection that hookline hands it, or as SQL on paper."""

from alembic import context

SCHEMA = "hookline"

connection = context.config.attributes.get("connection")
if connection is None:
    context.configure(dialect_name="postgresql", version_table_schema=SCHEMA)
    with context.begin_transaction():
        context.execute(f"create schema if not exists {SCHEMA}")
        context.run_migrations()
else:
    context.configure(connection=connection, version_table_schema=SCHEMA)
    with context.begin_transaction():
        context.run_migrations()
