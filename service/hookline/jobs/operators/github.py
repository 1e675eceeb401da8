"""GitHub: reports of a run on its commit, or on its issue or pull request."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from hookline.errors import ConfigurationError
from hookline.jobs.current import CURRENT
from hookline.jobs.given import rendered
from hookline.jobs.operators.http import HttpRequest

STATES = ("error", "failure", "pending", "success")
LONGEST_DESCRIPTION = 140


class _OnGitHub:
    """What both have in common.

    Args:
        repository: `owner/name`; the event's unless said otherwise.
        token: the environment's variable that holds a token which may write there.
        api: where GitHub's API is.
        private: whether that may be at an address that is not public.
    """

    def __init__(self, name: str, repository: str, token: str, api: str, *, private: bool) -> None:
        self.name = self.__name__ = name
        self._repository = repository
        self._token = token
        self._api = api.rstrip("/")
        self._private = private

    async def _ask(self, given: Mapping[str, Any], method: str, path: str, json: Any = None) -> Any:
        token = os.environ.get(self._token)
        if not token:
            raise ConfigurationError(f"{self.name} needs a token: set {self._token}")
        request = HttpRequest(
            method,
            f"{self._api}/repos/{rendered(self._repository, given)}/{path}",
            headers={
                "Authorization": f"Bearer {token}",
                "Accept": "application/vnd.github+json",
                "X-GitHub-Api-Version": "2022-11-28",
            },
            private=self._private,
            name=self.name,
        )
        return (await request.sent_as_it_is(json))["body"]


class GitHubStatus(_OnGitHub):
    """Sets a commit's status.

    Source: https://docs.github.com/en/rest/commits/statuses

    Args:
        state: `error`, `failure`, `pending` or `success`; like the rest, with `{dotted.path}` for what is given.
        context: what tells it from other statuses of the commit.
        description: up to 140 characters.
        target_url: where to read more.
        sha: the commit; the event's unless said otherwise.

    Example:
        graph.task(GitHubStatus("success", context="release"), name="report", after=ship)
    """

    def __init__(
        self,
        state: str,
        *,
        context: str = "hookline",
        description: str = "",
        target_url: str | None = None,
        sha: str = "{event.sha}",
        repository: str = "{event.repository}",
        token: str = "GITHUB_TOKEN",  # noqa: S107 - a variable's name
        api: str = "https://api.github.com",
        private: bool = False,
        name: str = "github_status",
    ) -> None:
        super().__init__(name, repository, token, api, private=private)
        if "{" not in state and state not in STATES:
            raise ConfigurationError(f"a commit's state is one of {', '.join(STATES)}, not {state!r}")
        self._sha = sha
        self._status = {"state": state, "context": context, "description": description, "target_url": target_url}

    async def __call__(self, given: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """Set it; to set the same again changes nothing."""
        what = given or {}
        status = rendered(self._status, what)
        status["description"] = str(status["description"])[:LONGEST_DESCRIPTION]
        told = await self._ask(what, "POST", f"statuses/{rendered(self._sha, what)}", status)
        return {"state": told["state"], "url": told.get("url")}


class GitHubComment(_OnGitHub):
    """Writes a comment on an issue or a pull request, or rewrites the one that an earlier try has written.

    Source: https://docs.github.com/en/rest/issues/comments

    Args:
        body: Markdown, with `{dotted.path}` for what is given.
        number: the issue's or pull request's; the event's unless said otherwise.
        marker: comments with the same marker are one, which is rewritten; unless said otherwise, each step of each
            run has its own.

    Example:
        graph.task(GitHubComment("Released as {ship.version}.", marker="release"), name="tell", after=ship)
    """

    def __init__(
        self,
        body: str,
        *,
        number: str = "{event.number}",
        marker: str | None = None,
        repository: str = "{event.repository}",
        token: str = "GITHUB_TOKEN",  # noqa: S107 - a variable's name
        api: str = "https://api.github.com",
        private: bool = False,
        name: str = "github_comment",
    ) -> None:
        super().__init__(name, repository, token, api, private=private)
        self._body = body
        self._number = number
        self._marker = marker

    async def __call__(self, given: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """Write it; GitHub takes no idempotency key, so it is found again by a marker that readers do not see."""
        what = given or {}
        step = CURRENT.get()
        marker = f"<!-- hookline {self._marker or (step.idempotency_key if step else self.name)} -->"
        body = {"body": f"{rendered(self._body, what)}\n\n{marker}"}
        at = f"issues/{rendered(self._number, what)}/comments"
        there = await self._ask(what, "GET", f"{at}?per_page=100&sort=created&direction=desc")
        mine = next((each["id"] for each in there if marker in (each.get("body") or "")), None)
        told = await (
            self._ask(what, "POST", at, body)
            if mine is None
            else self._ask(what, "PATCH", f"issues/comments/{mine}", body)
        )
        return {"id": told["id"], "url": told.get("html_url")}
