"""The pages of the showcase, by what they are called in a test and in the name of a screenshot."""

from __future__ import annotations

from tests.browser.showcase import Shown


def places(shown: Shown) -> dict[str, str]:
    """The path of each page."""
    runs, deliveries = shown.runs, shown.deliveries
    return {
        "overview": "/",
        "runs": "/runs",
        "run": f"/runs/{runs['asking']}",
        "run-failed": f"/runs/{runs['failed']}",
        "run-graph": f"/runs/{runs['graph']}",
        "deliveries": "/deliveries",
        "delivery": f"/deliveries/{deliveries['accepted']}",
        "compare": f"/deliveries/compare?a={deliveries['accepted']}&b={deliveries['second']}",
        "jobs": "/jobs",
        "job": "/jobs/sell",
        "schedules": "/schedules",
        "definitions": "/definitions",
        "definition": "/definitions/mirror",
        "sources": "/sources",
        "workers": "/workers",
        "tokens": "/tokens",
        "audit": "/audit",
        "login": "/login",
        "problem": "/runs/none",
        "api": "/docs",
        "problems": "/problems",
        "a-problem": "/problems/run-ended",
    }
