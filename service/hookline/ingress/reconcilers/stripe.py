"""Stripe: the events of an account that an endpoint is to be sent, handed over on request.

Source: https://docs.stripe.com/webhooks/process-undelivered-events, https://docs.stripe.com/api/events and
https://docs.stripe.com/api/webhook_endpoints.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

import msgspec

from hookline.ingress.intake import Intake
from hookline.ingress.parser import find
from hookline.ingress.reconcilers.api import Api, Failed
from hookline.ingress.reconcilers.provider import Does, Listed, Page
from hookline.ingress.schemes import Headers, Kept, Received
from hookline.ingress.sources import Source
from hookline.store.delivery import FETCHED

URL = "https://api.stripe.com"
ENDPOINT = re.compile(r"we_\w+", re.ASCII)
ENDPOINT_TOLD = "the id of a webhook endpoint, such as we_1Mr5jU"

MOST_TYPES = 20
"""Types of events that Stripe filters by, at most."""

ADVICE = {
    401: "The key is wrong, or has expired",
    403: "The key lacks a permission: Events and Webhook Endpoints, read",
    404: "There is no such endpoint: it may be of the other mode, live or test, than the key",
}


class _Endpoint(msgspec.Struct):
    created: int
    enabled_events: list[str]
    status: str = "enabled"


class _Event(msgspec.Struct):
    id: str
    type: str
    created: int


class _Events(msgspec.Struct):
    data: list[_Event]
    has_more: bool = False


class Stripe:
    """Stripe, about some webhook endpoints of one account.

    Args:
        url: where its API is.
        lists: the endpoints' ids.
        token: a restricted key.
    """

    name = "Stripe"
    does: Does = "fetched"
    window = timedelta(days=3)
    pause = 0.0

    def __init__(self, url: str, lists: tuple[str, ...], token: str, intake: Intake) -> None:
        self.lists = lists
        self._token = token
        self._parser = find("stripe")
        self._intake = intake
        self._api = Api(url, {"User-Agent": "hookline"}, ADVICE)

    async def page(self, of: str, cursor: str | None, since: datetime) -> Page:
        """A hundred events, less those that the endpoint is not sent; the cursor is the last one's id."""
        endpoint = (await self._api.ask("GET", f"v1/webhook_endpoints/{of}", self._token)).read(_Endpoint)
        wanted = frozenset(endpoint.enabled_events)
        every = "*" in wanted
        asked = [("limit", "100"), ("created[gte]", str(max(int(since.timestamp()), endpoint.created)))]
        if cursor is not None:
            asked.append(("starting_after", cursor))
        if not every and len(wanted) <= MOST_TYPES:
            asked += [("types[]", each) for each in sorted(wanted)]
        events = (await self._api.ask("GET", "v1/events", self._token, params=asked)).read(_Events)
        listed = tuple(
            Listed(each.id, each.id, of, f"stripe.{each.type}", datetime.fromtimestamp(each.created, UTC))
            for each in events.data
            if every or each.type in wanted
        )
        off = None if endpoint.status == "enabled" else f"Stripe has switched endpoint {of} off: switch it on there"
        return Page(listed, events.data[-1].id if events.has_more and events.data else None, off)

    async def recover(self, source: str, wanted: Listed) -> None:
        """Take the event in as if it had been sent."""
        answer = await self._api.ask("GET", f"v1/events/{wanted.id}", self._token)
        if answer.read(_Event).id != wanted.id:
            raise Failed(f"{answer.what} was answered with another event")
        received = Received(Headers([(b"content-type", b"application/json")]), answer.body)
        await self._intake.receive(Source(source, self._parser, Kept(FETCHED), ()), received)
