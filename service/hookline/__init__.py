"""Durable workflow runs out of webhooks, on nothing but Postgres."""

from hookline.app import App
from hookline.client import Client, Refused
from hookline.errors import ChildCancelled, Failure, Fatal, NotDone, SignalRefused, TasksFailed
from hookline.events import Event, Pattern, Trigger
from hookline.jobs.callback import Approval, Callback, CallbackFailed, Verdict
from hookline.jobs.chain import Chain, again
from hookline.jobs.context import Context
from hookline.jobs.current import current_step, progress
from hookline.jobs.fan import Batch, TooManyFailed
from hookline.jobs.graph import Graph
from hookline.jobs.operators import (
    Command,
    CommandFailed,
    Delete,
    Get,
    GitHubComment,
    GitHubStatus,
    HttpRequest,
    Patch,
    Post,
    Put,
    RequestFailed,
    RequestRefused,
)
from hookline.jobs.retry import Retry
from hookline.jobs.schedule import Schedule
from hookline.jobs.step import step

__all__ = [
    "App",
    "Approval",
    "Batch",
    "Callback",
    "CallbackFailed",
    "Chain",
    "ChildCancelled",
    "Client",
    "Command",
    "CommandFailed",
    "Context",
    "Delete",
    "Event",
    "Failure",
    "Fatal",
    "Get",
    "GitHubComment",
    "GitHubStatus",
    "Graph",
    "HttpRequest",
    "NotDone",
    "Patch",
    "Pattern",
    "Post",
    "Put",
    "Refused",
    "RequestFailed",
    "RequestRefused",
    "Retry",
    "Schedule",
    "SignalRefused",
    "TasksFailed",
    "TooManyFailed",
    "Trigger",
    "Verdict",
    "again",
    "current_step",
    "progress",
    "step",
]
