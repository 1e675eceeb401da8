"""Random jobs, signals, timers, pauses, cancels and lost workers, against a simple model of what must come of them."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Coroutine
from typing import Any
from uuid import UUID

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from hookline import App, Context
from hookline.settings import Settings
from hookline.store import control
from hookline.testing import _serving
from hookline.testing.service import Service

NAMES = ("red", "blue")
UNSTABLE = """
select count(*) from hookline.runs
 where state in ('queued', 'running') or state = 'waiting' and due_at <= clock_timestamp()
"""

app = App()
performed: Counter[tuple[UUID, str]] = Counter()


@app.job()
async def child(ctx: Context, x: int) -> int:
    return x + 1


@app.job()
async def program(ctx: Context, operations: list[list[Any]]) -> list[Any]:
    """Does what its input says."""
    told: list[Any] = []

    async def work(x: int) -> int:
        performed[ctx.run, ctx.idempotency_key] += 1
        return x * 2

    for name, argument in operations:
        match name:
            case "step":
                told.append(await ctx.step(work, argument))
            case "wait":
                told.append(await ctx.wait_for(argument))
            case "sleep":
                await ctx.sleep(argument)
            case "child":
                told.append(await ctx.run_job(child, argument))
            case "both":
                told += await asyncio.gather(ctx.step(work, 1), ctx.wait_for(argument))
            case "map":
                told.append(list(await ctx.map(work, range(argument))))
    return told


OPERATIONS = st.lists(
    st.one_of(
        st.tuples(st.just("step"), st.integers(0, 5)),
        st.tuples(st.just("wait"), st.sampled_from(NAMES)),
        st.tuples(st.just("sleep"), st.just(100)),
        st.tuples(st.just("child"), st.integers(0, 5)),
        st.tuples(st.just("both"), st.sampled_from(NAMES)),
        st.tuples(st.just("map"), st.integers(0, 3)),
    ),
    max_size=5,
)


class Modelled:
    """A run as it must be: how far its program has come with what it was sent."""

    def __init__(self, operations: list[tuple[str, Any]], scope: str | None) -> None:
        self.ahead = list(operations)
        self.scope = scope
        self.told: list[Any] = []
        self.held: dict[str, list[int]] = {name: [] for name in NAMES}
        self.asleep = False
        self.begun = False
        self.state = "waiting"

    @property
    def is_unfinished(self) -> bool:
        return self.state in ("waiting", "paused", "blocked")

    def go_on(self) -> None:
        """Do all that can be done."""
        while self.state == "waiting" and not self.asleep:
            self.begun = True
            if not self.ahead:
                self.state = "succeeded"
                return
            name, argument = self.ahead[0]
            if name in ("wait", "both") and not self.held[argument]:
                return
            self.ahead.pop(0)
            match name:
                case "step":
                    self.told.append(argument * 2)
                case "wait":
                    self.told.append(self.held[argument].pop(0))
                case "sleep":
                    self.asleep = True
                case "child":
                    self.told.append(argument + 1)
                case "both":
                    self.told += [2, self.held[argument].pop(0)]
                case "map":
                    self.told.append([2 * x for x in range(argument)])


class Machine(RuleBasedStateMachine):
    runs = Bundle("runs")

    def __init__(self, postgres: str) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.serving = _serving(app, postgres, Settings(drain=0, poll=0.05))
        self.service: Service = self.runner.run(self.serving.__aenter__())
        self.model: dict[UUID, Modelled] = {}
        self.deaths = 0

    def teardown(self) -> None:
        self.runner.run(self.serving.__aexit__(None, None, None))
        self.runner.close()

    def do(self, *doing: Coroutine[Any, Any, Any]) -> list[Any]:
        """Do all of that, one after the other, and wait until nothing moves any more."""

        async def all_of_it() -> list[Any]:
            told = [await each for each in doing]
            async with asyncio.timeout(20), self.service._database.session() as connection:
                while await connection.fetchval(UNSTABLE):
                    await asyncio.sleep(0.005)
            return told

        told = self.runner.run(all_of_it())
        self.settle()
        return told

    def settle(self) -> None:
        """Let the model go on: of each scope the first that is unfinished, all others."""
        moved = True
        while moved:
            before = [(each.state, len(each.ahead)) for each in self.model.values()]
            held = set()
            for each in self.model.values():
                if not each.is_unfinished:
                    continue
                if each.scope is not None and each.scope in held:
                    if each.state == "waiting":
                        each.state = "blocked"
                    continue
                if each.scope is not None:
                    held.add(each.scope)
                if each.state == "blocked":
                    each.state = "waiting"
                each.go_on()
            moved = before != [(each.state, len(each.ahead)) for each in self.model.values()]

    @rule(target=runs, operations=OPERATIONS, scope=st.sampled_from([None, None, "s"]))
    def start(self, operations: list[tuple[str, Any]], scope: str | None) -> UUID:
        async def started() -> UUID:
            run = await self.service.start("program", operations, scope=scope)
            self.model[run] = Modelled(operations, scope)
            return run

        (run,) = self.do(started())
        return run

    @rule(
        run=runs,
        name=st.sampled_from(NAMES),
        numbers=st.lists(st.integers(0, 99), min_size=1, max_size=3),
        dies=st.booleans(),
    )
    def signal(self, run: UUID, name: str, numbers: list[int], dies: bool) -> None:
        modelled = self.model[run]
        if not modelled.is_unfinished:
            return
        sending = [self.service.signal(run, name, number) for number in numbers[:1]]
        modelled.held[name].append(numbers[0])
        if dies:
            self.deaths += 1
            sending.append(self.service.lose_worker())
        self.do(*sending)
        for number in numbers[1:]:
            if modelled.is_unfinished:
                modelled.held[name].append(number)
                self.do(self.service.signal(run, name, number))

    @rule()
    def advance(self) -> None:
        for each in self.model.values():
            each.asleep = False
        self.do(self.service.advance(100))

    @rule(run=runs)
    def pause(self, run: UUID) -> None:
        if self.model[run].state in ("waiting", "blocked"):
            self.model[run].state = "paused"
            self.do(self.controlled(control.pause, run))

    @rule(run=runs)
    def resume(self, run: UUID) -> None:
        if self.model[run].state == "paused":
            self.model[run].state = "waiting"
            self.do(self.controlled(control.resume, run))

    @rule(run=runs)
    def cancel(self, run: UUID) -> None:
        if self.model[run].is_unfinished:
            self.model[run].state = "cancelled"
            self.do(self.controlled(control.cancel, run))

    @rule()
    def lose_worker(self) -> None:
        self.deaths += 1
        self.do(self.service.lose_worker())

    async def controlled(self, what: Any, run: UUID) -> None:
        async with self.service._database.session() as connection:
            await (what(connection, run) if what is control.resume else what(connection, run, lambda *_: ()))

    @invariant()
    def every_run_is_as_the_model_says(self) -> None:
        async def look() -> None:
            for run, modelled in self.model.items():
                result = await self.service.result(run)
                assert result.state == modelled.state, (run, result, vars(modelled))
                if modelled.state == "succeeded":
                    assert result.output == modelled.told, (run, result, vars(modelled))
            async with self.service._database.session() as connection:
                assert await connection.fetchval(ORPHANS) == 0
            again = sum(n - 1 for (run, _), n in performed.items() if run in self.model)
            assert again <= self.deaths * 10

        self.runner.run(look())


ORPHANS = """
select count(*) from hookline.runs
 where state = 'running' and worker_id not in (select id from hookline.workers)
    or state = 'waiting' and due_at is null
       and not exists (select from hookline.journal where run_id = id and journal.state = 'waiting')
    or state = 'blocked' and not exists (
        select from hookline.runs as ahead where ahead.job = runs.job and ahead.scope = runs.scope
           and ahead.seq < runs.seq and ahead.state in ('blocked', 'queued', 'running', 'waiting', 'paused'))
"""


def test_whatever_happens_runs_are_as_the_model_says(hookline_postgres: str) -> None:
    run_state_machine_as_test(
        lambda: Machine(hookline_postgres),
        settings=settings(
            max_examples=25, stateful_step_count=15, deadline=None, suppress_health_check=list(HealthCheck)
        ),
    )
