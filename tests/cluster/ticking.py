"""The application of the processes whose schedules are watched: daily at half past two, on the wall of three zones."""

from __future__ import annotations

from typing import Any

from hookline import App, Context, Schedule

ZONES = ("Europe/Berlin", "America/New_York", "Australia/Lord_Howe")

app = App()


@app.job(
    schedule=[
        Schedule("30 2 * * *", timezone=zone, catch_up="all", most=10_000, name=zone.rpartition("/")[2].lower())
        for zone in ZONES
    ]
)
async def tick(ctx: Context, about: dict[str, Any]) -> str:
    return str(about["at"])
