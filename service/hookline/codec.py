"""How values become JSON bytes and come back, and how ids are made."""

from __future__ import annotations

import hashlib
import json
import math
import os
import time
from codecs import getincrementaldecoder
from collections.abc import Iterator
from dataclasses import is_dataclass
from datetime import datetime
from functools import lru_cache
from typing import Any
from uuid import UUID, uuid5

import msgspec
from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError
from pydantic_core import PydanticSerializationError, to_json
from typing_extensions import is_typeddict

from hookline.errors import Unsealable

NULL = b"null"
PART = 65_536
DRAWN_AT_ONCE = 500
"""Of what is random in an id."""

_VERSION_7, _RANDOM = 0x7 << 76 | 0x2 << 62, (1 << 62) - 1

_CONFIG = ConfigDict(ser_json_bytes="base64", val_json_bytes="base64", arbitrary_types_allowed=True)


class Undecodable(ValueError):
    """A value that JSON, or the type that was declared for it, cannot hold."""


class Unopened(bytes):
    """Stands for what cannot be opened here: to those who look it says so, and it is stored again as it was.

    Args:
        sealed: as it is stored.
        why: which key is missing.
    """

    sealed: bytes
    why: str

    def __new__(cls, sealed: bytes, why: str) -> Unopened:
        made = super().__new__(cls, f'"[encrypted: {why}]"'.encode())
        made.sealed, made.why = sealed, why
        return made


def check_open(*values: object) -> None:
    """Return if all of `values` could be opened; raises `Unsealable`."""
    for value in values:
        if type(value) is Unopened:
            raise Unsealable(value.why)


def encode(value: Any) -> bytes:
    """`value` as JSON: builtins, dataclasses, pydantic models, dates, UUIDs and whatever else pydantic knows.

    Raises:
        Undecodable: it holds something that JSON cannot, such as an open file, NaN or a lone surrogate.
    """
    if value is None:
        return NULL
    try:
        return to_json(value, inf_nan_mode="constants", bytes_mode="base64")
    except (PydanticSerializationError, UnicodeEncodeError, ValueError, RecursionError) as error:
        raise Undecodable(f"not representable as JSON: {_first_line(error)}") from None


def decode(data: bytes | str | msgspec.Raw) -> Any:
    """The builtins that JSON `data` stands for, strictly: no NaN, no lone surrogates, no trailing text.

    A number that none of Python's is, of thousands of digits or beyond 1e308, comes as its text.

    Raises:
        Undecodable: it is not JSON, or nested too deeply.
        Unsealable: it could not be opened.
    """
    if type(data) is Unopened:
        check_open(data)
    try:
        try:
            return msgspec.json.decode(data)
        except msgspec.ValidationError:  # which of builtins tells of numbers alone
            sound = bytes(msgspec.json.decode(data, type=msgspec.Raw))
            return json.loads(sound.decode(), parse_int=_whole_number, parse_float=_number)
    except (msgspec.MsgspecError, UnicodeError, RecursionError) as error:
        raise Undecodable(f"not JSON: {_first_line(error)}") from None


def texts(data: bytes) -> Iterator[str]:
    """UTF-8 `data`, part by part: as one text it could be four times as large, and hold everybody up meanwhile.

    Raises:
        UnicodeDecodeError: it is not UTF-8; what was before it has been yielded.
    """
    if len(data) <= PART:
        yield data.decode()
        return
    decoder, view = getincrementaldecoder("utf-8")(), memoryview(data)
    for start in range(0, len(data), PART):
        yield decoder.decode(view[start : start + PART], final=start + PART >= len(data))


class Typed:
    """JSON in and out of one declared type.

    Args:
        declared: any type that pydantic understands. `Any` (also for a missing annotation) takes builtins.

    Example:
        >>> Typed(list[int]).decode(b'["1", 2]')
        [1, 2]
    """

    __slots__ = ("_adapter", "declared")

    def __init__(self, declared: Any) -> None:
        self.declared = declared
        self._adapter = None if declared in (Any, object) else _adapter(declared)

    def decode(self, data: bytes | str) -> Any:
        """The value of the declared type that `data` holds; raises `Undecodable` with the first few reasons."""
        check_open(data)
        if self._adapter is None:
            return decode(data)
        if data == NULL and self.declared in (None, type(None)):
            return None
        try:
            return self._adapter.validate_json(data)
        except ValidationError as error:
            reasons = "; ".join(
                f"{'.'.join(str(part) for part in each['loc']) or 'value'}: {each['msg']}"
                for each in error.errors(include_url=False, include_input=False)[:3]
            )
            raise Undecodable(reasons) from None

    def schema(self) -> dict[str, Any]:
        """The JSON Schema of the declared type; empty for `Any`."""
        return {} if self._adapter is None else self._adapter.json_schema()


@lru_cache(maxsize=1024)
def _adapter(declared: Any) -> TypeAdapter[Any]:
    owns_config = isinstance(declared, type) and (
        is_typeddict(declared) or issubclass(declared, BaseModel) or is_dataclass(declared)
    )
    return (
        TypeAdapter(declared)
        if owns_config or hasattr(declared, "__pydantic_config__")
        else TypeAdapter(declared, config=_CONFIG)
    )


def digest(data: bytes) -> bytes:
    """A short fingerprint (8 bytes) that tells whether two values were the same; not a proof of identity."""
    return hashlib.blake2b(data, digest_size=8).digest()


def uuid7() -> UUID:
    """A new id, ordered by its time to a quarter of a microsecond: RFC 9562, version 7, with 62 random bits.

    Between these and the 48 bits of milliseconds 12 tell how much of the next one has passed (method 3 of section 6.2).
    """
    milliseconds, rest = divmod(time.time_ns(), 1_000_000)
    return UUID(int=milliseconds << 80 | (rest << 12) // 1_000_000 << 64 | _drawn())


_DRAWN: list[int] = []
os.register_at_fork(after_in_child=_DRAWN.clear)


def _drawn() -> int:
    """What of an id is not its time, drawn many at once: a thread that asks the kernel for each lets no other go on.

    Whoever waits for the interpreter is woken by each question, finds it taken again, and begins to wait anew.
    """
    while True:
        try:
            return _DRAWN.pop()
        except IndexError:
            drawn = os.urandom(8 * DRAWN_AT_ONCE)
            _DRAWN.extend(_VERSION_7 | _RANDOM & int.from_bytes(drawn[at : at + 8]) for at in range(0, len(drawn), 8))


def named_uuid(run: UUID, name: str) -> UUID:
    """The id of what there is once in a run, under `name`: the same whoever makes it."""
    return uuid5(run, name)


def first_uuid7(moment: datetime) -> UUID:
    """The lowest id that `uuid7` makes at `moment`, or at its beginning of time, 1970, if that is later."""
    return UUID(int=max(0, int(moment.timestamp() * 1000)) << 80 | _VERSION_7)


def _whole_number(written: str) -> int | str:
    try:
        return int(written)
    except ValueError:  # Python reads so many digits and no more, as that takes quadratic time
        return written


def _number(written: str) -> float | str:
    number = float(written)
    return number if math.isfinite(number) else written


def _first_line(error: BaseException) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]
