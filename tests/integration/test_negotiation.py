"""What clients have already, what they take, and how the API may be asked."""

from __future__ import annotations

import base64
from typing import Any

import pytest
from pydantic import SecretStr
from tests.support import on_site

from hookline import App, Context

SETTINGS = {"encryption_keys": (SecretStr(base64.b64encode(b"k" * 32).decode()),)}


def jobs() -> App:
    app = App()

    @app.job(schedule="@daily")
    async def order(ctx: Context, _: Any) -> None: ...

    @app.step
    def double(n: int) -> int:
        return n * 2

    return app


async def test_what_a_client_has_already_is_not_sent_again_until_it_is_another(dsn: str) -> None:
    async with on_site(jobs(), dsn) as site:
        run = await site.house.start("order")
        delivery = (await site.push("guid-1")).json()["delivery"]
        polled = [
            "/runs", f"/runs/{run}", f"/runs/{run}/debug", "/jobs", "/schedules", "/sources", "/sources/github",
            "/deliveries", f"/deliveries/{delivery}", "/definitions", "/connectors", "/me", "/jobs/order/graph",
            "/jobs/order",
        ]  # fmt: skip
        for path in polled:
            first = await site.client.get(f"/api{path}")
            assert first.headers["cache-control"] == "private, no-cache", path
            assert first.headers["vary"] == "Authorization, Cookie"
            for tag in (first.headers["etag"], f'"other", W/{first.headers["etag"]}', "*"):
                again = await site.client.get(f"/api{path}", headers={"If-None-Match": tag})
                assert (again.status_code, again.content) == (304, b""), (path, tag)
                assert again.headers["etag"] == first.headers["etag"]
            other = await site.client.get(f"/api{path}", headers={"If-None-Match": '"other"'})
            assert (other.status_code, other.content) == (200, first.content)
        before = (await site.client.get(f"/api/runs/{run}")).headers["etag"]
        changed = await site.client.post(f"/api/runs/{run}/cancel")
        assert changed.headers["cache-control"] == "no-store"
        after = await site.client.get(f"/api/runs/{run}", headers={"If-None-Match": before})
        assert (after.status_code, after.json()["state"]) == (200, "cancelled")


async def test_a_definition_that_somebody_else_has_changed_is_not_overwritten(dsn: str) -> None:
    async with on_site(jobs(), dsn) as site:

        async def put(n: int, **headers: str) -> Any:
            content = f"tasks: {{only: {{step: double}}}}\npriority: {n}"
            sent = {"Content-Type": "application/yaml"} | {k.replace("_", "-"): v for k, v in headers.items()}
            return await site.client.put("/api/definitions/sums", content=content, headers=sent)

        assert (await put(1, If_Match="*")).status_code == 412
        assert (await put(1)).headers["etag"] == '"1"'
        read = (await site.client.get("/api/definitions/sums")).headers["etag"]
        assert (await put(2, If_Match=read)).status_code == 201
        late = await put(3, If_Match=read)
        assert (late.status_code, late.json()["type"]) == (412, "/problems/precondition-failed")
        assert '"2"' in late.json()["detail"]
        stale = await site.client.delete("/api/definitions/sums", headers={"If-Match": read})
        assert stale.status_code == 412
        assert (await site.client.delete("/api/definitions/sums", headers={"If-Match": '"2"'})).status_code == 200


async def test_a_source_that_somebody_else_has_changed_is_not_overwritten(dsn: str) -> None:
    async with on_site(jobs(), dsn, **SETTINGS) as site:

        async def put(size: int, **headers: str) -> Any:
            sent = {k.replace("_", "-"): v for k, v in headers.items()}
            return await site.client.put(
                "/api/sources/shop", json={"parser": "generic", "max_body": size}, headers=sent
            )

        assert (await put(10_000, If_Match='"any"')).status_code == 412
        made = await put(10_000)
        read = await site.client.get("/api/sources/shop")
        assert made.headers["etag"] == read.headers["etag"]
        assert (await put(20_000, If_Match=read.headers["etag"])).status_code == 200
        assert (await put(30_000, If_Match=read.headers["etag"])).status_code == 412
        assert (await site.client.get("/api/sources/shop")).json()["max_body"] == 20_000


@pytest.mark.parametrize(
    ("accept", "status"),
    [("*/*", 200), ("application/json", 200), ("text/html, application/*;q=0.8", 200), ("text/html", 406),
     ("application/json;q=0, */*", 406), ("text/event-stream", 406), ("", 200)],
)  # fmt: skip
async def test_who_takes_no_json_is_told_so(dsn: str, accept: str, status: int) -> None:
    async with on_site(jobs(), dsn) as site:
        assert (await site.client.get("/api/me", headers={"Accept": accept})).status_code == status


async def test_a_path_tells_how_it_may_be_asked(dsn: str) -> None:
    async with on_site(jobs(), dsn) as site:
        for path, methods in [
            ("/api/runs", "GET, HEAD, OPTIONS"),
            ("/api/definitions/x", "DELETE, GET, HEAD, OPTIONS, PUT"),
            ("/api/runs/x", "GET, HEAD, OPTIONS, POST"),
            ("/api/runs/x/cancel", "OPTIONS, POST"),
        ]:
            answer = await site.client.options(path)
            assert (answer.status_code, answer.headers["allow"]) == (204, methods)
            refused = await site.client.patch(path)
            assert (refused.status_code, refused.headers["allow"]) == (405, methods)
        assert (await site.client.options("/api/nothing")).status_code == 404
        whole, head = await site.client.get("/api/runs"), await site.client.head("/api/runs")
        assert (head.status_code, head.content) == (200, b"")
        assert head.headers["etag"] == whole.headers["etag"]
        assert head.headers["content-length"] == whole.headers["content-length"]
