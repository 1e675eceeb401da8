"""Migrate: brings a database to the schema that this version knows, and tells whether it is there.

alembic is imported where it is used: it made the start of every command half as long again.
"""

from __future__ import annotations

import io
from pathlib import Path
from typing import TYPE_CHECKING, Any

import asyncpg

from hookline.errors import ConfigurationError, Unavailable
from hookline.store.database import AWAY

if TYPE_CHECKING:
    from alembic.config import Config
    from alembic.script import ScriptDirectory
    from sqlalchemy.engine import Connection as SyncConnection

_LOCK = 0x686F6F6B  # "hook": one number for all replicas, so that those that start together take turns

CURRENT = "select version_num from hookline.alembic_version"


def known() -> str:
    """The newest revision that this version of hookline brings."""
    head = _revisions().get_current_head()
    if head is None:
        raise ConfigurationError("hookline was installed without its migrations: reinstall it")
    return head


async def current(dsn: str) -> str | None:
    """The revision that the database at `dsn` is at; `None` if it has never been migrated; raises `Unavailable`."""
    try:
        connection = await asyncpg.connect(dsn, timeout=10)
    except ValueError as error:
        raise _no_address() from error
    except AWAY as error:
        raise Unavailable(f"cannot reach Postgres: {str(error) or type(error).__name__}") from error
    try:
        revision: str | None = await connection.fetchval(CURRENT)
    except (asyncpg.UndefinedTableError, asyncpg.InvalidSchemaNameError):
        return None
    finally:
        await connection.close()
    return revision


async def check(dsn: str) -> None:
    """Return if the database at `dsn` is at the revision that this version knows.

    Raises:
        ConfigurationError: it is not; says what to run.
        Unavailable: it cannot be reached.
    """
    found, head = await current(dsn), known()
    if found == head:
        return
    if found is None:
        raise ConfigurationError("the database has no hookline schema yet: run `hookline migrate`")
    revisions = {each.revision for each in _revisions().walk_revisions()}
    if found in revisions:
        raise ConfigurationError(f"the database is at schema {found}, hookline needs {head}: run `hookline migrate`")
    raise ConfigurationError(
        f"the database is at schema {found}, which this hookline (schema {head}) does not know: "
        "a newer version has migrated it, so deploy that one"
    )


async def migrate(dsn: str) -> str:
    """Bring the database at `dsn` to the newest revision, and return it; replicas that start together take turns.

    Raises:
        ConfigurationError, Unavailable: as `check`.
    """
    from alembic.util import CommandError
    from sqlalchemy import text
    from sqlalchemy.exc import DBAPIError
    from sqlalchemy.ext.asyncio import create_async_engine
    from sqlalchemy.pool import NullPool

    async def connect() -> asyncpg.Connection[asyncpg.Record]:
        return await asyncpg.connect(dsn, timeout=10)

    engine = create_async_engine("postgresql+asyncpg://", async_creator=connect, poolclass=NullPool)
    try:
        async with engine.connect() as connection:
            await connection.execute(text(f"select pg_advisory_lock({_LOCK})"))
            await connection.execute(text("create schema if not exists hookline"))
            await connection.commit()
            await connection.run_sync(_upgrade)
            await connection.commit()
            await connection.execute(text(f"select pg_advisory_unlock({_LOCK})"))
    except ValueError as error:
        raise _no_address() from error
    except AWAY as error:
        raise Unavailable(f"cannot reach Postgres: {str(error) or type(error).__name__}") from error
    except DBAPIError as error:
        raise ConfigurationError(f"cannot migrate the database: {error.orig}") from error
    except CommandError as error:
        await check(dsn)  # knows best what to do where a newer version was
        raise ConfigurationError(f"cannot migrate the database: {error}") from error
    finally:
        await engine.dispose()
    return known()


def _no_address() -> ConfigurationError:
    """What is wrong with an address is not told: it may be a part of the password."""
    return ConfigurationError(
        "cannot reach Postgres: HOOKLINE_DATABASE_URL is postgresql://user:password@host:5432/database, with what is "
        "special in the password percent-encoded"
    )


def sql() -> str:
    """The statements that `migrate` runs on an empty database, for a DBA to read and run."""
    from alembic import command

    buffer = io.StringIO()
    command.upgrade(_config(output_buffer=buffer), "head", sql=True)
    return buffer.getvalue()


def _upgrade(connection: SyncConnection) -> None:
    from alembic import command

    config = _config()
    config.attributes["connection"] = connection
    command.upgrade(config, "head")


def _revisions() -> ScriptDirectory:
    from alembic.script import ScriptDirectory

    return ScriptDirectory.from_config(_config())


def _config(**options: Any) -> Config:
    from alembic.config import Config

    config = Config(**options)
    config.set_main_option("script_location", str(_scripts()))
    config.set_main_option("path_separator", "os")
    return config


def _scripts() -> Path:
    """The packaged migrations, else, in an editable install, the repository's."""
    package = Path(__file__).parent.parent
    packaged = package / "migrations"
    return packaged if packaged.is_dir() else package.parent.parent / "migrations"
