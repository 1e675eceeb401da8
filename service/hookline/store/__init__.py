"""Everything that is SQL, a module a table."""
