"""The examples do what their pages say."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from examples import approval, fan_out, order, saga, subscription

from hookline.testing import Serve

PAYLOADS = Path(__file__).parents[2] / "examples" / "payloads"


def payload(name: str) -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads((PAYLOADS / f"{name}.json").read_text())
    return loaded


async def test_a_deploy_waits_for_its_checks_and_for_a_person(hookline: Serve) -> None:
    async with hookline(approval.app) as service:
        for verdict, output in (({"approved": True}, "shipped"), ({"approved": False, "by": "Mona"}, "not shipped")):
            receipt = await service.deliver("github", "push", payload("push"))
            run = receipt.runs[0]
            await service.waiting(run)
            await service.deliver("github", "check_suite", payload("check_suite"))
            await service.until(run, "callback", "waiting")
            assert (await service.waiting(run)).vars["approval"].startswith("http://")
            await service.complete(run, "Ship to production?", verdict)
            result = await service.ended(run)
            assert result.state == "succeeded", result
            assert result.output.startswith(output)


async def test_a_subscription_shows_what_is_overdue_month_by_month(hookline: Serve) -> None:
    async with hookline(subscription.app) as service:
        run = (await service.deliver("generic", "trigger", payload("subscription"))).runs[0]
        for month in (1, 2, 3):
            seen = await service.waiting(run)
            assert seen.vars == {"overdue": 900 * month, "months": month}
            if month < 3:
                await service.advance(days=30)
                await service.until(run, "signal", "failed", count=month)
        await service.signal(run, "cancel")
        assert (await service.ended(run)).output == {"months": 3, "overdue": 2700}


async def test_an_order_is_paid_refused_or_dropped(hookline: Serve) -> None:
    async with hookline(order.app) as service:
        runs = [
            (await service.deliver("generic", "trigger", payload("order") | {"input": {"number": number}})).runs[0]
            for number in (1, 2, 3)
        ]
        for run in runs:
            await service.waiting(run)
        await service.complete(runs[0], "payment", "receipt-1")
        await service.complete(runs[1], "payment", error="no money")
        told = [(await service.ended(run)).output for run in runs[:2]]
        await service.advance(days=2)
        told.append((await service.ended(runs[2])).output)
    assert told == ["order 1: paid, receipt-1", "order 2: not paid: no money", "order 3: dropped, since nobody paid"]


async def test_a_change_goes_everywhere_but_where_it_cannot(hookline: Serve) -> None:
    async with hookline(fan_out.app) as service:
        receipt = await service.deliver("generic", "trigger", payload("fan_out"))
        result = await service.ended(receipt.runs[0])
    assert result.output == {"updated": 4, "failed": {"octo/archived": "this repository is archived"}}


async def test_a_trip_is_booked_whole_or_not_at_all(hookline: Serve) -> None:
    async with hookline(saga.app) as service:
        assert (await service.run("trip", "rome")).output == ["flight-rome", "hotel-rome", "car-rome"]
        result = await service.ended((await service.deliver("generic", "trigger", payload("saga"))).runs[0])
    assert (result.state, result.reason) == ("failed", "hookline.errors.Fatal: no cars there")
    assert [(key, state) for key, kind, state in result.journal if kind == "undo"] == [
        ("cancel", "succeeded"),
        ("cancel#2", "succeeded"),
    ]
