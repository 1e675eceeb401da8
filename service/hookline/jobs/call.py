"""A call: one thing that a job asks of its Context, and the key under which what comes of it is recorded."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Collection, Coroutine, Generator, Mapping
from datetime import datetime
from typing import Any, ClassVar, Generic, Protocol, TypeVar
from uuid import UUID

from msgspec import Struct

from hookline import codec
from hookline.codec import Typed
from hookline.events import Event, Pattern

R = TypeVar("R")

ANYTHING = Typed(Any)


class Call(Struct, frozen=True, kw_only=True):
    """What is common to all calls.

    Args:
        key: its path of names, unique in the run.
        position: which call of the run it is, from 0.
        fingerprint: of the arguments, to notice when a replay brings others; `None` if they cannot be written down.
    """

    kind: ClassVar[str]

    key: str
    position: int
    fingerprint: bytes | None = None

    def read(self, output: bytes) -> Any:
        """The value that is recorded as `output`, JSON."""
        return codec.decode(output)


class Sleep(Call, frozen=True, kw_only=True):
    """Go on after some seconds, or at a moment."""

    kind: ClassVar[str] = "sleep"

    seconds: float = 0.0
    until: datetime | None = None


class Wait(Call, frozen=True, kw_only=True):
    """Go on when something comes for the run.

    Args:
        mailbox: the name under which it is sent.
        timeout: seconds.
        returns: what it is read as.
    """

    mailbox: str
    timeout: float | None = None
    returns: Typed = ANYTHING

    def read(self, output: bytes) -> Any:
        """The value that is recorded as `output`, JSON."""
        return self.returns.decode(output)


class WaitForSignal(Wait, frozen=True, kw_only=True):
    """Go on when somebody sends a signal."""

    kind: ClassVar[str] = "signal"


class WaitForNext(WaitForSignal, frozen=True, kw_only=True):
    """Go on with the next event about what the run is about."""

    def read(self, output: bytes) -> Event:
        """The event that is recorded as `output`, JSON."""
        told = codec.decode(output)
        return Event(**told["event"], data=told["data"])


class WaitForEvent(Wait, frozen=True, kw_only=True):
    """Go on when a webhook brings an event that fits.

    Args:
        since: how far back to look; `None` is since the run was created.
    """

    kind: ClassVar[str] = "event"

    pattern: Pattern
    since: datetime | None = None

    def read(self, output: bytes) -> Event:
        """The event that is recorded as `output`, JSON."""
        told = codec.decode(output)
        return Event(told["type"], key=told["key"], data=told["data"], fields=told["fields"])


class WaitForCallback(Wait, frozen=True, kw_only=True):
    """Go on when an outsider completes a callback.

    Args:
        opening: whether it is only opened, so that its address can be given away.
        heartbeat: seconds that the outsider may be silent.
        page: what to ask a person; `None` if no person is asked.
    """

    kind: ClassVar[str] = "callback"

    opening: bool = False
    heartbeat: float | None = None
    page: Mapping[str, str] | None = None


class Child(Call, frozen=True, kw_only=True):
    """Start another run.

    Args:
        job: its name.
        attached: whether this run waits for it, and takes it along when it ends.
        returns: what its output is read as.
    """

    job: str
    input: Any
    attached: bool
    scope: str | None = None
    priority: int = 0
    delay: float = 0.0
    idempotency_key: str | None = None
    tags: tuple[str, ...] = ()
    returns: Typed = ANYTHING

    @property
    def kind(self) -> str:  # type: ignore[override]
        """`child` if it is waited for, else `start`."""
        return "child" if self.attached else "start"

    def read(self, output: bytes) -> Any:
        """What the child returned, or the id of one that is not waited for."""
        return self.returns.decode(output)


class Send(Call, frozen=True, kw_only=True):
    """Send another run a signal.

    Args:
        run: which one.
        name: the signal's.
        data: JSON.
    """

    kind: ClassVar[str] = "send"

    run: UUID
    name: str
    data: bytes


class Note(Call, frozen=True, kw_only=True):
    """A value that is computed here and now, and recorded, so that every replay has the same.

    Args:
        what: the kind in the journal: `value`, or `var` for a variable.
        make: computes it.
        returns: what it is read back as.
    """

    what: str
    make: Callable[[], Any]
    returns: Typed

    @property
    def kind(self) -> str:  # type: ignore[override]
        """What it is called in the journal."""
        return self.what

    def read(self, output: bytes) -> Any:
        """The value that is recorded as `output`, JSON."""
        return self.returns.decode(output)


class Stream(Call, frozen=True, kw_only=True):
    """Tell those who watch the run something.

    Args:
        data: JSON.
    """

    kind: ClassVar[str] = "stream"

    data: bytes

    def read(self, output: bytes) -> None:
        """Nothing: it is for those who watch."""


class Tag(Call, frozen=True, kw_only=True):
    """Give the run tags."""

    kind: ClassVar[str] = "tag"

    tags: tuple[str, ...]

    def read(self, output: bytes) -> None:
        """Nothing: they are for those who look for the run."""


class Skip(Call, frozen=True, kw_only=True):
    """Tell that something is not to be done, and why; follows from what is recorded, and is not kept by a retry."""

    kind: ClassVar[str] = "skip"

    why: str


class Decision(Call, frozen=True, kw_only=True):
    """How several branches ended: which of them count, and why the others do not."""

    what: str

    @property
    def kind(self) -> str:  # type: ignore[override]
        """`gather`, `map` or `race`."""
        return self.what


class Performer(Protocol):
    """What an engine does for a Context."""

    @property
    def replaying(self) -> bool:
        """Whether what is asked for is still what was recorded."""

    def said_before(self, level: str, event: str, fields: Mapping[str, Any]) -> None:
        """The job says what it has said before."""

    def knows(self, path: str) -> bool:
        """Whether anything is recorded at `path` or under it."""

    @property
    def clock(self) -> float:
        """The database's time, in seconds since the epoch."""

    def perform(self, call: Call) -> Coroutine[Any, Any, Any]:
        """Have a call done once and recorded, or return what was recorded of it."""

    async def recall(self, decision: Decision) -> bytes | None:
        """What was decided, as JSON; `None` if nothing was."""

    async def decide(self, decision: Decision, output: bytes) -> None:
        """Record what is decided."""

    async def abandon(self, paths: Collection[str]) -> None:
        """Nobody waits any more for the calls at `paths`, or for those under them."""

    def moves(self, more: int) -> None:
        """So many more branches of the job move, or go on to move; the job does not while it waits for them."""

    def redo(self, paths: Collection[str]) -> None:
        """Should the run fail and be tried again, what is recorded at `paths` and under them is done again."""

    def patched(self, key: str, position: int) -> bool:
        """Whether the run may take the new way at the patch `key`."""

    def compensate(self, call: Any) -> None:
        """Have the step call done if the run fails or is cancelled."""


