"""Facts: what `hookline doctor` finds out, here and in the database, before anything is judged."""

from __future__ import annotations

import os
import shutil
import stat
from collections.abc import Mapping, Sequence
from pathlib import Path
from time import time
from typing import Any

import httpx
import msgspec
from msgspec import Struct

from hookline import embedded
from hookline.app import App
from hookline.errors import ConfigurationError, InvalidInput, Unavailable
from hookline.ingress.register import Register
from hookline.ingress.sources import configured
from hookline.loading import load
from hookline.settings import Settings, examined
from hookline.store import connectors, definitions, diagnosis, overview, schedules, workers
from hookline.store.database import AWAY, Connection, Database
from hookline.store.migrate import CURRENT, known

Row = Mapping[str, Any]

HEARD_WITHIN = 2.0
DAY = 86_400.0


class SecretFile(Struct, frozen=True):
    """A file that holds secrets: for what, who may read it, and why it cannot be read here."""

    path: str
    purpose: str
    mode: int = 0o600
    problem: str | None = None


class Here(Struct, frozen=True, kw_only=True):
    """What this machine tells.

    Args:
        wrong: what is wrong with settings.
        app: what is wrong with the application; `None` if it loads.
        jobs: by offer, the types of events that start runs.
        refused: what is wrong with sources that the settings and the code declare, by their names.
        parsers: by source, the parser of those that can be used.
        data: where the embedded Postgres is, if it is used; `disk` are bytes there, free and in all.
    """

    settings: Settings
    wrong: Sequence[str] = ()
    files: Sequence[SecretFile] = ()
    app: str | None = None
    jobs: Mapping[str, Sequence[str]] = {}
    refused: Mapping[str, str] = {}
    parsers: Mapping[str, str] = {}
    data: Path | None = None
    disk: tuple[int, int] | None = None


class There(Struct, frozen=True, kw_only=True):
    """What the database tells; all but the first is there only if its schema is the one that is known here.

    Args:
        server: as `diagnosis.server` tells it.
        skew: seconds by which this machine's clock is ahead, give or take `latency`.
        schema: the revision of the database; `expected` the one that is known here.
        kept: the sources that are kept, each with its `name`, `parser`, `problem` and whether it is sealed by the
            `first` key.
        unloadable: what is wrong with definitions, by their names.
    """

    server: Row
    latency: float = 0.0
    skew: float = 0.0
    heard: bool = True
    lag: float | None = None
    reader: str | None = None
    schema: str | None = None
    expected: str = ""
    lacking: Sequence[str] = ()
    tables: Sequence[Row] = ()
    workers: Sequence[Row] = ()
    queues: Sequence[Row] = ()
    unoffered: Sequence[Row] = ()
    paused: Sequence[Row] = ()
    schedules: Sequence[Row] = ()
    connectors: Sequence[Row] = ()
    sources: Sequence[Row] = ()
    kept: Sequence[Row] = ()
    unloadable: Mapping[str, str] = {}
    events_age: float = 0.0
    now: float = 0.0


class Facts(Struct, frozen=True):
    """All that was found out; of the database `None`, with the problem, if it does not answer."""

    here: Here
    there: There | None = None
    unreachable: str | None = None
    ready: Mapping[str, str] | None = None


def look_here() -> tuple[Here, App]:
    """What this machine tells, and the application, without any job if it cannot be loaded."""
    settings, wrong = examined()
    problem = None
    try:
        app = load(settings.app)
    except ConfigurationError as error:
        app, problem = App(), str(error)
    refused: dict[str, str] = {}
    parsers: dict[str, str] = {}
    alone = [(each.name, settings.model_copy(update={"sources": (each,)}), App()) for each in settings.sources]
    for name, declared in app.sources.items():
        other = App()
        other.sources[name] = declared
        alone.append((name, settings.model_copy(update={"sources": ()}), other))
    for name, only, other in alone:
        try:
            configured(only, other)
        except ConfigurationError as error:
            refused[name] = str(error)
        else:
            parsers[name] = next(each.parser for each in (*only.sources, *other.sources.values()))
    for name in {each.name for each in settings.sources} & set(app.sources):
        refused[name] = "it is declared in code and in the settings: keep one of them"
    data = None if settings.database_url else settings.data or embedded.default_data()
    return Here(
        settings=settings,
        wrong=wrong,
        files=_files(settings),
        app=problem,
        jobs={job.offer: [type_ for pattern in job.on for type_ in pattern.types] for job in app},
        refused=refused,
        parsers=parsers,
        data=data,
        disk=None if data is None else _disk(data),
    ), app


def _files(settings: Settings) -> list[SecretFile]:
    named = [(Path(".env"), "settings")] if Path(".env").exists() else []
    for each in settings.sources:
        named += [(each.secrets_file, f"the secrets of source {each.name}")] if each.secrets_file else []
        if key := each.reconcile.get("APP_KEY_FILE"):
            named.append((Path(key.get_secret_value()), f"the App's key of source {each.name}"))
    return [_file(path, purpose) for path, purpose in named]


