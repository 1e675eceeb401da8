"""A release as a state machine: where it stands is a word that anybody understands, and may wait for.

hookline dev examples.release.machine:app
hookline send github push --file examples/payloads/push.json --secret ...
hookline runs await RUN --var state=SHIPPED
"""

from dataclasses import dataclass
from enum import Enum, auto

from examples.release import steps

from hookline import App, Failure, Machine, Retry
from hookline_parsers import github

app = App()


class Status(Enum):
    PUSHED = auto()
    BUILT = auto()
    TESTED = auto()
    SHIPPED = auto()
    REJECTED = auto()


@dataclass
class Release:
    after: str
    image: str = ""


release = Machine("release", data=Release, initial=Status.PUSHED, terminal=[Status.SHIPPED, Status.REJECTED])


@release.state(Status.PUSHED, to=[Status.BUILT], retry=Retry(attempts=3))
async def build(release: Release) -> Status:
    """Build the pushed commit."""
    release.image = (await steps.build(release.after))["image"]
    return Status.BUILT


@release.state(Status.BUILT, to=[Status.TESTED, Status.REJECTED])
async def test(release: Release) -> Status:
    """Test it; what does not pass is cleaned up."""
    try:
        await steps.test(release.image)
    except Failure:
        await steps.clean_up(release.image)
        return Status.REJECTED
    return Status.TESTED


@release.state(Status.TESTED, to=[Status.SHIPPED], retry=Retry(attempts=5))
async def ship(release: Release) -> Status:
    """Ship it."""
    await steps.ship(release.image)
    return Status.SHIPPED


app.add(release, on=github.push(branches=["main"]), scope="{repository}", correlate="{repository}/{after}")
