"""A deploy that waits for its checks and for a person. Started by a push; `hookline dev examples.approval:app`.

    hookline send github push --file examples/payloads/push.json --secret ...
    hookline send github check_suite --file examples/payloads/check_suite.json --secret ...

The run's variable `approval` (`hookline runs debug RUN`) is the address of the page to press.
"""

from datetime import timedelta

from hookline import App, Context, Event, Retry, step
from hookline_parsers import github

app = App()


@step(retry=Retry(attempts=3))
async def build(repository: str, commit: str) -> str:
    """Stands for a build."""
    return f"registry.example/{repository}:{commit[:7]}"


@step(once=True)
async def ship(image: str) -> str:
    """Must not happen twice, so its intent is recorded first."""
    return f"shipped {image}"


@app.job(on=github.push(branches=["main"]), scope="{repository}", timeout=timedelta(days=3))
async def deploy(ctx: Context, event: Event) -> str:
    """Build the commit, wait until its checks pass, ask, ship."""
    commit = event.data["after"]
    image = await ctx.step(build, event.key, commit)
    suite = await ctx.wait_for(github.check_suite(sha=commit, actions="completed"), timeout=timedelta(hours=1))
    if suite.data["check_suite"]["conclusion"] != "success":
        return "not shipped: its checks failed"
    approval = await ctx.approval("Ship to production?", text=image, timeout=timedelta(days=1))
    await ctx.set_var("approval", approval.url)
    verdict = await approval
    if not verdict.approved:
        return f"not shipped: {verdict.by or 'somebody'} said {verdict.comment or 'no'}"
    return await ctx.step(ship, image)
