"""Decisions: what follows from what happened, as pure functions; others carry them out."""

from __future__ import annotations

import importlib
import sys
import traceback
from typing import Any

from hookline import codec
from hookline.errors import Cancelled, Fatal, Interrupt, NonDeterminism, StepFailed, Suspended, TimedOut
from hookline.jobs.job import Job
from hookline.store.claims import Claim, Finish

MEMORY_PAUSE = 5.0
"""Seconds: a pause up to this long is waited for in memory, a longer one gives the run back."""


def succeeded(claim: Claim, output: bytes) -> Finish:
    """The run's job returned."""
    return Finish(claim, "succeeded", output=None if output == codec.NULL else output, attempt=claim.attempt)


def failed(claim: Claim, job: Job, error: Exception, step: str | None) -> Finish:
    """The run's job raised `error`, which its step `step` had raised, if one did: try the run again, or let it fail."""
    if job.retry.wants(claim.attempt, error):
        return Finish(
            claim,
            "queued",
            error=describe(error),
            reason=f"attempt {claim.attempt} of {job.retry.attempts} failed: {summary(error)}",
            delay=job.retry.pause(claim.attempt),
            attempt=claim.attempt + 1,
            forget=step,
        )
    return Finish(claim, "failed", error=describe(error), reason=summary(error), attempt=claim.attempt)


def interrupted(claim: Claim, job: Job, interrupt: Interrupt, delay: float) -> Finish | None:
    """The execution was ended from outside; `None` if nothing may be written of it any more."""
    match interrupt:
        case Cancelled():
            return Finish(claim, "cancelled", reason=str(interrupt), attempt=claim.attempt)
        case TimedOut():
            error = TimeoutError(f"the run exceeded the {job.timeout:g} s that its job allows")
            return Finish(claim, "failed", error=describe(error), reason=str(error), attempt=claim.attempt)
        case NonDeterminism():
            return Finish(claim, "paused", reason=str(interrupt), attempt=claim.attempt)
        case Suspended():
            if job.timeout is not None:
                delay = min(delay, max(job.timeout - claim.age, 0.0))
            return Finish(claim, "queued", reason=str(interrupt) or None, delay=delay, attempt=claim.attempt)
        case _:
            return None


def describe(error: BaseException) -> bytes:
    """`error` as the JSON that the journal keeps: `{type, message, traceback}`."""
    kind = type(error)
    return codec.encode(
        {
            "type": f"{kind.__module__}:{kind.__qualname__}",
            "message": _printable(str(error)),
            "traceback": _printable("".join(traceback.format_exception(error, limit=-20))),
        }
    )


def summary(error: BaseException) -> str:
    """`error` in one line for people, as Python writes it at the end of a traceback."""
    return _printable("".join(traceback.format_exception_only(error)).strip().splitlines()[-1])[:500]


def rebuild(described: bytes) -> Exception:
    """The exception that a journal describes: of the same type, if that is loaded here, else a `StepFailed`."""
    told: dict[str, Any] = codec.decode(described)
    module, _, name = told["type"].partition(":")
    found: Any = sys.modules.get(module) or _imported(module)
    for part in name.split("."):
        found = getattr(found, part, None)
    if isinstance(found, type) and issubclass(found, Exception):
        try:
            error = found.__new__(found, told["message"])
        except TypeError:
            pass
        else:
            error.args = (told["message"],)
            return error
    return StepFailed(f"{name}: {told['message']}")


def _imported(module: str) -> Any:
    try:
        return importlib.import_module(module)
    except Exception:  # noqa: BLE001 - what cannot be imported here is told of by a stand-in
        return None


def unusable(what: str, error: Exception) -> Fatal:
    """The failure of a value that cannot be kept, or does not have the type that was declared."""
    return Fatal(f"{what} cannot be recorded: {error}")


def stray(error: BaseException) -> Fatal:
    """The failure of a job that raised what only the process itself should see, such as `SystemExit`."""
    return Fatal(f"the job raised {error!r}")


def _printable(text: str) -> str:
    """`text` without what Postgres cannot hold: lone surrogates, as in the names of files, and NUL."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8").replace("\0", "\\0")
