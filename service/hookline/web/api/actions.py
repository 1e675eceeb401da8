"""Actions: what an operator does with a run, however many it is done with."""

from __future__ import annotations

from collections.abc import Awaitable, Mapping
from typing import Annotated, Literal, TypeVar
from uuid import UUID

import asyncpg
import msgspec

from hookline import codec, metrics
from hookline.errors import RunEnded
from hookline.ingress.intake import Intake
from hookline.jobs.job import Job
from hookline.jobs.step import check_name
from hookline.starts import hooked
from hookline.store import control, deletion, forks
from hookline.store.database import Database
from hookline.store.runs import NewRun
from hookline.store.signals import NewSignal
from hookline.web.api import parameters
from hookline.web.faults import Fault
from hookline.web.problems import Problem

T = TypeVar("T")


class Signal(msgspec.Struct, forbid_unknown_fields=True):
    """A signal to be sent; with an `id` it may be sent again."""

    name: Annotated[str, msgspec.Meta(min_length=1, max_length=200)]
    data: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    id: UUID | None = None


class Completion(msgspec.Struct, forbid_unknown_fields=True):
    """How a callback is completed: with `data`, or with an `error`."""

    data: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    error: str | None = None


class Fork(msgspec.Struct, forbid_unknown_fields=True, rename={"from_": "from"}):
    """Where a fork begins, and what it has in place of the run's own."""

    from_: str | None = None
    input: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    version: Annotated[int, msgspec.Meta(ge=1, le=2**31 - 1)] | None = None


class Again(msgspec.Struct, forbid_unknown_fields=True):
    """How a run is retried: whether what failed is skipped, as if it had returned nothing."""

    skip: bool = False


class Actions:
    """Each raises `Problem` 404 if there is no such run, and `IllegalTransition` if its state forbids it.

    Args:
        jobs: the latest version of each, by name, for their hooks.
    """

    def __init__(self, database: Database, intake: Intake, jobs: Mapping[str, Job]) -> None:
        self._database = database
        self._intake = intake
        self._jobs = jobs

    async def control(self, action: Literal["cancel", "pause", "resume"], run: UUID) -> str:
        """Do it; returns the state that the run was in."""
        async with self._database.session() as connection:
            match action:
                case "cancel":
                    doing = control.cancel(connection, run, self._hooks)
                case "pause":
                    doing = control.pause(connection, run, self._hooks)
                case "resume":
                    doing = control.resume(connection, run)
            return await _found(doing, run)

    async def retry(self, run: UUID, *, skip: bool = False) -> UUID:
        """A new run that goes on where `run` failed, or behind it."""
        new = codec.uuid7()
        async with self._database.session() as connection:
            await _found(forks.retry(connection, run, new, skip=skip), run)
        return new

    async def fork(self, run: UUID, wanted: Fork) -> UUID:
        """A new run that begins with what `run` had recorded before a call; raises `InvalidInput` if it had not."""
        new = codec.uuid7()
        input_ = None if isinstance(wanted.input, msgspec.UnsetType) else _json(wanted.input)
        parameters.storable(wanted.from_)
        async with self._database.session() as connection:
            forking = forks.fork(connection, run, new, before=wanted.from_, input_=input_, version=wanted.version)
            await _found(forking, run)
        return new

    async def signal(self, run: UUID, wanted: Signal) -> None:
        """Hold a signal for `run`."""
        try:
            check_name(wanted.name, "signal")
        except ValueError as error:
            raise Problem(Fault.INVALID_BODY, str(error)) from None
        signal = NewSignal(wanted.id or codec.uuid7(), run, wanted.name, _json(wanted.data))
        match await self._intake.send(signal):
            case "unknown":
                raise Problem(Fault.UNKNOWN_RUN, f"there is no run {run}")
            case "ended":
                raise RunEnded(f"run {run} has ended: nothing waits for {wanted.name}")
            case _:
                return

    async def complete(self, run: UUID, key: str, wanted: Completion) -> None:
        """Complete the callback `key` of `run`, in the place of whoever should."""
        await complete(self._intake, run, key, wanted)

    async def delete_data(self, run: UUID) -> str:
        """Have input, outputs and the delivery's body deleted; returns `requested` or `done`."""
        async with self._database.session() as connection:
            return await _found(deletion.request(connection, run), run)

    def _hooks(self, row: asyncpg.Record, state: str) -> tuple[NewRun, ...]:
        metrics.RUNS.count(job=row["job"], state=state)
        job = self._jobs.get(row["job"])
        if job is None:
            return ()
        return hooked(job, self._jobs, row["id"], row["claims"], state, f"{state} by an operator")


async def complete(intake: Intake, run: UUID, key: str, wanted: Completion) -> None:
    """Complete the callback `key` of `run`, once.

    Raises:
        Problem: 400 its data are not JSON; 404 there is none; 409 it has been completed; 410 it is no longer open.
        Unavailable: it could not be committed in time.
    """
    if "\0" in key:
        raise Problem(Fault.CALLBACK_CLOSED, "this callback is no longer open")
    told = b'{"data":' + _json(wanted.data) + b"}" if wanted.error is None else codec.encode({"error": wanted.error})
    signal = NewSignal(codec.named_uuid(run, key), run, f"callback:{key}", told, callback=key)
    match await intake.send(signal):
        case "unknown":
            raise Problem(Fault.UNKNOWN_RUN, f"there is no run {run}")
        case "repeated":
            raise Problem(Fault.COMPLETED_ALREADY, "this callback has been completed already")
        case "ended" | "expired":
            raise Problem(Fault.CALLBACK_CLOSED, "this callback is no longer open")
        case _:
            return


def _json(raw: msgspec.Raw | msgspec.UnsetType) -> bytes:
    """What was left unread of a body, which is to be JSON all the same, or `null`; raises `Problem` 400."""
    if isinstance(raw, msgspec.UnsetType):
        return codec.NULL
    try:
        codec.decode(given := bytes(raw))
    except codec.Undecodable as error:
        raise Problem(Fault.BODY_NOT_JSON, f"the body is {error}") from None
    return given


async def _found(doing: Awaitable[T], run: UUID) -> T:
    try:
        return await doing
    except LookupError:
        raise Problem(Fault.UNKNOWN_RUN, f"there is no run {run}") from None
