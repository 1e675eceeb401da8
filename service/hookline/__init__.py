"""Durable workflow runs out of webhooks, on nothing but Postgres."""

from hookline.app import App
from hookline.client import Client, Refused
from hookline.errors import ChildCancelled, Fatal, NotDone, SignalRefused
from hookline.events import Event, Pattern, Trigger
from hookline.jobs.callback import Approval, Callback, CallbackFailed, Verdict
from hookline.jobs.context import Context
from hookline.jobs.current import current_step, progress
from hookline.jobs.fan import Batch, TooManyFailed
from hookline.jobs.retry import Retry
from hookline.jobs.step import step

__all__ = [
    "App",
    "Approval",
    "Batch",
    "Callback",
    "CallbackFailed",
    "ChildCancelled",
    "Client",
    "Context",
    "Event",
    "Fatal",
    "NotDone",
    "Pattern",
    "Refused",
    "Retry",
    "SignalRefused",
    "TooManyFailed",
    "Trigger",
    "Verdict",
    "current_step",
    "progress",
    "step",
]
