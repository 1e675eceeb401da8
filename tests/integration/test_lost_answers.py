"""After a lost connection nobody knows whether the commit happened, so the same batch is written again."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import asyncpg
import pytest
from tests.support import at_home

from hookline import App, Context
from hookline.codec import uuid7
from hookline.ingress import sources
from hookline.ingress.schemes import Headers, Received, Unsigned
from hookline.store.commit import GroupCommit
from hookline.store.signals import NewSignal
from hookline_parsers import github


class Faults:
    """Loses the answer to commits, or the commit itself, as often as a test says."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.answers_to_lose: dict[str, int] = {}
        self.commits_to_lose: dict[str, int] = {}
        commit = GroupCommit._commit

        async def faulty(writer: GroupCommit[Any, Any], items: Sequence[Any], again: bool) -> Sequence[Any]:
            kinds = {type(item).__name__ for item in items}
            if self._due(self.commits_to_lose, kinds):
                raise asyncpg.ConnectionDoesNotExistError("lost before the commit")
            results = await commit(writer, items, again)
            if self._due(self.answers_to_lose, kinds):
                raise asyncpg.ConnectionDoesNotExistError("lost after the commit")
            return results

        monkeypatch.setattr(GroupCommit, "_commit", faulty)

    def _due(self, planned: dict[str, int], kinds: set[str]) -> bool:
        for kind in kinds & planned.keys():
            if planned[kind]:
                planned[kind] -= 1
                return True
        return False


@pytest.fixture
def faults(monkeypatch: pytest.MonkeyPatch) -> Faults:
    return Faults(monkeypatch)


@pytest.mark.parametrize("lost", ["answers_to_lose", "commits_to_lose"])
@pytest.mark.parametrize("kind", ["Take", "Record", "Finish", "NewRun"])
async def test_a_run_ends_once_whatever_answer_is_lost(dsn: str, faults: Faults, kind: str, lost: str) -> None:
    app = App()
    calls: list[int] = []

    async def count() -> int:
        calls.append(1)
        return len(calls)

    @app.job(scope="one")
    async def work(ctx: Context, _: None) -> int:
        return await ctx.step(count)

    async with at_home(app, dsn) as house, house.replica():
        getattr(faults, lost)[kind] = 2
        run = await house.finish("work")
        following = await house.finish("work")

    assert getattr(faults, lost)[kind] == 0
    assert (run["state"], run["output"], len(calls)) == ("succeeded", b"1", 2)
    assert following["output"] == b"2"


@pytest.mark.parametrize("lost", ["answers_to_lose", "commits_to_lose"])
@pytest.mark.parametrize("kind", ["Want", "Spawn", "Send", "NewSignal", "Subscribe", "Withdraw"])
async def test_what_comes_for_a_run_comes_once_whatever_answer_is_lost(
    dsn: str, faults: Faults, kind: str, lost: str
) -> None:
    app = App()

    @app.job()
    async def child(ctx: Context, x: int) -> int:
        return x

    @app.job()
    async def work(ctx: Context, _: None) -> list[Any]:
        words = [await ctx.wait_for("word"), await ctx.wait_for("word")]
        await ctx.signal(ctx.run, "own", 3)
        suite = await ctx.wait_for(github.check_suite(sha="a"))
        return [*words, await ctx.wait_for("own"), suite.data["action"], await ctx.run_job(child, 4)]

    source = sources.Source("github", github.parser, Unsigned(), ())
    body = b'{"action": "completed", "check_suite": {"head_sha": "a"}}'
    headers = github.parser.headers_for("check_suite", "guid-1", body)
    received = Received(Headers([(k.lower().encode(), v.encode()) for k, v in headers.items()]), body)
    async with at_home(app, dsn) as house, house.replica():
        getattr(faults, lost)[kind] = 2
        run = await house.start("work")
        await house.watch.value("select state = 'waiting' from hookline.runs where id = $1", run)
        for word in (b"1", b"2"):
            assert await house.intake.send(NewSignal(uuid7(), run, "word", word)) in ("sent", "repeated")
        await house.intake.receive(source, received)
        await house.watch.ended(run)
        told = await house.read(run)
        children = await house.watch.connection.fetchval("select count(*) from hookline.runs where job = 'child'")

    assert getattr(faults, lost)[kind] == 0
    assert (told["state"], told["output"], children) == ("succeeded", b'[1,2,3,"completed",4]', 1)


async def test_a_delivery_whose_answer_was_lost_is_accepted_and_no_duplicate(dsn: str, faults: Faults) -> None:
    app = App()

    @app.job(on=github.push())
    async def work(ctx: Context, _: Any) -> None: ...

    source = sources.Source("github", github.parser, Unsigned(), ())
    headers = github.parser.headers_for("push", "guid-1", b"{}")
    received = Received(Headers([(k.lower().encode(), v.encode()) for k, v in headers.items()]), b"{}")

    async with at_home(app, dsn) as house:
        faults.answers_to_lose["NewDelivery"] = 1
        first = await house.intake.receive(source, received)
        again = await house.intake.receive(source, received)
        count = await house.watch.connection.fetchval("select count(*) from hookline.runs")

    assert (first.status, len(first.runs), again.status, again.runs) == ("accepted", 1, "duplicate", first.runs)
    assert count == 1


async def test_two_hundred_posts_of_one_delivery_make_one_run(dsn: str) -> None:
    app = App()

    @app.job(on=github.push(), scope="all")
    async def work(ctx: Context, _: Any) -> None: ...

    source = sources.Source("github", github.parser, Unsigned(), ())
    headers = github.parser.headers_for("push", "guid-1", b"{}")
    received = Received(Headers([(k.lower().encode(), v.encode()) for k, v in headers.items()]), b"{}")

    async with at_home(app, dsn) as one, at_home(app, dsn) as two, at_home(app, dsn) as three:
        receipts = await asyncio.gather(
            *((one, two, three)[each % 3].intake.receive(source, received) for each in range(200))
        )
        assert [receipt.status for receipt in receipts].count("accepted") == 1
        assert {receipt.status for receipt in receipts} == {"accepted", "duplicate"}
        assert len({receipt.runs for receipt in receipts}) == 1
        assert await one.watch.connection.fetchval("select count(*) from hookline.runs") == 1


@pytest.mark.parametrize("code", ["25006", "53100", "57P01", "40P01", "42P01"])
async def test_what_postgres_cannot_do_right_now_is_written_when_it_can(dsn: str, code: str) -> None:
    """Read-only after a failover, disk full, shutting down, a deadlock, not yet migrated."""
    app = App()
    calls: list[int] = []

    async def count() -> int:
        calls.append(1)
        return len(calls)

    @app.job()
    async def work(ctx: Context, _: None) -> int:
        return await ctx.step(count)

    async with at_home(app, dsn) as house:
        await house.watch.connection.execute(
            f"""
            create sequence attempts;
            create function hookline.not_now() returns trigger language plpgsql as $$
            begin
                if nextval('attempts') <= 2 then raise exception using errcode = '{code}'; end if;
                return new;
            end $$;
            create trigger not_now before insert on hookline.journal for each row
                when (new.state = 'succeeded') execute function hookline.not_now();
            """
        )
        async with house.replica():
            run = await house.finish("work")

    assert (run["state"], run["output"], len(calls)) == ("succeeded", b"1", 1)