class Pending(Coroutine[Any, Any, R], Generic[R]):
    """A call that is done once it is awaited, by itself, in `asyncio.gather` or in a task.

    Attributes:
        is_cared_for: whether somebody sees to it that it is awaited, or need not be.
    """

    __slots__ = ("_coroutine", "_perform", "call", "is_cared_for")

    def __init__(self, perform: Callable[[Any], Coroutine[Any, Any, R]], call: Call) -> None:
        self._perform = perform
        self._coroutine: Coroutine[Any, Any, R] | None = None
        self.call = call
        self.is_cared_for = False

    def __del__(self) -> None:
        if self._coroutine is None and not self.is_cared_for:
            warnings.warn(f"{self.call.kind} {self.call.key} was never awaited, so it was not done", stacklevel=2)

    def _begun(self) -> Coroutine[Any, Any, R]:
        if self._coroutine is None:
            self._coroutine = self._perform(self.call)
        return self._coroutine

    def __await__(self) -> Generator[Any, Any, R]:
        return self._begun().__await__()

    def send(self, value: Any) -> Any:
        """As a coroutine's."""
        return self._begun().send(value)

    def throw(self, *error: Any) -> Any:
        """As a coroutine's."""
        return self._begun().throw(*error)

    def close(self) -> None:
        """As a coroutine's; one that has not begun never will."""
        self.is_cared_for = True
        if self._coroutine is not None:
            self._coroutine.close()


def fingerprint(*given: Any) -> bytes | None:
    """What tells whether a replay gives a call something else; `None` if that cannot be written down."""
    try:
        return codec.digest(codec.encode(given))
    except codec.Undecodable:
        return None
