"""A release as a coroutine: plain Python, with all that it can say.

hookline dev examples.release.coroutine:app
hookline send github push --file examples/payloads/push.json --secret ...
"""

from examples.release.steps import build, clean_up, ship, test

from hookline import App, Context, Event, Failure
from hookline_parsers import github

app = App()


@app.job(on=github.push(branches=["main"]), scope="{repository}")
async def release(ctx: Context, event: Event) -> str:
    """Build the pushed commit, test it, and ship it; clean up if it does not pass."""
    built = await ctx.step(build, event.data["after"])
    try:
        await ctx.step(test, built["image"])
    except Failure:
        await ctx.step(clean_up, built["image"])
        raise
    shipped = await ctx.step(ship, built["image"])
    return str(shipped["shipped"])
