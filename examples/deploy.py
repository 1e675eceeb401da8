"""A deploy: build the pushed commit, test it, ship it. `hookline dev examples.deploy:app` runs it."""

import asyncio
from datetime import timedelta

from hookline import App, Context, Event, Retry, step
from hookline_parsers import github

app = App()


@step(retry=Retry(attempts=3, delay=timedelta(seconds=1)), timeout=timedelta(minutes=10))
async def build_image(repository: str, commit: str) -> str:
    """Stands for a real build, which takes a while and may fail on the way."""
    await asyncio.sleep(0.6)
    return f"registry.example/{repository}:{commit[:7]}"


@step
def run_tests(image: str) -> dict[str, int]:
    """A plain function runs in a thread."""
    return {"passed": 128, "failed": 0, "image": len(image)}


@step(retry=Retry(attempts=5))
async def ship(image: str, environment: str) -> str:
    """Hand the image over."""
    await asyncio.sleep(0.3)
    return f"https://{environment}.example/{image.rsplit(':', 1)[1]}"


@app.job(on=github.push(branches=["main"]), scope="{repository}")
async def deploy(ctx: Context, event: Event) -> str:
    """Build the pushed commit, test it, ship it; one deploy at a time for each repository."""
    image = await ctx.step(build_image, event.key, event.data["after"])
    await ctx.step(run_tests, image)
    await ctx.step(ship, image, "staging")
    return await ctx.step(ship, image, "production")
