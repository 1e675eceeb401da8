"""`make bench`: all benchmarks, or those that are named, on an embedded Postgres of their own with durability on."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import uvloop
from rich.console import Console
from rich.table import Table
from tests.benchmarks import idle, large, logs, pages, runs, sealed, streams, styles, waits, webhooks
from tests.benchmarks.measured import Measured

from hookline import embedded, telemetry
from hookline.cli.process import spare_memory
from hookline.settings import load

BENCHMARKS = {
    "runs": runs.three_steps,
    "drain": runs.no_ops,
    "webhooks": webhooks.signed_pushes,
    "examine": webhooks.examined_pushes,
    "large": large.large_bodies,
    "idle": idle.queries,
    "latency": idle.enqueue_to_start,
    "signals": waits.delivered_signals,
    "children": waits.child_runs,
    "map": waits.mapped_items,
    "resume": waits.resumed_runs,
    "sleepers": waits.woken_sleepers,
    "pages": pages.with_a_million_runs,
    "streams": streams.watched,
    "logs": logs.said,
    "styles": styles.ways_to_write,
    "sealed": sealed.payloads_at_rest,
}


def main(names: list[str]) -> None:
    """Run the benchmarks called `names`, or all of them."""
    telemetry.configure(load(log_level="error"))
    spare_memory()  # as a process of hookline does
    found: list[Measured] = []
    with tempfile.TemporaryDirectory(prefix="hookline-bench-", ignore_cleanup_errors=True) as directory:
        Path(directory).chmod(0o755)
        with embedded.running(Path(directory) / "postgres") as dsn:
            for name in names or BENCHMARKS:
                print(f"{name} ...", file=sys.stderr)
                found += uvloop.run(BENCHMARKS[name](dsn))
    table = Table("what", "measured", "floor", "ratio", "wanted", "also", header_style="bold", box=None)
    for each in found:
        table.add_row(*each.row())
    Console(width=150).print(table)


main(sys.argv[1:])
