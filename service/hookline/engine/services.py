"""Services: what all executions of a worker share."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from concurrent.futures import Executor
from dataclasses import dataclass
from typing import Any

from hookline.engine.ledger import Ledger
from hookline.jobs.job import Job
from hookline.store.database import Database


@dataclass(frozen=True, slots=True)
class Services:
    """What all executions of a worker share.

    Args:
        jobs: the latest version of each, by name, which children and hooks are runs of.
        threads: where steps that are plain functions run.
        address: the URL of a callback of a run, by its key.
        log_lines: lines that are kept of what each run says.
        always_replay: whether a run is given back after each call that it makes, to prove that it can be replayed.
        rehearsing: whether only what is recorded is replayed, to see whether the job still asks for it.
    """

    jobs: Mapping[str, Job]
    ledger: Ledger
    database: Database
    threads: Executor
    address: Callable[[Any, str], str]
    log_lines: int = 0
    always_replay: bool = False
    rehearsing: bool = False
