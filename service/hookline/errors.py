"""What can go wrong, each named for the person who must act on it."""

from __future__ import annotations

from collections.abc import Mapping


class HooklineError(Exception):
    """The root of every error that hookline raises on purpose."""


class ConfigurationError(HooklineError):
    """Settings, an application or a schema that hookline cannot start with; its text is one clear line."""


class Fatal(HooklineError):
    """Raised by a step or a job to fail at once: no retry policy applies.

    Example:
        >>> raise Fatal("no such commit")
        Traceback (most recent call last):
        hookline.errors.Fatal: no such commit
    """


class Failure(Fatal):
    """Raised by a step of a Chain that has failed, as against one that is broken: its failure branch is taken."""


class Hold(HooklineError):
    """A job asks to be paused for an operator; when it is resumed, what asked for that is done again."""


class TasksFailed(HooklineError):
    """Several tasks of a Graph failed; `errors` has what each raised, by its name."""

    def __init__(self, errors: Mapping[str, Exception]) -> None:
        told = "; ".join(f"{name}: {type(error).__name__}: {error}" for name, error in errors.items())
        super().__init__(f"{len(errors)} tasks failed: {told}")
        self.errors = dict(errors)


class StepFailed(HooklineError):
    """Stands in for a recorded failure whose own type cannot be imported here; carries its name and text."""


class ChildCancelled(HooklineError):
    """A run that was waited for was cancelled."""


class SignalRefused(HooklineError):
    """A signal was sent to a run that does not exist or has ended."""


class NotDone(HooklineError):
    """Raised by the function that finds out about a step `once` to say that it was not done: do it again."""


class InvalidInput(HooklineError):
    """A run was asked for with an input, a scope or a job that does not fit; nothing was created."""


class UnknownJob(InvalidInput):
    """A run was asked for of a job that this application does not declare."""


class Rejected(HooklineError):
    """A delivery that is not authentic; `reason` goes to a metric, never to the sender."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class Unparseable(HooklineError):
    """An authentic delivery whose content its parser cannot make sense of: it is stored, quarantined."""


class Unsealable(HooklineError):
    """What was sealed cannot be opened: its key is not among ours, or it is not what we sealed, or not for this."""


class Unavailable(HooklineError):
    """Postgres does not answer, or too much is in flight: try again later."""


class TooOften(HooklineError):
    """A source's senders send more than its rate allows; `after` so many seconds they may again."""

    def __init__(self, after: float) -> None:
        super().__init__(f"the source takes no more for {after:.3g} s")
        self.after = after


class IllegalTransition(HooklineError):
    """A run was asked to change to a state that its present one does not lead to."""


class RunEnded(IllegalTransition):
    """A run was asked for something after it had ended."""


class Interrupt(BaseException):
    """Ends an execution from within a Context call.

    Derives from `BaseException`, so that a job's `except Exception` lets it through.
    """


class Suspended(Interrupt):
    """All that the run does is wait, so it is given back until something ends one of its waits."""


class GivenBack(Interrupt):
    """This worker does not go on with the run; another may, at once."""


class KeyMissing(Interrupt):
    """What the run has recorded rests encrypted, and not all of it can be opened here; another replica may."""


class Cancelled(Interrupt):
    """An operator cancelled the run."""


class Paused(Interrupt):
    """An operator paused the run, or it needs one to go on."""


class TimedOut(Interrupt):
    """The run exceeded the time that its job allows."""


class NonDeterminism(Interrupt):
    """The journal holds a record that the job's code no longer asks for; the run is paused."""


class LeaseLost(Interrupt):
    """This worker was declared dead: another may be at work on its runs, so nothing more is recorded."""
