"""Durable workflow runs out of webhooks, on nothing but Postgres."""

from hookline.app import App
from hookline.client import Client, Refused
from hookline.errors import ChildCancelled, Failure, Fatal, NotDone, SignalRefused, TasksFailed
from hookline.events import Event, Pattern, Trigger, any_of
from hookline.jobs.callback import Approval, Callback, CallbackFailed, Verdict
from hookline.jobs.chain import Chain, again
from hookline.jobs.connector import Item, files, rows
from hookline.jobs.context import Context
from hookline.jobs.current import current_step, progress
from hookline.jobs.fan import Batch, TooManyFailed
from hookline.jobs.graph import Graph
from hookline.jobs.machine import Machine
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
from hookline.jobs.step import Step, step
from hookline.jobs.visit import Answer, WrongDestination, cancel, pause, skip
from hookline.terms import Debounce, Rate

__all__ = [
    "Answer",
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
    "Debounce",
    "Delete",
    "Event",
    "Failure",
    "Fatal",
    "Get",
    "GitHubComment",
    "GitHubStatus",
    "Graph",
    "HttpRequest",
    "Item",
    "Machine",
    "NotDone",
    "Patch",
    "Pattern",
    "Post",
    "Put",
    "Rate",
    "Refused",
    "RequestFailed",
    "RequestRefused",
    "Retry",
    "Schedule",
    "SignalRefused",
    "Step",
    "TasksFailed",
    "TooManyFailed",
    "Trigger",
    "Verdict",
    "WrongDestination",
    "again",
    "any_of",
    "cancel",
    "current_step",
    "files",
    "pause",
    "progress",
    "rows",
    "skip",
    "step",
]
