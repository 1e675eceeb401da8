"""The application of crowded scopes: of each way in which runs of one scope get along there is a job."""

from __future__ import annotations

from datetime import timedelta
from random import Random

from tests.cluster.storm import Delivery, push

from hookline import App, Context, Debounce, Event, Rate, step
from hookline_parsers import github

app = App()

MOST = 4
"""Events that one run of `follow` handles."""

SCOPES = 6
"""Repositories of which the events tell."""

PAUSE = timedelta(milliseconds=20)
"""For which a run is under way, so that others meet it."""


@step
def take(commit: str) -> str:
    return commit


async def under_way(ctx: Context, event: Event) -> str:
    await ctx.sleep(PAUSE)
    return await ctx.step(take, event.data["after"])


@app.job(on=github.push(branches=["follow"]), correlate="{repository}")
async def follow(ctx: Context, event: Event) -> None:
    await ctx.step(take, event.data["after"])
    for _ in range(MOST - 1):
        await ctx.step(take, (await ctx.next_event()).data["after"])


for name, options in {
    "in_turn": {"policy": "queue"},
    "in_pairs": {"policy": "queue", "limit": 2},
    "the_newest": {"policy": "cancel_running"},
    "the_last": {"policy": "replace_waiting"},
    "settled": {"policy": Debounce(timedelta(milliseconds=50), at_most=timedelta(seconds=1))},
    "seldom": {"policy": "replace_waiting", "limit": None, "rate": Rate(3, per=timedelta(milliseconds=300))},
}.items():
    app.job(name, on=github.push(branches=[name]), scope="{repository}", **options)(under_way)


def crowd(count: int, chance: Random) -> list[Delivery]:
    """`count` deliveries in the order in which they are sent, some of them twice."""
    sent: list[tuple[float, Delivery]] = []
    for number in range(count):
        job = chance.choice([*app.latest])
        body = push(job, f"octo/{chance.randrange(SCOPES)}", f"{number}")
        each = Delivery(f"guid-{number}", "push", body, "accepted", (job,))
        sent += [(number + 50 * chance.random(), each) for _ in range(chance.choice((1, 1, 2)))]
    return [each for _, each in sorted(sent, key=lambda at: at[0])]
