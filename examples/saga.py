"""A trip that is booked whole or not at all: what was booked is cancelled again, the last first.

hookline dev examples.saga:app
hookline send generic trigger --file examples/payloads/saga.json --secret ...
"""

from hookline import App, Context, Fatal, Retry, step

app = App()


@step(retry=Retry(attempts=3))
async def book(what: str, where: str) -> str:
    """Stands for a booking; there are no cars on Mars."""
    if (what, where) == ("car", "mars"):
        raise Fatal("no cars there")
    return f"{what}-{where}"


@step(retry=Retry(attempts=10))
async def cancel(booking: str) -> str:
    """Stands for taking a booking back."""
    return f"{booking} cancelled"


@app.job()
async def trip(ctx: Context, where: str) -> list[str]:
    """Book all of it; if anything fails, or somebody cancels the run, take back what was booked."""
    booked = []
    for what in ("flight", "hotel", "car"):
        booking = await ctx.step(book, what, where)
        ctx.compensate(cancel, booking)
        booked.append(booking)
    return booked
