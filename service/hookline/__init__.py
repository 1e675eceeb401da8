"""Durable workflow runs out of webhooks, on nothing but Postgres."""

from hookline.app import App
from hookline.errors import Fatal
from hookline.events import Event, Pattern, Trigger
from hookline.jobs.context import Context
from hookline.jobs.retry import Retry
from hookline.jobs.step import step

__all__ = ["App", "Context", "Event", "Fatal", "Pattern", "Retry", "Trigger", "step"]
