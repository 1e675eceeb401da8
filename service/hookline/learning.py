"""Learning: how an application comes to know the definitions that are kept in Postgres."""

from __future__ import annotations

from hookline import telemetry
from hookline.app import App
from hookline.errors import InvalidInput
from hookline.store import definitions
from hookline.store.database import Connection
from hookline.timetable import Timetable


async def learn(connection: Connection, app: App, *, commands: bool) -> bool:
    """Have `app` know what has changed since it last did; whether anything has.

    A definition that cannot be run here is told of, and left to replicas that can.
    """
    changed = await definitions.since(connection, app.known)
    for row in changed:
        try:
            app.learn(row["name"], row["version"], row["source"], commands=commands)
        except InvalidInput as error:
            telemetry.log.error(
                "definition.not_learnt", definition=row["name"], version=row["version"], error=str(error)
            )
        app.known = row["seq"]
    if changed:
        await Timetable(app.latest).declare(connection)
    return bool(changed)
