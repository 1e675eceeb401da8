"""Called: what an operator asks of others is told in the log of its run, whatever came of it."""

from __future__ import annotations

from collections.abc import Container, Iterator
from contextlib import contextmanager
from time import perf_counter
from typing import Any

from hookline import telemetry


@contextmanager
def called(
    method: str, url: str, idempotency_key: str | None = None, *, good: Container[int] = range(400)
) -> Iterator[dict[str, Any]]:
    """Tell of the call that is made in the block, with what that puts into the dict, such as a `status`.

    Args:
        url: without what may be secret in it.
        idempotency_key: which the call bears.
        good: each `status` that is no failure.
    """
    began = perf_counter()
    told: dict[str, Any] = {"method": method, "url": url, "idempotency_key": idempotency_key}
    error: BaseException | None = None
    try:
        yield told
    except BaseException as raised:
        error = raised
        raise
    finally:
        told["ms"] = round((perf_counter() - began) * 1000, 1)
        if error is not None:
            told["error"] = type(error).__name__
        is_good = error is None and told.get("status") in good
        (telemetry.log.info if is_good else telemetry.log.warning)(telemetry.CALL, **told)
