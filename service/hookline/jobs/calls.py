"""Calls: how a Context numbers what a job asks of it, and hands it to whoever does it."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count
from typing import Any, TypeVar
from uuid import UUID

from msgspec import Struct

from hookline.jobs.call import Pending, Performer, fingerprint
from hookline.jobs.step import StepCall

Self = TypeVar("Self", bound="Calls")


class Info(Struct, frozen=True):
    """Which run this is.

    Args:
        run: its id.
        job: the job's name.
        version: the job's version, which the run keeps.
        attempt: which try of the whole run this is, from 1.
        scope: the key that serialises runs of the job, if it has one.
        delivery: the id of the webhook that started it, if one did.
        parent: the id of the run that started it, if one did.
    """

    run: UUID
    job: str
    version: int = 1
    attempt: int = 1
    scope: str | None = None
    delivery: UUID | None = None
    parent: UUID | None = None


class Calls:
    """The part of a Context that every call goes through.

    Attributes:
        info: which run this is; `run`, `job`, `version`, `attempt`, `scope`, `delivery` and `parent` are its parts.
    """

    __slots__ = ("_names", "_path", "_performer", "_positions", "_variables", "info")

    def __init__(
        self,
        performer: Performer,
        info: Info,
        path: str = "",
        positions: Iterator[int] | None = None,
        variables: dict[str, Any] | None = None,
    ) -> None:
        self.info = info
        self._performer = performer
        self._path = path
        self._names: dict[str, int] = {}
        self._positions = count() if positions is None else positions
        self._variables: dict[str, Any] = {} if variables is None else variables

    @property
    def run(self) -> UUID:
        """The run's id."""
        return self.info.run

    @property
    def job(self) -> str:
        """The job's name."""
        return self.info.job

    @property
    def version(self) -> int:
        """The job's version, which the run keeps."""
        return self.info.version

    @property
    def attempt(self) -> int:
        """Which try of the whole run this is, from 1."""
        return self.info.attempt

    @property
    def scope(self) -> str | None:
        """The key that serialises runs of the job, if it has one."""
        return self.info.scope

    @property
    def delivery(self) -> UUID | None:
        """The id of the webhook that started the run, if one did."""
        return self.info.delivery

    @property
    def parent(self) -> UUID | None:
        """The id of the run that started this one, if one did."""
        return self.info.parent

    def _key(self, name: str) -> str:
        """`name`, or `name#2` for the second call of that name, and so on, under this Context's path."""
        number = self._names[name] = self._names.get(name, 0) + 1
        return f"{self._path}{name}" if number == 1 else f"{self._path}{name}#{number}"

    def _at(self: Self, path: str) -> Self:
        """A Context of the same run whose keys are under `path`."""
        return type(self)(self._performer, self.info, f"{path}/", self._positions, self._variables)

    def _step(self, key: str, called: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Pending[Any]:
        call = StepCall(
            key=key,
            position=next(self._positions),
            fingerprint=fingerprint(args, kwargs),
            step=called,
            args=args,
            kwargs=kwargs,
        )
        return Pending(self._performer.perform, call)
