"""Problems: every error that leaves over HTTP, as RFC 9457 problem+json, for the person who must act."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

import msgspec
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from hookline import telemetry
from hookline.codec import uuid7
from hookline.errors import (
    IllegalTransition,
    InvalidInput,
    Rejected,
    RunEnded,
    TooOften,
    Unavailable,
    UnknownJob,
    Unsealable,
)
from hookline.web.faults import OF_STATUS, Fault

MEDIA = "application/problem+json"


class Problem(HTTPException):
    """Raised to answer with a `fault` and one clear sentence.

    Args:
        close: whether the connection ends with the answer, because the rest of the request is not read.
    """

    def __init__(self, fault: Fault, detail: str, *, headers: Mapping[str, str] | None = None, close: bool = False):
        super().__init__(fault.status, detail, {**(headers or {}), **({"Connection": "close"} if close else {})})
        self.fault = fault


def response(
    fault: Fault, detail: str, headers: Mapping[str, str] | None = None, *, instance: str | None = None
) -> Response:
    """The problem+json answer.

    Args:
        instance: what this one problem is called, where somebody may look for it.
    """
    problem: dict[str, object] = {
        "type": fault.uri,
        "title": fault.title,
        "status": fault.status,
        "detail": detail,
    }
    if instance is not None:
        problem["instance"] = instance
    return Response(
        msgspec.json.encode(problem), fault.status, {"Cache-Control": "no-store"} | dict(headers or {}), MEDIA
    )


def _http(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)  # noqa: S101 - registered for it
    if isinstance(error, Problem):
        return response(error.fault, error.detail, error.headers)
    fault = OF_STATUS.get(error.status_code, Fault.FAILED)
    asked = f"{request.method} {request.url.path[:200]}"
    return response(fault, f"nothing answers {asked}", error.headers)


def _rejected(_: Request, _error: Exception) -> Response:
    """The same words whatever was wrong, so that a forger learns nothing."""
    return response(Fault.NOT_VERIFIED, "the delivery could not be verified")


def _unavailable(_: Request, error: Exception) -> Response:
    telemetry.log.warning("request.unavailable", error=str(error))
    return response(Fault.UNAVAILABLE, "the service cannot store anything right now: try again", {"Retry-After": "5"})


def _unsealable(request: Request, error: Exception) -> Response:
    telemetry.log.error("request.unsealable", method=request.method, path=request.url.path, error=str(error))
    told = f"a payload rests encrypted, and cannot be opened here: {error}"
    return response(Fault.KEY_MISSING, told, {"Retry-After": "60"})


def _too_often(_: Request, error: Exception) -> Response:
    assert isinstance(error, TooOften)  # noqa: S101 - registered for it
    return response(
        Fault.TOO_OFTEN, "this source takes no more right now", {"Retry-After": str(math.ceil(error.after))}
    )


def _broken(request: Request, error: Exception) -> Response:
    instance = f"urn:uuid:{uuid7()}"
    telemetry.log.error(
        "request.failed", method=request.method, path=request.url.path, instance=instance, exc_info=error
    )
    return response(Fault.FAILED, "the service failed on this request; its log has the reason", instance=instance)


FAULTS: Mapping[type[Exception], Fault] = {
    Rejected: Fault.NOT_VERIFIED,
    Unavailable: Fault.UNAVAILABLE,
    Unsealable: Fault.KEY_MISSING,
    TooOften: Fault.TOO_OFTEN,
    UnknownJob: Fault.UNKNOWN_JOB,
    InvalidInput: Fault.INVALID_INPUT,
    RunEnded: Fault.RUN_ENDED,
    IllegalTransition: Fault.STATE_FORBIDS,
}
"""What those exceptions are that know nothing of HTTP."""


def fault_of(error: Exception) -> Fault:
    """As what an exception that a route raises is answered."""
    if isinstance(error, Problem):
        return error.fault
    return next((FAULTS[kind] for kind in type(error).__mro__ if kind in FAULTS), Fault.FAILED)


def _told(_: Request, error: Exception) -> Response:
    return response(fault_of(error), str(error))


HANDLERS: dict[type[Exception], Callable[[Request, Exception], Response]] = {
    HTTPException: _http,
    **{kind: _told for kind in FAULTS},  # noqa: C420 - mypy infers another type
    Rejected: _rejected,
    Unavailable: _unavailable,
    Unsealable: _unsealable,
    TooOften: _too_often,
    Exception: _broken,
}
"""What starlette does with each exception that a route raises."""


def answer(request: Request, error: Exception) -> Response:
    """What starlette would answer where a route raises `error`."""
    return next(HANDLERS[kind] for kind in type(error).__mro__ if kind in HANDLERS)(request, error)
