"""A release as a chain: what follows each step if it succeeds, and what if it fails, in one expression.

hookline dev examples.release.chain:app
hookline send github push --file examples/payloads/push.json --secret ...
"""

from typing import Any

from examples.release.steps import build, clean_up, ship, test

from hookline import App, Chain, step
from hookline_parsers import github

app = App()


@step
def read_push(after: str) -> dict[str, Any]:
    """The steps are given the data by the names of their parameters: `build` wants a `commit`."""
    return {"commit": after}


release = app.add(
    Chain("release", read_push.then(build.then(test.then(ship).otherwise(clean_up)))),
    on=github.push(branches=["main"]),
    scope="{repository}",
)
