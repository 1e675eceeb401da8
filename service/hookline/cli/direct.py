"""Direct: the API's answers without a service, given in this process by the database itself."""

from __future__ import annotations

import asyncio
import weakref
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import httpx

from hookline import embedded, telemetry
from hookline.app import App
from hookline.cli.process import prepare
from hookline.client import told
from hookline.errors import ConfigurationError
from hookline.ingress.intake import Intake
from hookline.ingress.register import Register
from hookline.loading import load as load_app
from hookline.settings import Settings, load
from hookline.store import migrate
from hookline.store.database import Database
from hookline.web.routes import application

HERE = "http://127.0.0.1"


class Direct:
    """Asks the database at HOOKLINE_DATABASE_URL, or the embedded one, by the routes that a service has.

    It only looks. What changes something is left to a service, which knows the hooks of its jobs and its audit.

    Raises:
        ConfigurationError: there is no such database, or its schema is another.
        Unavailable: it does not answer.
    """

    def __init__(self) -> None:
        telemetry.silence()
        self._settings = load()
        self._app = App() if self._settings.app is None else load_app(self._settings.app)
        self._held = ExitStack()
        weakref.finalize(self, self._held.close)
        dsn = self._held.enter_context(existing(self._settings))
        if dsn is None:
            raise ConfigurationError("there is no database yet: set HOOKLINE_DATABASE_URL, or run `hookline dev`")
        self._dsn = dsn
        prepare(self._dsn, migrating=False)

    def get(self, path: str, **query: object) -> Any:
        """The JSON at `path`; `None` in the query is left out. Raises `Refused`."""
        given = {name: str(value) for name, value in query.items() if value is not None}
        return told("the database", asyncio.run(self._get(path, given)))

    async def _get(self, path: str, query: dict[str, str]) -> httpx.Response:
        settings = self._settings.model_copy(update={"api_tokens": ()})
        async with Database(self._dsn) as database:
            answering = application(
                self._app, settings, database, Intake(self._app, database, timeout=settings.intake_timeout),
                Register(self._app, database, settings), schema=migrate.known(), slack=None, local=True,
            )  # fmt: skip
            async with httpx.AsyncClient(transport=httpx.ASGITransport(answering), base_url=HERE) as client:
                return await client.get(path, params=query)


@contextmanager
def existing(settings: Settings) -> Iterator[str | None]:
    """Where Postgres is; `None` if there is none yet: who only looks makes no embedded one."""
    data = settings.data or embedded.default_data()
    if settings.database_url is not None:
        yield settings.database_url.get_secret_value()
    elif (data / "PG_VERSION").exists():
        with embedded.running(data) as dsn:
            yield dsn
    else:
        yield None
