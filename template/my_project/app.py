"""The jobs. Each is plain Python, of which every step is recorded once, so that it survives crashes and deploys."""

from datetime import timedelta

from hookline import App, Context, Event, Retry, step

from my_project import shop

app = App()


@step(retry=Retry(attempts=3))
async def reserve(order: str) -> str:
    return f"shelf-{order}"


@step
async def send_parcel(order: str, shelf: str) -> str:
    return f"order {order} left {shelf}"


@step
async def write(order: str, text: str) -> str:
    return f"{order}: {text}"


@app.job(on=shop.order("paid"), scope="{customer}")
async def ship(ctx: Context, event: Event) -> str:
    """Ship what was paid for; one order at a time for each customer."""
    order = event.data["id"]
    shelf = await ctx.step(reserve, order)
    parcel = await ctx.step(send_parcel, order, shelf)
    await ctx.start_job(follow_up, order)
    return parcel


@app.job()
async def follow_up(ctx: Context, order: str) -> str:
    """Ask a week later whether all is well. Meanwhile this run is a row in Postgres, and nothing in memory."""
    await ctx.sleep(timedelta(days=7))
    return await ctx.step(write, order, "is all well?")


@app.job(schedule="@daily")
async def report(ctx: Context, tick: dict[str, str]) -> str:
    """Tell every morning which day has begun."""
    return f"{tick['at'][:10]} has begun"
