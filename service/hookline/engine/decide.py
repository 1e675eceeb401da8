"""Decisions: what follows from what happened, as pure functions; others carry them out."""

from __future__ import annotations

import importlib
import sys
import traceback
from collections.abc import Mapping, Sequence
from typing import Any

from msgspec.structs import replace

from hookline import codec
from hookline.errors import (
    Cancelled,
    ChildCancelled,
    Fatal,
    GivenBack,
    Hold,
    Interrupt,
    KeyMissing,
    NonDeterminism,
    Paused,
    StepFailed,
    Suspended,
    TimedOut,
)
from hookline.jobs.job import Job
from hookline.starts import hooked
from hookline.store.claims import Claim
from hookline.store.finishes import Finish
from hookline.store.runs import NewRun

MEMORY_PAUSE = 1.0
"""Seconds: a pause up to this long is waited for in memory, a longer one gives the run back."""


KEY_PAUSE = 15.0
"""Seconds until a run of which something cannot be opened is claimed again."""


def succeeded(claim: Claim, output: bytes) -> Finish:
    """The run's job returned."""
    return Finish(claim, "succeeded", output=None if output == codec.NULL else output, attempt=claim.attempt)


def failed(claim: Claim, job: Job, error: Exception, steps: Sequence[str]) -> Finish:
    """The run's job raised `error`, which its calls `steps` had raised, if any: try again, pause, or let it fail."""
    told = describe(error, steps)
    if isinstance(error, Hold):
        return Finish(
            claim,
            "paused",
            error=told,
            reason=str(error),
            bare="it asks for an operator, and says why in its error",
            delay=None,
            retries=True,
            forget=tuple(steps),
        )
    if job.retry.wants(claim.attempt, error):
        return Finish(
            claim,
            "queued",
            error=told,
            reason=f"attempt {claim.attempt} of {job.retry.attempts} failed: {summary(error)}",
            bare=f"attempt {claim.attempt} of {job.retry.attempts} failed: {kind(error)}",
            delay=job.retry.pause(claim.attempt),
            attempt=claim.attempt + 1,
            retries=True,
            forget=tuple(steps),
        )
    if job.on_error == "pause" and not isinstance(error, Fatal):
        return Finish(
            claim,
            "paused",
            error=told,
            reason=summary(error),
            bare=kind(error),
            delay=job.resume_after,
            retries=True,
            forget=tuple(steps),
        )
    return Finish(claim, "failed", error=told, reason=summary(error), bare=kind(error), attempt=claim.attempt)


def interrupted(claim: Claim, job: Job, interrupt: Interrupt, delay: float | None) -> Finish | None:
    """The execution was ended from outside; `None` if nothing may be written of it any more.

    Args:
        delay: seconds until one of the run's waits ends by itself; `None` if none does.
    """
    match interrupt:
        case Cancelled():
            return Finish(claim, "cancelled", reason=str(interrupt), attempt=claim.attempt)
        case TimedOut():
            error = TimeoutError(f"the run exceeded the {job.timeout:g} s that its job allows")
            return Finish(claim, "failed", error=describe(error), reason=str(error), attempt=claim.attempt)
        case NonDeterminism() | Paused():
            return Finish(claim, "paused", reason=str(interrupt), delay=None, attempt=claim.attempt)
        case KeyMissing():
            return sealed_away(claim, str(interrupt))
        case GivenBack():
            return Finish(claim, "queued", attempt=claim.attempt)
        case Suspended():
            if job.timeout is not None:
                left = max(job.timeout - claim.age, 0.0)
                delay = left if delay is None else min(delay, left)
            return Finish(claim, "waiting", delay=delay, attempt=claim.attempt)
        case _:
            return None


def sealed_away(claim: Claim, why: str) -> Finish:
    """Something of the run cannot be opened here: it is given back, to a replica that can, or to this one when it can.

    It has failed in nothing, so this is no try of it.
    """
    reason = f"it cannot go on here, as something of it rests encrypted: {why}"
    return Finish(claim, "queued", reason=reason, delay=KEY_PAUSE, attempt=claim.attempt)


def not_made_up_for(finish: Finish, failures: Mapping[str, str]) -> Finish:
    """The run has compensated for what it had done; `failures` tells what of that failed, by the calls' keys."""
    if not failures:
        return finish
    told = "; ".join(f"{key}: {failure}" for key, failure in failures.items())
    plain = f"{finish.bare or finish.reason}; not made up for: {'; '.join(failures)}"[:1000]
    return replace(finish, reason=f"{finish.reason}; not made up for: {told}"[:1000], bare=plain)


def hooks(finish: Finish, job: Job, jobs: Mapping[str, Job]) -> tuple[NewRun, ...]:
    """The runs that are to start because a run of `job` comes into a state."""
    return hooked(job, jobs, finish.claim.id, finish.claim.number, finish.state, finish.reason)


def describe(error: BaseException, steps: Sequence[str] = ()) -> bytes:
    """`error` as the JSON that is kept: `{type, message, traceback}`, of a run's with the `steps` it came out of."""
    kind = type(error)
    told = {
        "type": f"{kind.__module__}:{kind.__qualname__}",
        "message": _printable(str(error)),
        "traceback": _printable("".join(traceback.format_exception(error, limit=-20))),
    }
    return codec.encode(told | {"step": steps[0], "steps": list(steps)} if steps else told)


def came_from_step(finish: Finish) -> bool:
    """Whether the run failed with what one of its calls raised."""
    return finish.error is not None and "step" in codec.decode(finish.error)


def child_error(job: str, described: bytes, reason: str) -> Exception:
    """What a run raises whose child of `job` did not succeed."""
    if described == codec.NULL:
        return ChildCancelled(f"the run of {job} that this one waited for was cancelled: {reason}")
    return rebuild(described)


def summary(error: BaseException) -> str:
    """`error` in one line for people, as Python writes it at the end of a traceback."""
    return _printable("".join(traceback.format_exception_only(error)).strip().splitlines()[-1])[:500]


def kind(error: BaseException) -> str:
    """What `error` is, without what it says, which may quote payload."""
    return type(error).__name__


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
