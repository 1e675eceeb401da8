"""Problems: every error that leaves over HTTP, as RFC 9457 problem+json, for the person who must act."""

from __future__ import annotations

import math
from collections.abc import Mapping
from http import HTTPStatus

import msgspec
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from hookline import telemetry
from hookline.errors import IllegalTransition, InvalidInput, Rejected, TooOften, Unavailable, UnknownJob, Unsealable


class Problem(HTTPException):
    """Raised to answer with `status` and one clear sentence.

    Args:
        close: whether the connection ends with the answer, because the rest of the request is not read.
    """

    def __init__(self, status: int, detail: str, *, headers: Mapping[str, str] | None = None, close: bool = False):
        super().__init__(status, detail, {**(headers or {}), **({"Connection": "close"} if close else {})})


def response(status: int, detail: str, headers: Mapping[str, str] | None = None) -> Response:
    """The problem+json answer."""
    problem = {
        "type": "about:blank",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "detail": detail,
    }
    return Response(msgspec.json.encode(problem), status, headers, "application/problem+json")


def _http(_: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)  # noqa: S101 - registered for it
    return response(error.status_code, str(error.detail), error.headers)


def _rejected(_: Request, _error: Exception) -> Response:
    """The same words whatever was wrong, so that a forger learns nothing."""
    return response(401, "the delivery could not be verified")


def _unavailable(_: Request, error: Exception) -> Response:
    telemetry.log.warning("request.unavailable", error=str(error))
    return response(503, "the service cannot store anything right now: try again", {"Retry-After": "5"})


def _unsealable(request: Request, error: Exception) -> Response:
    telemetry.log.error("request.unsealable", method=request.method, path=request.url.path, error=str(error))
    return response(503, f"a payload rests encrypted, and cannot be opened here: {error}", {"Retry-After": "60"})


def _too_often(_: Request, error: Exception) -> Response:
    assert isinstance(error, TooOften)  # noqa: S101 - registered for it
    return response(429, "this source takes no more right now", {"Retry-After": str(math.ceil(error.after))})


def _broken(request: Request, error: Exception) -> Response:
    telemetry.log.error("request.failed", method=request.method, path=request.url.path, exc_info=error)
    return response(500, "the service failed on this request; its log has the reason")


_STATUS = {Rejected: 401, Unavailable: 503, Unsealable: 503, UnknownJob: 404, InvalidInput: 422, IllegalTransition: 409}


def status_of(error: Exception) -> int:
    """With what status an exception that a route raises is answered."""
    if isinstance(error, HTTPException):
        return error.status_code
    return next((_STATUS[kind] for kind in type(error).__mro__ if kind in _STATUS), 500)


HANDLERS = {
    HTTPException: _http,
    Rejected: _rejected,
    Unavailable: _unavailable,
    Unsealable: _unsealable,
    TooOften: _too_often,
    UnknownJob: lambda _, error: response(404, str(error)),
    InvalidInput: lambda _, error: response(422, str(error)),
    IllegalTransition: lambda _, error: response(409, str(error)),
    Exception: _broken,
}
"""What starlette does with each exception that a route raises."""
