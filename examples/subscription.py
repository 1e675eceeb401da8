"""A subscription: charged every month until it is cancelled; what is overdue can be seen while it runs.

hookline dev examples.subscription:app
hookline send generic trigger --file examples/payloads/subscription.json --secret ...
hookline runs debug RUN          # months, overdue
hookline runs signal RUN cancel
"""

from dataclasses import dataclass
from datetime import timedelta

from hookline import App, Context, Retry, step

app = App()


@dataclass
class Plan:
    """Who pays how much, in cents, every month."""

    customer: str
    amount: int


@step(retry=Retry(attempts=3, delay=timedelta(hours=6)))
async def charge(customer: str, amount: int) -> bool:
    """Whether the customer paid; stands for a payment service."""
    return not customer.startswith("broke")


@app.job()
async def subscribe(ctx: Context, plan: Plan) -> dict[str, int]:
    """Charge every month; an amount that is not paid is added to the next one."""
    overdue = months = 0
    while True:
        due = plan.amount + overdue
        overdue = 0 if await ctx.step(charge, plan.customer, due) else due
        months += 1
        await ctx.set_var("overdue", overdue)
        await ctx.set_var("months", months)
        try:
            await ctx.wait_for("cancel", timeout=timedelta(days=30))
        except TimeoutError:
            continue
        return {"months": months, "overdue": overdue}