def _file(path: Path, purpose: str) -> SecretFile:
    try:
        with path.open("rb") as opened:
            return SecretFile(str(path), purpose, stat.S_IMODE(os.fstat(opened.fileno()).st_mode))
    except OSError as error:
        return SecretFile(str(path), purpose, problem=error.strerror or type(error).__name__)


def _disk(data: Path) -> tuple[int, int]:
    there = next(each for each in (data, *data.resolve().parents) if each.exists())
    usage = shutil.disk_usage(there)
    return usage.free, usage.total


async def look_there(here: Here, app: App, dsn: str) -> There:
    """What the database at `dsn` tells.

    Raises:
        Unavailable, OSError, asyncpg.PostgresError, asyncpg.InterfaceError: it does not answer.
    """
    settings = here.settings
    reader = settings.reader_url.get_secret_value() if settings.reader_url else None
    async with Database(dsn, reader_dsn=reader, patience=settings.lease / 2) as database:
        listening = await database.connect(patience=10)
        try:
            server = dict(await diagnosis.server(listening))
            latency = await diagnosis.latency(listening)
            skew = time() - latency / 2 - (await diagnosis.server(listening))["now"]
            revision = await _revision(listening)
            seen: dict[str, Any] = {
                "server": server, "latency": latency, "skew": skew, "schema": revision, "expected": known(),
                "now": server["now"],
            }  # fmt: skip
            if not server["standby"]:
                async with database.session() as speaking:
                    seen["heard"] = await diagnosis.is_heard(listening, speaking, HEARD_WITHIN)
        finally:
            listening.terminate()
        if reader is not None:
            seen |= await _reader(database)
        if revision == seen["expected"]:
            register = Register(App(), database, settings.model_copy(update={"sources": ()}))
            async with database.session() as connection:
                seen["lacking"] = await diagnosis.lacking(connection)
                if not seen["lacking"]:
                    seen |= await _ours(connection, here)
                    seen["unloadable"] = await _unloadable(connection, app, commands=settings.definitions_commands)
            if not seen["lacking"]:
                seen["kept"] = await _kept(register)
        return There(**seen)


async def _revision(connection: Connection) -> str | None:
    found: str | None = None
    if await connection.fetchval("select to_regclass('hookline.alembic_version')") is not None:
        found = await connection.fetchval(CURRENT)
    return found


async def _reader(database: Database) -> dict[str, Any]:
    try:
        async with database.reading() as connection:
            told = await diagnosis.standby(connection)
    except Unavailable as error:
        return {"reader": str(error)}
    return {"lag": told["lag"]} if told["standby"] else {}


async def _ours(connection: Connection, here: Here) -> dict[str, Any]:
    since = (now := await overview.now(connection)).fromtimestamp(now.timestamp() - DAY, now.tzinfo)
    return {
        "tables": [dict(row) for row in await diagnosis.tables(connection)],
        "workers": [dict(row) for row in await workers.listed(connection)],
        "queues": [dict(row) for row in await overview.queues(connection)],
        "unoffered": [dict(row) for row in await diagnosis.unoffered(connection)],
        "paused": [dict(row) for row in await overview.paused(connection)],
        "schedules": [dict(row) for row in await schedules.listed(connection)],
        "connectors": [dict(row) for row in await connectors.listed(connection)],
        "sources": [dict(row) for row in await overview.sources(connection, sorted(here.parsers), since)],
        "events_age": await diagnosis.events_age(connection),
    }


async def _unloadable(connection: Connection, app: App, *, commands: bool) -> dict[str, str]:
    found = {}
    for each in await definitions.listed(connection):
        try:
            app.learn(each["name"], each["version"], each["source"], commands=commands)
        except InvalidInput as error:
            found[each["name"]] = str(error)
    return found


async def _kept(register: Register) -> list[Row]:
    return [
        {
            "name": each.kept.name, "parser": each.kept.parser, "problem": each.problem,
            "first": all(register.seal.is_first(secret.sealed) for secret in each.kept.secrets),
        }
        for each in await register.kept()
    ]  # fmt: skip


def look_at_replica(url: str) -> Mapping[str, str]:
    """What the replica at `url` answers to who asks whether it is ready."""
    try:
        response = httpx.get(f"{url.rstrip('/')}/readyz", timeout=10)
        told = msgspec.json.decode(response.content, type=dict[str, str])
    except (httpx.HTTPError, httpx.InvalidURL, msgspec.DecodeError) as error:
        return {"status": f"does not answer: {str(error) or type(error).__name__}"}
    return told


UNREACHABLE = (*AWAY, Unavailable, ValueError)
"""What is raised when the database does not answer, or where it is cannot be read."""
