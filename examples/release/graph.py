"""A release as a graph: what waits for what, and at once what does not.

hookline dev examples.release.graph:app
hookline send github push --file examples/payloads/push.json --secret ...
"""

from typing import Any

from examples.release import steps

from hookline import App, Command, Event, Graph, Retry
from hookline_parsers import github

app = App()
release = Graph("release", concurrency=4)


@release.task(retry=Retry(attempts=3))
async def build(event: Event) -> dict[str, Any]:
    """Build the pushed commit."""
    return await steps.build(event.data["after"])


@release.task(after=build)
async def test(build: dict[str, Any]) -> dict[str, Any]:
    """A task is given the results upstream of it by their names."""
    return await steps.test(build["image"])


lint = release.task(Command("echo", "linted {build.image}", timeout=60), name="lint", after=build)


@release.task(after=[test, lint], retry=Retry(attempts=5))
async def ship(build: dict[str, Any]) -> dict[str, Any]:
    """Ship it, once it has passed both."""
    return await steps.ship(build["image"])


@release.task(after=[test, lint], rule="any_failed")
async def clean_up(build: dict[str, Any]) -> dict[str, Any]:
    """Clean up if it has not; the run fails all the same."""
    return await steps.clean_up(build["image"])


app.add(release, on=github.push(branches=["main"]), scope="{repository}")
