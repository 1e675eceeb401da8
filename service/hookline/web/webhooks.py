"""The way in for senders: `POST /webhooks/{source}`, and `OPTIONS` for those who ask first."""

from __future__ import annotations

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from hookline import metrics
from hookline.errors import TooOften, Unavailable
from hookline.ingress.intake import Intake
from hookline.ingress.parser import Welcoming
from hookline.ingress.receipt import Receipt
from hookline.ingress.register import Register
from hookline.ingress.schemes import Headers, Received
from hookline.ingress.sources import Source
from hookline.web import answers, problems
from hookline.web.body import Gate, Limits, media_type, read
from hookline.web.exchange import PATH
from hookline.web.faults import Fault
from hookline.web.peer import Proxies
from hookline.web.problems import Problem
from hookline.web.replies import Replies

METHODS = ("POST", "OPTIONS")

STATUS = {"accepted": 202, "ignored": 202, "quarantined": 202, "conflict": 202, "pong": 200, "duplicate": 200}
"""The contract with senders: anything from here is durably ours."""


class Webhooks:
    """Receives deliveries for the sources of `register`."""

    def __init__(
        self, intake: Intake, register: Register, gate: Gate, limits: Limits, replies: Replies, proxies: Proxies
    ) -> None:
        self._intake = intake
        self._replies = replies
        self._register = register
        self._gate = gate
        self._limits = limits
        self._proxies = proxies

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer what is asked of a source."""
        answer = await self.answer(scope, receive)
        await answer(scope, receive, send)

    async def answer(self, scope: Scope, receive: Receive) -> Response:
        """What is answered to who asks it of a source, whatever becomes of it."""
        request = Request(scope, receive)
        name = scope["path"].removeprefix(PATH)
        try:
            return await (self.welcome(name, request) if scope["method"] == "OPTIONS" else self.post(name, request))
        except Exception as error:  # noqa: BLE001 - each is answered
            return problems.answer(request, error)

    async def post(self, name: str, request: Request) -> Response:
        """Take one delivery in for the source called `name`, and answer once it is committed."""
        source = await self._source(name)
        headers = Headers(request.scope["headers"])
        try:
            self._check_peer(source, request)
            with source.quota, self._gate.passing() as share:
                if media_type(headers) not in source.parser.content_types:
                    expected = " or ".join(sorted(source.parser.content_types))
                    raise Problem(Fault.MEDIA_TYPE, f"this source takes {expected}", close=True)
                body = await read(request, headers, share, self._limits_of(source))
                source = await self._source(name)  # a secret may have been removed while the body came
                receipt = await self._intake.receive(source, Received(headers, body))
        except (Problem, TooOften, Unavailable) as refused:
            metrics.REJECTED.count(source=source.name, reason=f"http_{_status(refused)}")
            raise
        if receipt.answer is not None:
            return answers.json(receipt.answer)
        outcomes = await self._replies.to(source, headers.all("Prefer"), receipt.runs)
        if source.is_silent:
            return _shown(outcomes)
        if outcomes is not None:
            return answers.json(_told(receipt) | {"outcomes": outcomes}, 200)
        return answers.json(_told(receipt), STATUS[receipt.status], _where(receipt))

    async def welcome(self, name: str, request: Request) -> Response:
        """Answer a sender that asks whether it may send to the source called `name`."""
        source = await self._source(name)
        self._check_peer(source, request)
        headers = {"Allow": "POST, OPTIONS"}
        if isinstance(source.parser, Welcoming):
            headers |= source.parser.welcome(Headers(request.headers.raw))
        return Response(status_code=200, headers=headers)

    async def _source(self, name: str) -> Source:
        source = await self._register.find(name)
        if source is None:
            raise Problem(Fault.UNKNOWN_SOURCE, "there is no such source", close=True)
        return source

    def _check_peer(self, source: Source, request: Request) -> None:
        allow = source.quota.limits.allow
        if allow and not self._proxies.is_from(request, allow):
            raise Problem(Fault.SENDER_NOT_ALLOWED, "this source takes nothing from there", close=True)

    def _limits_of(self, source: Source) -> Limits:
        size = source.quota.limits.max_body
        return self._limits if size is None else Limits(size, self._limits.time)


def _status(refused: Problem | TooOften | Unavailable) -> int:
    if isinstance(refused, Problem):
        return refused.status_code
    return 429 if isinstance(refused, TooOften) else 503


def _shown(outcomes: list[dict[str, object]] | None) -> Response:
    """What people are shown: what the one run returned, if it is an object, else nothing."""
    output = outcomes[0]["output"] if outcomes is not None and len(outcomes) == 1 else None
    if isinstance(output, msgspec.Raw) and bytes(output)[:1] == b"{":
        return answers.json(output)
    return Response(status_code=200)


def _where(receipt: Receipt) -> dict[str, str] | None:
    """Where the one run that was started can be looked at, with a token of the API's."""
    return {"Location": f"/api/runs/{receipt.runs[0]}"} if len(receipt.runs) == 1 else None


def _told(receipt: Receipt) -> dict[str, object]:
    told: dict[str, object] = {"delivery": receipt.delivery, "status": receipt.status, "runs": receipt.runs}
    return told if receipt.reason is None else told | {"reason": receipt.reason}
