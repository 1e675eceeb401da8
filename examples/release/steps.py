"""What a release does, whichever way it is written: these stand for a build server, a test run and a deployment."""

from typing import Any

from hookline import Failure, Retry, step


@step(retry=Retry(attempts=3))
async def build(commit: str) -> dict[str, Any]:
    """Stands for building an image."""
    return {"image": f"site:{commit[:7]}"}


@step
async def test(image: str) -> dict[str, Any]:
    """Stands for testing it; a commit that begins with `bad` does not pass."""
    if image.startswith("site:bad"):
        raise Failure(f"{image} does not pass its tests")
    return {"tested": True}


@step(retry=Retry(attempts=5))
async def ship(image: str) -> dict[str, Any]:
    """Stands for a deployment."""
    return {"shipped": image}


@step(retry=Retry(attempts=5))
async def clean_up(image: str) -> dict[str, Any]:
    """Stands for deleting an image that nobody needs."""
    return {"deleted": image}
