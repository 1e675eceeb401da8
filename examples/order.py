"""An order that a payment service confirms by a callback, or that is dropped when it does not.

    hookline dev examples.order:app
    hookline send generic trigger --file examples/payloads/order.json --secret ...
    curl -X POST "$(hookline runs debug RUN --json | jq -r .variables.pay)" -d '{"data": "receipt-1"}' \\
        -H 'Content-Type: application/json'
"""

from dataclasses import dataclass
from datetime import timedelta

from hookline import App, CallbackFailed, Context, step

app = App()


@dataclass
class Order:
    """What was ordered."""

    number: int


@step
async def ask_for_payment(order: Order, url: str) -> None:
    """Stands for a payment service that is told where to answer."""


@step
async def tell(order: Order, what: str) -> str:
    """Stands for an e-mail."""
    return f"order {order.number}: {what}"


@app.job(scope="{number}")
async def order(ctx: Context, order: Order) -> str:
    """Ask for the payment, wait for it, tell the customer."""
    payment = await ctx.callback("payment", timeout=timedelta(days=2), returns=str)
    await ctx.set_var("pay", payment.url)
    await ctx.step(ask_for_payment, order, payment.url)
    try:
        receipt = await payment
    except TimeoutError:
        return await ctx.step(tell, order, "dropped, since nobody paid")
    except CallbackFailed as error:
        return await ctx.step(tell, order, f"not paid: {error}")
    return await ctx.step(tell, order, f"paid, {receipt}")
