"""Picture: a run for people, with its steps as a tree, still or as it happens."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from rich.console import Group, RenderableType
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

from hookline.cli.client import harmless
from hookline.cli.tables import STATES, state, when

MARKS = {
    "succeeded": "✔", "failed": "✖", "cancelled": "✖", "paused": "‖", "waiting": "◷", "retrying": "↻", "started": "▶",
    "intent": "▶", "abandoned": "-", "skipped": "-", "registered": "·",
}  # fmt: skip
OPEN = ("started", "intent", "retrying")
HEAD = 6
"""Lines of a picture that are no steps."""


class Picture:
    """A run as it stands, drawn anew each time that it is looked at, so that what is under way moves.

    Args:
        live: whether it is kept up to date, and what is under way turns.
    """

    def __init__(self, run: dict[str, Any], *, live: bool = False, height: int | None = None) -> None:
        self.run = run
        self.note = ""
        self._live = live
        self._height = height
        self._spinner = Spinner("dots", style="cyan")

    def __rich__(self) -> RenderableType:
        run = self.run
        head = Text.assemble((run["job"], "bold"), f" v{run['version']}  {run['id']}  ").append_text(
            state(run["state"])
        )
        if run["started_at"]:
            head.append(f"  {span(run['started_at'], run['finished_at'])}", "dim")
        lines: list[RenderableType] = [head]
        shown = run["journal"] if self._height is None else run["journal"][-max(self._height - HEAD, 1) :]
        if (left_out := len(run["journal"]) - len(shown)) > 0:
            lines.append(Text(f"{left_out} steps before", "dim"))
        if shown:
            lines.append(self._steps(shown))
        if run["state"] == "waiting" and run["due_at"]:
            lines.append(Text(f"goes on at {when(run['due_at'])} at the latest", "blue"))
        if run["output"] is not None:
            lines.append(Text(f"result  {harmless(str(run['output']))}", overflow="ellipsis", no_wrap=self._live))
        if run["reason"]:
            lines.append(Text(f"reason  {harmless(run['reason'])}", STATES.get(run["state"], "")))
        if self.note:
            lines.append(Text(self.note, "yellow"))
        return Group(*lines)

    def _steps(self, journal: Sequence[dict[str, Any]]) -> Table:
        table = Table.grid(padding=(0, 1))
        table.add_column(width=1)
        for _ in range(3):
            table.add_column(no_wrap=True)
        table.add_column(no_wrap=True, overflow="ellipsis", ratio=1)
        above: list[str] = []
        for each in journal:
            path = each["key"].split("/")
            for depth, part in enumerate(path[:-1]):
                if above[: depth + 1] != path[: depth + 1]:
                    table.add_row("", Text(f"{'  ' * depth}{harmless(part)}", "dim"))
            above = path[:-1]
            again = f"attempt {each['attempt']}" if each["attempt"] > 1 else ""
            table.add_row(
                self._mark(each["state"]),
                Text("  " * len(above) + harmless(path[-1])),
                Text(each["state"], STATES.get(each["state"], "")),
                Text(" ".join(filter(None, (self._took(each), again))), "dim"),
                Text(result(each), overflow="ellipsis", no_wrap=True),
            )
        return table

    def _took(self, step: dict[str, Any]) -> str:
        """What a step took; of one that was under way when its run was left, until then, if that is known."""
        if self.run["state"] == "paused" and step["state"] in ("started", "intent"):
            return ""
        return span(step["started_at"], step["finished_at"] or self.run["finished_at"])

    def _mark(self, of: str) -> RenderableType:
        return self._spinner if self._live and of in OPEN else Text(MARKS.get(of, "·"), STATES.get(of, ""))


def result(step: dict[str, Any]) -> str:
    """What a step came to, in short."""
    if step["error"]:
        return harmless(str(step["error"]["message"])[:200])
    return "" if step["output"] is None else harmless(str(step["output"])[:200])


def span(began: str | None, ended: str | None) -> str:
    """How long something took, or has taken by now."""
    if began is None:
        return ""
    until = datetime.now(UTC) if ended is None else datetime.fromisoformat(ended)
    seconds = max((until - datetime.fromisoformat(began)).total_seconds(), 0.0)
    if seconds >= 3600:
        return f"{seconds // 3600:.0f} h {seconds % 3600 // 60:.0f} min"
    if seconds >= 60:
        return f"{seconds // 60:.0f} min {seconds % 60:.0f} s"
    return f"{seconds * 1000:.0f} ms" if seconds < 1 else f"{seconds:.1f} s"
