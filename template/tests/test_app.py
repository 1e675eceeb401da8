from my_project.app import app

PAID = {"id": "A7", "kind": "paid", "customer": "mona"}


async def test_what_was_paid_for_is_shipped(hookline):
    async with hookline(app) as service:
        (run,) = (await service.deliver("shop", "order", PAID)).runs
        result = await service.ended(run)
        assert (result.state, result.output) == ("succeeded", "order A7 left shelf-A7")


async def test_a_crash_behind_the_parcel_sends_no_other(hookline):
    parcels = []
    async with hookline(app) as service:
        service.stub("send_parcel", lambda order, shelf: parcels.append(order) or "sent")
        with service.crash_at("follow_up"):
            (run,) = (await service.deliver("shop", "order", PAID)).runs
            assert (await service.ended(run)).state == "succeeded"
    assert parcels == ["A7"]


async def test_the_same_delivery_again_starts_nothing(hookline):
    async with hookline(app) as service:
        first = await service.deliver("shop", "order", PAID)
        assert (await service.deliver("shop", "order", PAID)).delivery == first.delivery


async def test_a_week_later_somebody_asks(hookline):
    async with hookline(app) as service:
        run = await service.start("follow_up", "A7")
        await service.waiting(run)
        await service.advance(days=7)
        assert (await service.ended(run)).output == "A7: is all well?"
