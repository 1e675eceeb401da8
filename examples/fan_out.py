"""The same change to many repositories at once: a few may fail, and a failed one does not stop the others.

hookline dev examples.fan_out:app
hookline send generic trigger --file examples/payloads/fan_out.json --secret ...
"""

from typing import Any

from hookline import App, Context, Retry, step

app = App()


@step(retry=Retry(attempts=3))
async def clone(repository: str) -> str:
    """Stands for a clone."""
    return f"/tmp/{repository}"


@step
async def update(path: str) -> str:
    """Stands for the change; a repository that is archived takes none."""
    if "archived" in path:
        raise ValueError("this repository is archived")
    return f"{path} updated"


async def one(ctx: Context, repository: str) -> str:
    """A branch: its steps are recorded under `one/0/`, `one/1/` and so on."""
    return await ctx.step(update, await ctx.step(clone, repository))


@app.job()
async def change_everywhere(ctx: Context, repositories: list[str]) -> dict[str, Any]:
    """Ten at a time; up to a fifth may fail."""
    batch = await ctx.map(one, repositories, concurrency=10, tolerate="20%")
    return {
        "updated": len(batch.succeeded),
        "failed": {repositories[index]: str(error) for index, error in batch.errors.items()},
    }
