"""A machine goes from state to state as its functions, callbacks and timeouts say, and nowhere else."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Any

import pytest
from tests.support import on_site

from hookline import App, Machine, Retry, again, cancel, pause, skip
from hookline.errors import ConfigurationError
from hookline.store import control
from hookline.testing import Serve


class Status(Enum):
    CREATED = auto()
    PAID = auto()
    PACKED = auto()
    SHIPPED = auto()
    EXPIRED = auto()


@dataclass
class Order:
    number: int
    paid: int = 0
    notes: list[str] = field(default_factory=list)


def orders(**options: Any) -> tuple[App, Machine[Order]]:
    app = App()
    machine = Machine("order", data=Order, initial=Status.CREATED, terminal=[Status.SHIPPED, Status.EXPIRED], **options)

    @machine.callback(Status.CREATED, "paid", to=[Status.PAID])
    async def paid(order: Order, amount: int) -> Any:
        order.paid += amount
        return Status.PAID if order.paid >= 10 else skip

    machine.timeout(Status.CREATED, 3600, to=Status.EXPIRED)

    @machine.state(Status.PAID, to=[Status.PACKED])
    def pack(order: Order) -> Any:
        order.notes.append("packed")
        return Status.PACKED if len(order.notes) > 1 else again(after=0.01)

    @machine.state(Status.PACKED, to=[Status.SHIPPED, Status.CREATED])
    async def ship(order: Order) -> Status:
        return Status.CREATED if "back" in order.notes else Status.SHIPPED

    return app, machine


async def test_data_are_typed_and_kept_with_each_transition(hookline: Serve) -> None:
    app, machine = orders()
    app.add(machine)
    async with hookline(app, always_replay=True) as service:
        run = await service.start("order", {"number": 7})
        await service.waiting(run)
        assert (await service.result(run)).vars == {"state": "CREATED"}
        await service.signal(run, "paid", 4)
        await service.signal(run, "paid", 6)
        result = await service.ended(run)
    assert result.output == {"number": 7, "paid": 10, "notes": ["packed", "packed"]}
    assert result.vars == {"state": "SHIPPED"}
    assert [key for key, kind, _ in result.journal if kind == "step"] == [
        "CREATED/paid#2", "CREATED/paid#4", "PAID/pack", "PAID/pack#2", "PACKED/ship",
    ]  # fmt: skip


async def test_a_callback_that_comes_early_is_held_and_an_old_timer_fires_on_no_new_visit(hookline: Serve) -> None:
    app, machine = orders()
    app.add(machine)
    async with hookline(app) as service:
        run = await service.start("order", {"number": 7, "notes": ["back"]})
        await service.waiting(run)
        await service.advance(minutes=50)
        await service.signal(run, "paid", 10)
        await service.until(run, "step", "succeeded", count=3)
        await service.waiting(run)
        await service.advance(minutes=50)  # the first visit's timeout would have come
        assert (await service.waiting(run)).vars == {"state": "CREATED"}
        await service.advance(minutes=11)
        assert (await service.ended(run)).vars == {"state": "EXPIRED"}

        early = await service.start("order", {"number": 8}, delay=3600)
        await service.signal(early, "paid", 10)
        await service.advance(hours=1)
        assert (await service.ended(early)).vars == {"state": "SHIPPED"}


async def test_a_wrong_destination_is_an_error_that_counts_towards_pausing(hookline: Serve) -> None:
    app, calls = App(), []
    machine = Machine("m", data=dict[str, int], initial="a", terminal=["z"])

    @machine.state("a", to=["z"])
    async def wrong(data: dict[str, int]) -> str:
        calls.append(1)
        return "a" if len(calls) < 4 else "z"

    app.add(machine, pause_after_errors=3, retry=Retry(delay=0))
    async with hookline(app) as service:
        result = await service.run("m", {})
        assert result.state == "paused"
        assert "wrong returned 'a'; it may lead to z" in str(result.reason)
        assert len(calls) == 3


async def test_a_function_pauses_and_is_called_again_or_cancels(hookline: Serve) -> None:
    app, says = App(), [pause("look at it"), cancel("enough")]
    machine = Machine("m", data=dict[str, int], initial="a", terminal=["z"])

    @machine.state("a", to=["z"])
    async def decide(data: dict[str, int]) -> Any:
        data["n"] = data.get("n", 0) + 1
        return says.pop(0)

    app.add(machine)
    async with hookline(app) as service:
        paused = await service.run("m", {})
        assert (paused.state, paused.reason) == ("paused", "look at it")
        async with service._database.session() as connection:
            await control.resume(connection, paused.id)
        await service._until(paused.id, {"cancelled"})
        assert (await service.result(paused.id)).reason == "enough"
        assert says == []


async def test_a_state_that_nothing_leads_out_of_pauses(hookline: Serve) -> None:
    app = App()
    machine = Machine("m", data=dict[str, int], initial="a", terminal=["z"])
    machine.state("a", to=["z"])(lambda data: skip)
    app.add(machine)
    async with hookline(app) as service:
        result = await service.run("m", {})
    assert (result.state, "nothing leads out of state a" in str(result.reason)) == ("paused", True)


async def test_no_more_runs_are_in_a_state_at_once_than_it_allows(hookline: Serve) -> None:
    app, now, most, two = App(), 0, 0, asyncio.Barrier(2)
    machine = Machine("m", data=dict[str, int], initial="a", terminal=["z"])

    @machine.state("a", to=["z"], limit=2)
    async def work(data: dict[str, int]) -> str:
        nonlocal now, most
        now += 1
        most = max(most, now)
        await two.wait()
        now -= 1
        return "z"

    app.add(machine)
    async with hookline(app) as service:
        runs = [await service.start("m", {}) for _ in range(20)]
        for run in runs:
            assert (await service.ended(run)).state == "succeeded"
    assert most == 2


async def test_fifty_at_once_make_one_run_and_another_once_that_has_ended(dsn: str) -> None:
    app, machine = orders()
    app.add(machine, correlate="{number}")
    async with on_site(app, dsn) as site, site.house.replica():
        asked = [site.client.post("/api/jobs/order/runs", json={"input": {"number": 7}}) for _ in range(50)]
        answers = await asyncio.gather(*asked)
        assert {answer.status_code for answer in answers} == {200, 201}
        (run,) = {answer.json()["id"] for answer in answers}
        (found,) = (await site.client.get("/api/runs?job=order&correlation=7")).json()["runs"]
        assert (found["id"], found["correlation"]) == (run, "7")

        waiting = asyncio.create_task(site.hookline("runs", "await", run, "--var", "state=SHIPPED"))
        await site.client.post(f"/api/runs/{run}/signals", json={"name": "paid", "data": 10})
        await waiting
        await site.house.watch.ended(run)
        after = await site.client.post("/api/jobs/order/runs", json={"input": {"number": 7}})
        assert (after.status_code, after.json()["id"] != run) == (201, True)
        refused = await site.client.post("/api/jobs/order/runs", json={"input": {}})
        assert (refused.status_code, "needs more" in refused.text) == (422, True)


def test_a_machine_that_makes_no_sense_is_refused() -> None:
    _, machine = orders()
    with pytest.raises(ConfigurationError, match="state PAID has two functions"):
        machine.state(Status.PAID, to=[])(lambda order: skip)
    with pytest.raises(ConfigurationError, match="state SHIPPED is terminal"):
        machine.timeout(Status.SHIPPED, 1, to=Status.CREATED)
    with pytest.raises(ConfigurationError, match="leads to one state, or says"):
        machine.timeout(Status.PAID, 1)
    nowhere = Machine("m", data=dict[str, int], initial="a", terminal=["z"])
    with pytest.raises(ConfigurationError, match="the beginning leads to a, where nothing happens"):
        App().add(nowhere)
    nowhere.timeout("a", 1, to="b")
    with pytest.raises(ConfigurationError, match="a leads to b, where nothing happens"):
        App().add(nowhere)


def test_a_machine_is_drawn_with_what_leads_where() -> None:
    drawn = orders()[1].diagram()
    assert [(node.name, node.kind) for node in drawn.nodes] == [
        ("CREATED", "start"), ("PAID", "step"), ("PACKED", "step"), ("SHIPPED", "end"), ("EXPIRED", "end"),
    ]  # fmt: skip
    assert [(edge.source, edge.target, edge.label) for edge in drawn.edges] == [
        ("CREATED", "PAID", "paid"), ("CREATED", "EXPIRED", "after 3600 s"), ("PAID", "PACKED", ""),
        ("PACKED", "SHIPPED", ""), ("PACKED", "CREATED", ""),
    ]  # fmt: skip
