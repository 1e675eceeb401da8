"""The table of the API: every path, whom it asks for, what answers, and with what."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from hookline.app import App
from hookline.ingress.intake import Intake
from hookline.ingress.register import Register
from hookline.settings import Settings
from hookline.store.database import Database
from hookline.timetable import Timetable
from hookline.web.access import Principal
from hookline.web.api.actions import Actions
from hookline.web.api.bulk import Bulk
from hookline.web.api.definitions import TYPES, Definitions
from hookline.web.api.inbox import Inbox
from hookline.web.api.listings import Listings
from hookline.web.api.logs import Logs
from hookline.web.api.overview import Overview
from hookline.web.api.resealing import Resealing
from hookline.web.api.runs import Runs
from hookline.web.api.schedules import Schedules
from hookline.web.api.shapes import (
    AuditPage,
    Completed,
    DataDeleted,
    DebuggedRun,
    Graph,
    Job,
    JobList,
    LogPage,
    NewToken,
    RunPage,
    RunWithData,
    Schedule,
    ScheduleList,
    Signalled,
    TokenList,
)
from hookline.web.api.sources import Sources
from hookline.web.api.steering import Steering
from hookline.web.api.streams import Streams
from hookline.web.api.tokens import Tokens
from hookline.web.endpoint import Endpoint
from hookline.web.faults import Fault
from hookline.web.frames import MEDIA_TYPE
from hookline.web.standing import Standing
from hookline.web.stream import Feed

CHANGED = (Fault.PRECONDITION_FAILED,)
FORBIDDEN = (Fault.RUN_ENDED, Fault.STATE_FORBIDS)
WRITTEN = (Fault.INVALID_INPUT, *CHANGED)
FORKED = (*FORBIDDEN, Fault.INVALID_INPUT)
RESUMED = (Fault.INVALID_PARAMETER,)
CALLBACK = (Fault.COMPLETED_ALREADY, Fault.CALLBACK_CLOSED)
KEPT = (Fault.INVALID_PARAMETER, Fault.SOURCE_FIXED, Fault.NO_ENCRYPTION_KEY)
RESEALED = (Fault.NO_ENCRYPTION_KEY, Fault.INVALID_INPUT)
ROTATED = (*KEPT, Fault.SOURCE_UNUSABLE, Fault.SOURCE_UNSIGNED, Fault.TOO_MANY_SECRETS)


def table(
    app: App,
    settings: Settings,
    database: Database,
    intake: Intake,
    register: Register,
    feed: Feed,
    standing: Standing,
) -> Sequence[Endpoint]:
    """Every endpoint of the API; of two that fit a path the first one answers."""
    runs = Runs(database, intake)
    logs = Logs(database)
    actions = Actions(database, intake, app.latest)
    steering = Steering(database, actions)
    bulk = Bulk(database, actions)
    inbox = Inbox(database, intake, register)
    sources = Sources(database, register, settings.public_url or "")
    listings = Listings(database, app.latest)
    definitions = Definitions(database, app, commands=settings.definitions_commands)
    schedules = Schedules(database, Timetable(app.latest))
    access = Tokens(database)
    streams = Streams(database, feed, standing)
    overview = Overview(database, register)
    return [
        Endpoint("GET /overview", "viewer", overview.show),
        Endpoint("GET /jobs", "viewer", listings.jobs, JobList),
        Endpoint("GET /jobs/{name}", "viewer", listings.job, Job),
        Endpoint("GET /jobs/{name}/graph", "viewer", listings.graph, Graph),
        Endpoint("POST /jobs/{name}/runs", "operator", runs.start, RunWithData, (200, 201), (Fault.INVALID_INPUT,)),
        Endpoint("GET /runs", "viewer", runs.list, RunPage),
        Endpoint("GET /runs/{id}", "viewer", runs.show, RunWithData),
        Endpoint("POST /runs/{action}", "operator", bulk.post, refuses=(Fault.NO_SUCH_PATH,)),
        Endpoint("GET /runs/{id}/await", "viewer", steering.await_, RunWithData, refuses=(Fault.NOT_YET,)),
        Endpoint("GET /runs/{id}/logs", "viewer", logs.list, LogPage),
        Endpoint("GET /runs/{id}/debug", "viewer", steering.debug, DebuggedRun),
        Endpoint("DELETE /runs/{id}/data", "admin", steering.delete_data, DataDeleted, (200, 202), FORBIDDEN),
        Endpoint("POST /runs/{id}/retry", "operator", steering.retry, RunWithData, (201,), FORBIDDEN),
        Endpoint("POST /runs/{id}/fork", "operator", steering.fork, RunWithData, (201,), FORKED),
        Endpoint("POST /runs/{id}/signals", "operator", steering.signal, Signalled, (202,), FORBIDDEN),
        Endpoint("POST /runs/{id}/callbacks/{key:path}", "operator", steering.complete, Completed, (202,), CALLBACK),
        Endpoint("POST /runs/{id}/cancel", "operator", steering.cancel, RunWithData, (200, 202), FORBIDDEN),
        Endpoint("POST /runs/{id}/pause", "operator", steering.pause, RunWithData, (200, 202), FORBIDDEN),
        Endpoint("POST /runs/{id}/resume", "operator", steering.resume, RunWithData, (200, 202), FORBIDDEN),
        Endpoint("GET /definitions", "viewer", definitions.list),
        Endpoint("GET /definitions/{name}", "viewer", definitions.show),
        Endpoint("PUT /definitions/{name}", "admin", definitions.put, Any, (200, 201), WRITTEN, takes=TYPES),
        Endpoint("DELETE /definitions/{name}", "admin", definitions.delete, refuses=CHANGED),
        Endpoint("GET /schedules", "viewer", schedules.list, ScheduleList),
        Endpoint("GET /schedules/{name}", "viewer", schedules.show, Schedule),
        Endpoint("POST /schedules/{name}/backfill", "operator", schedules.backfill, refuses=(Fault.INVALID_INPUT,)),
        Endpoint("POST /schedules/{name}/on", "operator", schedules.on, Schedule),
        Endpoint("POST /schedules/{name}/off", "operator", schedules.off, Schedule),
        Endpoint("GET /sources", "viewer", sources.list),
        Endpoint("POST /sources/reseal", "admin", sources.reseal, Any, refuses=(Fault.NO_ENCRYPTION_KEY,)),
        Endpoint("GET /sources/{name}", "viewer", sources.show),
        Endpoint("PUT /sources/{name}", "admin", sources.put, Any, (200, 201), (*KEPT, *CHANGED)),
        Endpoint("DELETE /sources/{name}", "admin", sources.delete, Any, refuses=KEPT),
        Endpoint("POST /sources/{name}/rotate", "admin", sources.rotate, Any, refuses=ROTATED),
        Endpoint("POST /reseal", "admin", Resealing(database).go_on, Any, refuses=RESEALED),
        Endpoint("GET /connectors", "viewer", listings.connectors),
        Endpoint("GET /workers", "viewer", listings.workers),
        Endpoint("GET /deliveries", "viewer", inbox.list),
        Endpoint("GET /deliveries/feed", "viewer", inbox.feed),
        Endpoint("GET /deliveries/{id}", "viewer", inbox.show),
        Endpoint("POST /deliveries/{id}/replay", "operator", inbox.replay, Any, (200, 202), (Fault.SOURCE_UNUSABLE,)),
        Endpoint("GET /stream", "viewer", streams.all, str, media=MEDIA_TYPE),
        Endpoint("GET /runs/{id}/stream", "viewer", streams.one, str, (200, 204), RESUMED, media=MEDIA_TYPE),
        Endpoint("GET /tokens", "admin", access.list, TokenList),
        Endpoint("POST /tokens", "admin", access.make, NewToken, (201,), (Fault.TOKEN_EXISTS,)),
        Endpoint("DELETE /tokens/{id}", "admin", access.revoke),
        Endpoint("GET /audit", "admin", access.audit, AuditPage),
        Endpoint("GET /me", "viewer", access.me, Principal),
    ]  # fmt: skip
