"""GitHub: the recent deliveries of repositories', organisations' and Apps' webhooks, redelivered on request.

Source: https://docs.github.com/en/rest/repos/webhooks, https://docs.github.com/en/rest/orgs/webhooks,
https://docs.github.com/en/rest/apps/webhooks. A redelivery has the guid of what it repeats.
"""

from __future__ import annotations

import re
from datetime import datetime, timedelta

import msgspec

from hookline.ingress.reconcilers.api import Answer, Api, Refused
from hookline.ingress.reconcilers.credentials import Credentials
from hookline.ingress.reconcilers.provider import Does, Listed, Page

URL = "https://api.github.com"
HOOK = re.compile(r"app|repos/[\w.-]+/[\w.-]+/hooks/\d+|orgs/[\w.-]+/hooks/\d+", re.ASCII)
HOOK_TOLD = "repos/OWNER/NAME/hooks/ID, orgs/NAME/hooks/ID or app"

HEADERS = {
    "Accept": "application/vnd.github+json",
    "X-GitHub-Api-Version": "2022-11-28",
    "User-Agent": "hookline",
}

ADVICE = {
    401: "The token is wrong or has expired, or the App's id and key do not belong together, or a clock is wrong",
    403: "The token lacks a permission: webhooks of the repository, or of the organisation, read and write",
    404: "There is no such hook, or the token does not see it: it needs webhooks of the repository, or of the "
    "organisation, read and write; an App has to be installed there",
    422: "An App has to be granted webhooks of the repository, or of the organisation, read and write",
}


class _Attempt(msgspec.Struct):
    """What GitHub lists."""

    id: int
    guid: str
    delivered_at: datetime
    event: str
    redelivery: bool = False
    action: str | None = None


class GitHub:
    """GitHub, or an Enterprise Server, about some hooks.

    Args:
        url: where its API is.
        lists: the hooks, as `HOOK`.
    """

    name = "GitHub"
    does: Does = "redelivered"
    window = timedelta(days=3)
    pause = 1.0

    def __init__(self, url: str, lists: tuple[str, ...], credentials: Credentials) -> None:
        self.lists = lists
        self._credentials = credentials
        self._api = Api(url, HEADERS, ADVICE)

    async def page(self, of: str, cursor: str | None, since: datetime) -> Page:
        """A hundred attempts; the cursor is the address that GitHub told."""
        answer = await self._ask(of, "GET", cursor or f"{_deliveries(of)}?per_page=100")
        attempts = answer.read(list[_Attempt])
        listed = tuple(_listed(of, each) for each in attempts if each.delivered_at >= since)
        return Page(listed, answer.next if len(listed) == len(attempts) else None)

    async def recover(self, source: str, wanted: Listed) -> None:  # noqa: ARG002 - it comes there by itself
        """Ask for it, to be sent as it was, under the same guid."""
        await self._ask(wanted.of, "POST", f"{_deliveries(wanted.of)}/{wanted.id}/attempts")

    async def _ask(self, of: str, method: str, address: str) -> Answer:
        token = await self._credentials.token_for(of, self._api)
        try:
            return await self._api.ask(method, address, token)
        except Refused as refused:
            if refused.status != 401 or not self._credentials.forget(of):
                raise
        return await self._api.ask(method, address, await self._credentials.token_for(of, self._api))


def _deliveries(of: str) -> str:
    return "app/hook/deliveries" if of == "app" else f"{of}/deliveries"


def _listed(of: str, attempt: _Attempt) -> Listed:
    type_ = f"github.{attempt.event}.{attempt.action}" if attempt.action else f"github.{attempt.event}"
    return Listed(attempt.guid, str(attempt.id), of, type_, attempt.delivered_at, attempt.redelivery)
